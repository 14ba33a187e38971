"""A connection that repeats a decision is opened by the kernel: while the engine is away, as the policy of that
moment says, and recorded like any other."""

from __future__ import annotations

import json
import os
import signal
import time
from ipaddress import ip_network

import pytest

from tests import packets
from tests.lab.net.netcount import count, counted, told
from tests.lab.net.netns import Netns
from tests.lab.net.traffic import Program, tcp_echo, tcp_try, udp_echo
from tests.lab.pace import wait_for

IP, IP6 = packets.pod_one_ip4, packets.pod_one_ip6
PORT, OTHER = 8080, 8081
POLICY = """
groups: {{web: {{selector: {{name: web}}}}}}
modes: {{web: protect}}
rules:
  - {{id: 3, from: any, to: web, ports: [tcp/8080], action: {action}}}
"""

BOTH = """
groups: {web: {selector: {name: web}}, client: {selector: {name: client}}}
modes: {web: protect, client: protect}
rules:
  - {id: 3, from: client, to: web, ports: [tcp/8080], action: allow}
"""

# One connection after the other, each with 64 bytes there and back: how each ended, in order.
_CONNECTIONS = """
ip, port, pause, most = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
wait = float(sys.argv[5])
say(ready=True)
for number in range(most):
    began = time.monotonic()
    try:
        with socket.create_connection((ip, port), timeout=wait) as talk:
            talk.sendall(b"x" * 64); back = b""
            while len(back) < 64: back += talk.recv(64) or sys.exit("closed")
        say(number=number, ok=True, began=began)
    except OSError as error:
        say(number=number, ok=False, began=began, why=str(error))
    time.sleep(pause)
"""


def connections(
    client: Netns, most: int, *, pause: float = 0.02, wait: float = 3, ip: str = IP
) -> Program:
    made = Program(
        client, _CONNECTIONS, ip, str(PORT), str(pause), str(most), str(wait)
    )
    assert made.heard()["ready"]
    return made


# One connection from each of these addresses of the client.
_EACH_ONCE = """
ip, port, wait = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
for source in sys.argv[4:]:
    try:
        with socket.create_connection((ip, port), wait, (source, 0)) as talk:
            talk.sendall(b"x"); say(source=source, ok=talk.recv(1) == b"x")
    except OSError as error:
        say(source=source, ok=False, why=str(error))
"""

NETS = """
groups:
  clients: {{cidrs: [{net}]}}
  few: {{cidrs: [{few}]}}
  web: {{selector: {{name: web}}}}
  good: {{selector: {{name: good}}}}
modes: {{web: protect}}
rules:
  - {{id: 2, from: good, to: web, ports: [tcp/8080], action: {good}}}
  - {{id: 4, from: few, to: web, ports: [tcp/8080], action: deny}}
  - {{id: 3, from: clients, to: web, ports: [tcp/8080], action: allow}}
"""


def each_once(client: Netns, sources: list[str], wait: float = 3) -> dict[str, bool]:
    """By source: whether its connection to web was answered."""
    target = IP6 if ":" in sources[0] else IP
    program = Program(client, _EACH_ONCE, target, str(PORT), str(wait), *sources)
    return {(one := program.heard())["source"]: one["ok"] for _ in sources}


def more_addresses(client: Netns, net: str, first: int, count: int) -> list[str]:
    """Give the client these of the network's addresses, too."""
    known = ip_network(net)
    found = [str(known[first + n]) for n in range(count)]
    option = "nodad" if known.version == 6 else ""
    client.batch(
        *(f"addr add {one}/{known.prefixlen} dev eth0 {option}" for one in found)
    )
    return found


@pytest.fixture
def pods(lab) -> list[Netns]:
    """Name: pods. Scope: function. Depends: lab. (web, client), with an echo server on web."""
    _host, pods = lab.pods()
    tcp_echo(pods[0], IP, PORT)
    tcp_echo(pods[0], IP6, PORT)
    return pods


@pytest.fixture
def web(agent, pods) -> Netns:
    """Name: web. Scope: function. Depends: agent, pods. In protect; its service is known by a connection."""
    count(pods[1], PORT)
    agent.attach(pods[0], "web")
    agent.policy(POLICY.format(action="allow"))
    assert connections(pods[1], 1).heard()["ok"]
    return pods[0]


def flows(agent):
    found = json.loads(agent.cli("flows", "-o", "json", "--limit", "5000").stdout)
    return [one for one in found["flows"] if one["destination_port"] == PORT]


def ended(agent):
    return [one for one in flows(agent) if not one["live"]]


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_known_services_go_on_opening_while_the_engine_is_away(agent, pods, web, how):
    """And each of those connections is recorded, once, when there is an engine again."""
    client = pods[1]
    stream = connections(client, 150)
    for _ in range(20):
        assert stream.heard()["ok"]
    pid = agent.engine_pid()
    if how == "killed":
        os.kill(pid, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGSTOP)
    answers = [stream.heard() for _ in range(130)]
    assert [one for one in answers if not one["ok"]] == []
    wait_for(lambda: sum(one["flows"] for one in ended(agent)) == 151, 60)
    assert {one["rule_id"] for one in flows(agent)} == {3}
    sums = tuple(sum(each) for each in zip(*map(told, ended(agent)), strict=True))
    assert sums == counted(pods[1])


@pytest.mark.parametrize("how", ["stopped", "killed"])
@pytest.mark.parametrize(
    ("fail", "expected"), [("open", "open"), ("closed", "silence")]
)
def test_without_an_engine_an_unknown_service_fails_as_the_workload_says(
    agent, pods, how, fail, expected
):
    """While 50 connections a second to the known one open. The agent is stopped, so nobody replaces the engine."""
    web, client = pods
    tcp_echo(web, IP, OTHER)
    agent.attach(web, "web", fail=fail)
    agent.policy(POLICY.format(action="allow").replace("tcp/8080", "tcp/8080-8081"))
    assert connections(client, 1).heard()["ok"]
    # What neither of them has told yet dies with both.
    wait_for(lambda: ended(agent))
    engine = agent.engine_pid()
    agent.kill()
    os.kill(engine, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    stream = connections(client, 200)

    def is_away() -> bool:
        """The heartbeat is too old."""
        return tcp_try(client, IP, OTHER, seconds=0.3) == expected

    if expected == "open":
        wait_for(is_away)
    else:
        time.sleep(1.5)
    assert all(is_away() for _ in range(3))
    assert [one for one in (stream.heard() for _ in range(200)) if not one["ok"]] == []
    agent.start()
    wait_for(lambda: sum(one["flows"] for one in flows(agent)) == 201, 60)
    wait_for(lambda: tcp_try(client, IP, OTHER) == "open")


def test_the_policy_of_the_moment_decides_on_each_connection(agent, pods, web):
    """Ten changes: what begins after one is answered as it says."""
    client = pods[1]
    for _ in range(5):
        agent.policy(POLICY.format(action="deny"))
        assert not connections(client, 1, wait=0.3).heard()["ok"]
        agent.policy(POLICY.format(action="allow"))
        assert connections(client, 1).heard()["ok"]


def test_under_a_stream_of_connections_no_change_of_policy_is_late(agent, pods, web):
    stream = connections(pods[1], 100000, pause=0, wait=0.2)
    for action in ("deny", "allow") * 5:
        agent.policy(POLICY.format(action=action))
        applied = time.monotonic()
        while (first := stream.heard())["began"] <= applied:
            pass
        answers = [first, *(stream.heard() for _ in range(3))]
        assert {one["ok"] for one in answers} == {action == "allow"}
    stream.process.kill()


def test_many_connections_are_recorded_to_the_byte_at_both_ends(agent, pods):
    web, client = pods
    count(client, PORT)
    agent.attach(web, "web")
    agent.attach(client, "client")
    agent.policy(BOTH)
    before = {
        name: agent.counts(name).get("to_engine", 0) for name in ("web", "client")
    }
    stream = connections(client, 500, pause=0)
    assert all(stream.heard()["ok"] for _ in range(500))

    wait_for(lambda: sum(one["flows"] for one in ended(agent)) == 500, 20)
    sums = tuple(sum(each) for each in zip(*map(told, ended(agent)), strict=True))
    assert sums == counted(client)
    for name, had in before.items():
        assert agent.counts(name)["to_engine"] - had < 100
    judged = [end for one in ended(agent) for end in one["judged"]]
    assert {end["workload"] for end in judged} == {"web", "client"}


def test_ipv6_connections_are_opened_and_recorded_alike(agent, pods, web):
    before = agent.counts("web")["to_engine"]
    stream = connections(pods[1], 100, pause=0, ip=IP6)
    assert all(stream.heard()["ok"] for _ in range(100))
    assert agent.counts("web")["to_engine"] - before < 20
    wait_for(lambda: sum(one["flows"] for one in flows(agent)) == 101, 20)


def test_in_discover_a_known_service_costs_no_copy(agent, pods):
    web, client = pods
    agent.attach(web, "web")
    assert connections(client, 1).heard()["ok"]
    before = agent.counts("web").get("to_engine", 0)
    stream = connections(client, 50)
    assert all(stream.heard()["ok"] for _ in range(50))
    assert agent.counts("web")["to_engine"] - before < 10
    wait_for(lambda: sum(one["flows"] for one in flows(agent)) == 51, 20)


@pytest.mark.parametrize("mode", ["quarantine"])
def test_quarantine_ends_what_the_kernel_opens(agent, pods, web, mode):
    agent.cli("mode", "web", mode)
    assert not connections(pods[1], 1, wait=0.3).heard()["ok"]


def test_without_a_flow_cache_nothing_is_opened_by_the_kernel(lab, pods, agent):
    web, client = pods
    agent.stop()
    agent.start("--no-flow-cache")
    agent.attach(web, "web")
    agent.policy(POLICY.format(action="allow"))
    stream = connections(client, 20)
    assert all(stream.heard()["ok"] for _ in range(20))
    assert agent.counts("web").get("flow_allow", 0) == 0


@pytest.mark.parametrize("net", [packets.net_ip4, packets.net_ip6])
def test_the_clients_of_a_network_cost_the_engine_one_connection(agent, pods, net):
    """Those of a narrower one are judged by their own rule, whoever has come before."""
    web, client = pods
    known = ip_network(net)
    few = next(known.subnets(new_prefix=28 if known.version == 4 else 124))
    few = ip_network((int(few.network_address) + 0xE0, few.prefixlen))
    sources = more_addresses(client, net, 0x40, 100)
    denied = more_addresses(client, net, 0xE1, 3)
    agent.attach(web, "web")
    agent.policy(NETS.format(net=net, few=few, good="allow"))
    assert each_once(client, sources[:1]) == {sources[0]: True}
    before = agent.counts("web")["to_engine"]
    assert set(each_once(client, sources[1:]).values()) == {True}
    assert agent.counts("web")["to_engine"] - before < 20
    assert set(each_once(client, denied, wait=0.3).values()) == {False}
    assert set(each_once(client, sources).values()) == {True}
    wait_for(lambda: sum(one["flows"] for one in ended(agent)) >= 200, 20)


def test_an_address_that_becomes_a_workloads_is_judged_as_the_workload(agent, pods):
    """Its network stays open to all others; when the workload goes, it is one of the network again."""
    web, client = pods
    net = packets.net_ip4
    few = f"{packets.leased_ip4}/32"
    sources = more_addresses(client, net, 0x40, 3)
    agent.attach(web, "web")
    agent.policy(NETS.format(net=net, few=few, good="deny"))
    assert set(each_once(client, sources).values()) == {True}
    for _ in range(3):
        agent.attach(client, "good")
        assert set(each_once(client, sources[:1], wait=0.3).values()) == {False}
        agent.cli("detach", "good")
        assert set(each_once(client, sources[:1]).values()) == {True}


_DATAGRAMS = """
ip, port, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
say(ready=True)
for number in range(most):
    with socket.socket(family(ip), socket.SOCK_DGRAM) as one:
        one.bind(("", 20000 + most + number)); one.settimeout(3); one.connect((ip, port)); one.send(b"x" * 64); one.recv(100)
    say(number=number)
"""


@pytest.mark.parametrize("mode", ["protect", "discover"])
@pytest.mark.parametrize("ip", [IP, IP6])
def test_datagrams_of_a_known_service_open_their_flows(agent, pods, mode, ip):
    """Each from another port; recorded to the byte, in the direction in which they began."""
    web, client = pods
    udp_echo(web, ip, PORT)
    agent.attach(web, "web")
    if mode == "protect":
        agent.policy(POLICY.format(action="allow").replace("tcp/", "udp/"))
    first = Program(client, _DATAGRAMS, ip, str(PORT), "1")
    assert first.heard()["ready"]
    assert first.heard() == {"number": 0}
    # Until then a datagram of the same flow might wait in the engine.
    time.sleep(0.3)
    before = agent.counts("web")["to_engine"]
    stream = Program(client, _DATAGRAMS, ip, str(PORT), "200")
    assert stream.heard()["ready"]
    assert [stream.heard()["number"] for _ in range(200)] == list(range(200))
    assert agent.counts("web")["to_engine"] - before < 40
    wait_for(lambda: sum(one["flows"] for one in flows(agent)) == 201, 20)
    size = 64 + 8 + (20 if ip == IP else 40) + 14
    found = flows(agent)
    assert {(one["packets"], one["bytes"]) for one in found} == {(1, size)}
    assert {(one["packets_back"], one["bytes_back"]) for one in found} == {(1, size)}


def test_pings_of_a_known_service_open_their_flows(agent, pods):
    web, client = pods
    agent.attach(web, "web")
    agent.policy(POLICY.format(action="allow").replace("tcp/8080", "icmp"))
    client.run("ping", "-c1", "-W2", IP)
    time.sleep(0.3)
    before = agent.counts("web")["to_engine"]
    for _ in range(20):
        client.run("ping", "-c1", "-W2", IP)
    assert agent.counts("web")["to_engine"] - before < 5
