"""`segctl policy hits` with real traffic: each flow once at each end, whoever dies meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import time

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.pace import wait_for

IP = packets.pod_one_ip4
TCP, UDP, SHUT = 8080, 8081, 8082
HEAD = """groups: {web: {selector: {name: web}}, client: {selector: {name: client}}}
modes: {web: protect, client: protect}
rules:
"""
RULES = {
    1: f"from: client, to: web, ports: [tcp/{TCP}], action: allow",
    2: f"from: client, to: web, ports: [tcp/{SHUT}], action: deny, direction: egress",
    3: "from: any, to: web, action: reject, stage: true",
    4: f"from: any, to: web, ports: [udp/{UDP}, icmp], action: allow",
    5: "from: web, to: any, action: allow",
}


def policy(rules: dict[int, str] = RULES) -> str:
    lines = (f"  - {{id: {number}, {rule}}}\n" for number, rule in rules.items())
    return HEAD + "".join(lines)


@pytest.fixture
def pods(lab, agent):
    """Name: pods. Scope: function. Depends: lab, agent. (web, client), both attached; web serves."""
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IP, TCP)
    traffic.udp_echo(web, IP, UDP)
    agent.attach(web, "web")
    agent.attach(client, "client")
    agent.policy(policy())
    return web, client


def shown(agent):
    return {rule["id"]: rule for rule in agent.client.policy_hits()["rules"]}


def hits(agent) -> dict[int, int]:
    return {number: rule["hits"] for number, rule in shown(agent).items()}


def test_each_flow_is_a_hit_at_each_end_of_the_rule_that_decides_there(agent, pods):
    """A refused connection's SYNs are one attempt, and never reach the other end."""
    _web, client = pods
    before = time.time()
    assert hits(agent) == {1: 0, 2: 0, 3: 0, 4: 0, 5: 0}
    for _ in range(3):
        assert traffic.tcp_try(client, IP, TCP) == "open"
    assert traffic.tcp_try(client, IP, SHUT, seconds=4) == "silence"
    assert traffic.udp_try(client, IP, UDP) == "open"
    assert traffic.pings(client, IP) == 3
    # Staged: the UDP flow and the ping, at both ends, decided by the rule behind it.
    assert hits(agent) == {1: 6, 2: 1, 3: 4, 4: 4, 5: 0}
    default = agent.client.policy_hits()["default"]["hits"]
    assert traffic.tcp_try(client, IP, 9999, seconds=2) == "silence"
    assert agent.client.policy_hits()["default"]["hits"] == default + 1
    assert hits(agent)[3] == 5
    found = shown(agent)
    assert before <= found[1]["since"] <= found[1]["last"] <= found[4]["last"]
    assert (found[3]["staged"], found[5]["last"]) == (True, None)
    rows = agent.cli("policy", "hits").stdout.splitlines()
    assert "would reject" in rows[3]
    unused = agent.cli("policy", "hits", "--unused").stdout.splitlines()
    assert [row.split()[0] for row in unused] == ["RULE", "5"]


def test_counts_outlive_engine_and_agent_and_take_nothing_twice(agent, pods):
    _web, client = pods
    talk = traffic.tcp_talk(client, IP, TCP)
    talk.said("hello")
    former = agent.engine_pid()
    os.kill(former, signal.SIGKILL)
    wait_for(lambda: agent.engine_pid() not in (0, former), 10)
    talk.said("to the next engine")
    assert hits(agent)[1] == 2
    assert traffic.tcp_try(client, IP, TCP) == "open"
    agent.kill()
    assert traffic.tcp_try(client, IP, TCP) == "open"
    agent.start()
    talk.said("to the next agent")
    assert hits(agent)[1] == 6
    former = agent.engine_pid()
    agent.kill()
    os.kill(former, signal.SIGKILL)
    agent.start()
    # Of flows nobody knows any more: the open one is seen anew, and is what was counted before.
    talk.said("to the successors of both")
    assert traffic.tcp_try(client, IP, TCP) == "open"
    assert hits(agent)[1] == 6 + 2 + 2


def test_a_rule_keeps_its_counts_as_long_as_it_means_the_same(agent, pods):
    _web, client = pods
    assert traffic.tcp_try(client, IP, TCP) == "open"
    assert traffic.udp_try(client, IP, UDP) == "open"
    talk = traffic.tcp_talk(client, IP, TCP)
    assert hits(agent) == {1: 4, 2: 0, 3: 2, 4: 2, 5: 0}
    # Another order, a comment, a rule more; and one that says something else.
    agent.policy(
        policy(
            {
                5: RULES[5] + ", comment: moved",
                9: "from: any, to: client, action: allow",
                **{number: RULES[number] for number in (1, 2, 3)},
                4: RULES[4].replace("any", "client"),
            }
        )
    )
    talk.said("still open, and still of rule 1")
    assert hits(agent) == {5: 0, 9: 0, 1: 4, 2: 0, 3: 2, 4: 0}
    assert traffic.udp_try(client, IP, UDP) == "open"
    assert hits(agent)[4] == 2
    agent.cli("policy", "rollback")
    talk.said("again")
    assert hits(agent) == {1: 4, 2: 0, 3: 4, 4: 2, 5: 0}


def test_an_open_connection_moves_to_the_rule_that_allows_it_by_now(agent, pods):
    _web, client = pods
    talk = traffic.tcp_talk(client, IP, TCP)
    agent.policy(policy({7: "from: any, to: any, action: allow"}))
    talk.said("under another rule")
    assert hits(agent) == {7: 2}


def test_a_flow_that_the_kernel_carries_is_use(agent, pods):
    _web, client = pods
    talk = traffic.tcp_talk(client, IP, TCP)
    talk.said("hello")

    def last() -> float:
        return float(shown(agent)[1]["last"])

    first = last()

    def later() -> bool:
        talk.said("more")
        return last() > first + 0.5

    wait_for(later)
    assert hits(agent)[1] == 2


def test_the_metrics_have_the_same_counts(agent, pods):
    _web, client = pods
    assert traffic.udp_try(client, IP, UDP) == "open"
    assert hits(agent)[4] == 2
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(agent.instance.api_socket))
        asking.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        with asking.makefile() as answer:
            lines = answer.read().splitlines()
    told = [line for line in lines if line.startswith("segctl_rule_hits_total")]
    assert 'segctl_rule_hits_total{action="allow",rule="4",staged="false"} 2.0' in told
    assert 'segctl_rule_hits_total{action="reject",rule="3",staged="true"} 2.0' in told


def test_counts_stay_when_the_flows_have_gone(agent, pods):
    _web, client = pods
    assert traffic.udp_try(client, IP, UDP) == "open"
    assert hits(agent)[4] == 2
    with sqlite3.connect(agent.instance.history_file, timeout=5) as db:
        db.execute("DELETE FROM flows")
    agent.stop()
    agent.start()
    assert hits(agent)[4] == 2
