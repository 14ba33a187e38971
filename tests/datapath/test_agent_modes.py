"""Modes through the whole of agent, engine, kernel: whose word holds, what quarantine goes back to, and
that no change of a policy opens or closes anything on its way."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests import packets
from tests.lab.net import backlog, traffic
from tests.lab.pace import wait_for

IP = packets.pod_one_ip4
PORT = 8080
GROUPS = "groups: {web: {selector: {name: web}}, pods: {selector: {name: '*'}}}\n"


def mode(agent) -> tuple[str, str]:
    """(mode, whose word it was)."""
    found = agent.client.workload("web")
    return found["mode"], found["mode_source"]


@pytest.fixture
def pods(lab):
    """Name: pods. Scope: function. Depends: lab. (web, client), with an echo server on web."""
    _host, pods = lab.pods()
    traffic.tcp_echo(pods[0], IP, PORT)
    return pods


def test_the_command_outdoes_the_policy_which_outdoes_attach(agent, pods):
    web, _client = pods
    agent.attach(web, "web")
    assert mode(agent) == ("discover", "default")
    agent.client.detach(pid=web.pid)
    agent.attach(web, "web", mode="monitor")
    assert mode(agent) == ("monitor", "attach")
    agent.policy(GROUPS + "modes: {any: protect, pods: discover, web: monitor}\n")
    assert mode(agent) == ("monitor", "policy"), "the strictest group; any is the last"
    agent.policy(GROUPS + "modes: {any: protect}\n")
    assert mode(agent) == ("protect", "policy")
    agent.client.set_mode("web", "discover")
    assert mode(agent) == ("discover", "command")
    agent.client.set_mode("web", "auto")
    assert mode(agent) == ("protect", "policy")
    agent.policy(GROUPS)
    assert mode(agent) == ("monitor", "attach")


def test_14_the_end_of_a_quarantine_is_the_mode_before_it(agent, pods):
    """Forced or not, and for an agent that was killed meanwhile."""
    web, client = pods
    agent.attach(web, "web", mode="monitor")
    for before in ("auto", "protect"):
        agent.client.set_mode("web", before)
        was = mode(agent)
        agent.client.set_mode("web", "quarantine")
        assert traffic.pings(client, IP, count=1, wait=0.1) == 0
        agent.kill()
        agent.start()
        assert mode(agent) == ("quarantine", "command")
        agent.client.set_mode("web", "auto")
        assert mode(agent) == was
    agent.client.set_mode("web", "auto")
    wait_for(lambda: traffic.tcp_try(client, IP, PORT) == "open")


def test_the_modes_of_both_ends_are_in_one_line_of_flows(agent, pods):
    web, client = pods
    agent.attach(web, "web")
    agent.attach(client, "client")
    agent.policy(
        GROUPS
        + "rules: [{id: 7, from: any, to: web, ports: [tcp/8080], action: deny}]\n"
    )
    agent.client.set_mode("web", "protect")
    assert traffic.tcp_try(client, IP, PORT) == "silence"

    def line() -> list[str]:
        rows = agent.cli("flows").stdout.splitlines()
        return [row for row in rows if "violation/deny" in row and "7/7" in row]

    assert len(wait_for(line)) == 1
    assert line()[0].count("policy_deny/policy_deny") == 1


# Datagrams to the same port, each from a socket of its own and so a flow of its own.
_NEW_FLOWS = """
ip, port = sys.argv[1], int(sys.argv[2]); sent = answered = 0; say(ready=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(5); one.connect((ip, port)); one.send(b"?"); sent += 1
        try: answered += len(one.recv(10))
        except TimeoutError: pass
say(sent=sent, answered=answered)
"""


def big(first: int, rules: int = 1500) -> str:
    """A policy that allows one port by one rule among many, of which none else says anything."""
    lines = [
        f"  - {{id: {number}, from: any, to: web, ports: [tcp/{number}], action: deny}}"
        for number in range(first, first + rules)
    ]
    lines.insert(
        len(lines) if first % 2 else 0,
        "  - {id: 1, from: any, to: web, ports: [udp/8080], action: allow}",
    )
    return GROUPS + "modes: {web: protect}\nrules:\n" + "\n".join(lines) + "\n"


def test_23_no_moment_has_half_a_policy(agent, pods):
    """More rules than one message to NeuVector's dp could carry: what both the old and the new policy
    allow is allowed all through the swap."""
    web, client = pods
    traffic.udp_echo(web, IP, PORT)
    agent.attach(web, "web")
    agent.policy(big(2000))
    host_lost = backlog.dropped()
    running = traffic.Program(client, _NEW_FLOWS, IP, str(PORT))
    running.heard()
    for number in range(6):
        agent.policy(big(2001 - number % 2))
    done = running.said("stop")
    assert done["sent"] > 10
    assert done["sent"] - done["answered"] <= backlog.dropped() - host_lost


def test_23_a_new_engine_is_told_all_that_the_former_knew(agent, pods):
    """Rules, modes, groups, and which side of a connection serves: before its first frame."""
    web, client = pods
    agent.attach(web, "web")
    agent.attach(client, "client")
    agent.policy(big(2000).replace("udp/8080", "tcp/8080"))
    talk = traffic.tcp_talk(client, IP, PORT)
    assert talk.said("one") == {"back": "one\n"}

    def state():
        rules = [row["rules"] for row in agent.client.workload("web")["ports"]]
        found = json.loads(agent.cli("flows", "-o", "json").stdout)["flows"]
        ends = [
            (end["workload"], end["verdict"], end["rule_id"])
            for flow in found
            for end in flow["judged"]
            if flow["destination_port"] == PORT
        ]
        return rules, sorted(ends, key=str), traffic.tcp_try(client, IP, 8081, 0.1)

    before, former = state(), agent.engine_pid()

    os.kill(former, signal.SIGKILL)
    wait_for(lambda: agent.engine_pid() not in (0, former), 15)
    assert talk.said("two") == {"back": "two\n"}
    assert state() == before


@pytest.mark.parametrize(
    ("denied_at", "line"), [("egress", ["deny"]), ("ingress", ["allow", "deny"])]
)
def test_a_rule_of_one_end_is_that_ends_alone(agent, pods, denied_at, line):
    """The rows of the truth table in which the ends do not say the same, as a policy writes them."""
    web, client = pods
    agent.attach(web, "web")
    agent.attach(client, "client")
    agent.policy(
        GROUPS
        + "modes: {pods: protect}\n"
        + "rules:\n"
        + f"  - {{id: 1, from: any, to: web, direction: {denied_at}, action: deny}}\n"
        + "  - {id: 2, from: any, to: web, ports: [tcp/8080], action: allow}\n"
    )
    assert traffic.tcp_try(client, IP, PORT) == "silence"

    def judged() -> list[str]:
        found = json.loads(agent.cli("flows", "-o", "json").stdout)["flows"]
        flows = [flow for flow in found if flow["destination_port"] == PORT]
        return [end["verdict"] for flow in flows for end in flow["judged"]]

    wait_for(lambda: judged() == line)
