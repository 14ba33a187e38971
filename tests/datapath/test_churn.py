"""A hundred containers join and leave while the policy changes and traffic runs: in the end the kernel,
the files and the agent hold what is desired; nothing is left over, nothing is missing."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

from pyctl.datapath.maps import dump_maps
from tests.lab.net import backlog, traffic
from tests.lab.net.crowd import Crowd, Member
from tests.lab.net.traffic import Program
from tests.lab.pace import patient, wait_for
from tests.lab.processes import descriptors, proportional_size
from tests.lab.segctl.agent import AgentProcess

JOINING = 100
HANDS = 3
"""Who attach and detach at the same time."""
DESCRIPTORS_EACH = 2
SPARE_DESCRIPTORS = 8
"""Requests that are being answered, a database that is being written."""
MORE_MB = 12
"""What an agent may have grown by, and an engine, over those who came and went."""
ROLES = ("stays", "leaves", "leaves", "dies")

CROWD = "groups:\n  crowd: {selector: {name: 'crowd-*'}}\n"
PARITY = "  odd: {selector: {labels: {odd: '1'}}}\n  even: {selector: {labels: {odd: '0'}}}\n"
PROTECT = "modes: {crowd: protect}\nrules:\n"
DENY_ODD = "  - {id: 2, from: odd, to: even, ports: [tcp/9], action: deny}\n"
ALLOW = "  - {id: 1, from: crowd, to: crowd, action: allow}\n"
POLICIES = (CROWD + PROTECT + ALLOW, CROWD + PARITY + PROTECT + DENY_ODD + ALLOW)
"""Both let the two who talk go on."""

# A datagram each 5 ms, and how many of them were not answered, when a line asks for it.
_UDP_PULSE = """
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); client.connect((sys.argv[1], int(sys.argv[2])))
client.settimeout(float(sys.argv[3])); sent = lost = 0; say(ready=True)
while not select.select([sys.stdin], [], [], 0.005)[0]:
    sent += 1; client.send(b"%d" % sent)
    try:
        while client.recv(100) != b"%d" % sent: pass
    except TimeoutError: lost += 1
say(sent=sent, lost=lost)
"""


def attach(agent: AgentProcess, one: Member) -> None:
    labels = {"odd": str(one.number % 2)}
    agent.client.attach(pid=one.pid, name=one.name, labels=labels)


def pass_through(agent: AgentProcess, one: Member) -> None:
    """One container's life, as far as its role goes."""
    attach(agent, one)
    role = ROLES[one.number % len(ROLES)]
    if role == "leaves":
        agent.client.detach(pid=one.pid)
    elif role == "dies":
        one.destroy()


@contextmanager
def changing_policy(agent: AgentProcess) -> Iterator[list[int]]:
    """Another one all the time; gives how many were applied, when it has ended."""
    done = threading.Event()
    applied: list[int] = []

    def change() -> None:
        for number in itertools.count():
            if done.wait(0.1):
                return
            agent.policy(POLICIES[number % len(POLICIES)])
            applied.append(number)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(change)
        try:
            yield applied
        finally:
            done.set()
        running.result()


def held_by_the_kernel(agent: AgentProcess) -> dict[str, Any]:
    """Ports, their interfaces and addresses: everything of it that has a port in it."""
    maps = dump_maps(agent.instance)
    flows = maps["seg_flows4"] + maps["seg_flows6"]
    return {
        "links": sorted(agent.remains()["links"]),
        "ifindexes": {row["ifindex"]: row["port_id"] for row in maps["seg_ports"]},
        "returns": {
            row["port_id"]: (row["vex_ifindex"], row["vin_ifindex"])
            for row in maps["seg_reinject"]
        },
        "generations": {row["port_id"] for row in maps["seg_gens"]},
        "addresses": {
            (row["port_id"], row["address"])
            for row in maps["seg_addrs"]
            if row["kind"] == "own"
        },
        "strangers": {
            row["port_id"] for row in flows + maps["seg_counters"] if row["port_id"]
        }
        - {row["port_id"] for row in maps["seg_reinject"]},
    }


def desired(workloads: list[dict[str, Any]]) -> dict[str, Any]:
    """The same, from what the agent says is attached."""
    ports = [port for workload in workloads for port in workload["ports"]]
    return {
        "links": sorted(port[end] for port in ports for end in ("vex", "vin")),
        "ifindexes": {
            port[f"{end}_ifindex"]: port["port_id"]
            for port in ports
            for end in ("vex", "vin")
        },
        "returns": {
            port["port_id"]: (port["vex_ifindex"], port["vin_ifindex"])
            for port in ports
        },
        "generations": {port["port_id"] for port in ports},
        "addresses": {
            (port["port_id"], address.partition("/")[0])
            for port in ports
            for address in port["addresses"]
        },
        "strangers": set(),
    }


def hooks(agent: AgentProcess) -> tuple[int, int]:
    """(clsact qdiscs, filters that intend to be there) in the enforcer's namespace."""
    rules = [agent.client.rules(name) for name in agent.names()]
    intended = sum(str(one).count("held as intended") for one in rules)
    return agent.enforcer("tc", "qdisc", "show").count("qdisc clsact"), intended


def told_last(agent: AgentProcess) -> dict[str, str]:
    """What the history on disk says last of each workload's coming and going."""
    with closing(sqlite3.connect(agent.instance.history_file)) as database:
        rows = database.execute(
            "SELECT workload, message FROM events WHERE kind = 'lifecycle' "
            "AND (message LIKE 'attached%' OR message = 'detached') ORDER BY id"
        ).fetchall()
    return {workload: message.split()[0] for workload, message in rows}


def holds_what_is_desired(
    agent: AgentProcess, crowd: Crowd, staying: list[Member], bare_descriptors: int
) -> None:
    """Agent, kernel, files and history, all of them."""
    names = sorted(one.name for one in staying)

    wait_for(lambda: sorted(agent.names()) == names, 20)
    workloads = agent.client.workloads()["workloads"]
    assert held_by_the_kernel(agent) == desired(workloads)
    # Two of each, and those of the detour.
    assert hooks(agent) == (2 * len(staying) + 2, len(staying))
    left = agent.remains()
    assert left["journal"] == []
    assert left["workloads"] == sorted(f"{one['id']}.json" for one in workloads)
    living = {f"to{one.number}" for one in crowd.members if one.holder.poll() is None}
    # The kernel takes the namespaces of the dead down in its own time, and their links with them.
    wait_for(
        lambda: (
            {link["ifname"] for link in crowd.host.ip("link")} - {"lo", "br0"} == living
        ),
        10,
    )
    bound = bare_descriptors + DESCRIPTORS_EACH * len(staying) + SPARE_DESCRIPTORS
    wait_for(lambda: descriptors(agent.process.pid) <= bound, 10)
    everyone = {one.name: "detached" for one in crowd.members}
    expected = everyone | {one.name: "attached" for one in staying}
    wait_for(lambda: told_last(agent) == expected, 10)


def test_a_hundred_containers_join_and_leave_under_traffic_and_other_policies(
    crowd, agent
):
    """A node's day in a quarter of a minute: every container leaves as it came, or dies, or stays."""
    server, client = crowd.join(2)
    traffic.udp_echo(server, server.address, 8081)
    traffic.tcp_echo(server, server.address, 8080)
    bare = descriptors(agent.process.pid)
    for one in (server, client):
        attach(agent, one)
    talk = traffic.tcp_talk(client, server.address, 8080)
    host_lost = backlog.dropped()
    pulse = Program(client, _UDP_PULSE, server.address, "8081", str(patient(2)))
    pulse.heard()
    engine = agent.engine_pid()
    size = {pid: proportional_size(pid)["rss"] for pid in (agent.process.pid, engine)}

    joining = crowd.join(JOINING)
    with changing_policy(agent) as applied, ThreadPoolExecutor(HANDS) as hands:
        for _ in hands.map(lambda one: pass_through(agent, one), joining):
            assert talk.said("still here") == {"back": "still here\n"}
    assert len(applied) > 10
    told = pulse.said("")
    assert told["sent"] > 300
    assert told["lost"] <= backlog.dropped() - host_lost

    stay = [one for one in joining if ROLES[one.number % len(ROLES)] == "stays"]
    holds_what_is_desired(agent, crowd, [server, client, *stay], bare)
    assert agent.engine_pid() == engine
    grown = {
        pid: proportional_size(pid)["rss"] - before for pid, before in size.items()
    }
    assert max(grown.values()) < MORE_MB
    assert talk.said("and the last one") == {"back": "and the last one\n"}

    agent.client.detach(all=True)
    holds_what_is_desired(agent, crowd, [], bare)
    for one in (server, client, *stay):
        assert [link["ifname"] for link in one.ip("link")] == ["lo", "eth0"]
