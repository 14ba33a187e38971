"""A flood that is denied stays in the kernel, from its second packet on; it is told while it goes on, and to the packet."""

from __future__ import annotations

import json

import pytest

from tests import packets
from tests.lab.net.netns import Netns
from tests.lab.net.traffic import Program, tcp_echo
from tests.lab.pace import wait_for

IP = packets.pod_one_ip4
PORT, DENIED = 8080, 8081
POLICY = """
groups: {{web: {{selector: {{name: web}}}}}}
modes: {{web: protect}}
rules:
  - {{id: 3, from: any, to: web, ports: [tcp/8080], action: allow}}
  - {{id: 4, from: any, to: web, ports: [{protocol}/8081], action: {action}}}
"""

# SYNs or datagrams from `ports` source ports in turn, as fast as one core can or `gap` apart.
_FLOOD = """
ip, port, proto, count, ports, gap = sys.argv[1], *map(int, sys.argv[2:6]), float(sys.argv[6])
import struct
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); own.connect((ip, port))
source, target = socket.inet_aton(own.getsockname()[0]), socket.inet_aton(ip)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
syn = struct.pack("!IIBBHHH", 1, 0, 0x50, 2, 1024, 0, 0)
say(ready=True)
for number in range(count):
    ends = struct.pack("!HH", 1024 + number % ports, port)
    segment = ends + (syn if proto == 6 else struct.pack("!HH", 8, 0))
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, proto, 0, source, target)
    raw.sendto(head + segment, (ip, 0))
    if gap: time.sleep(gap)
say(sent=count)
"""


def flood(client: Netns, proto: int, count: int, ports: int, gap: float = 0) -> Program:
    words = map(str, (DENIED, proto, count, ports, gap))
    made = Program(client, _FLOOD, IP, *words)
    assert made.heard()["ready"]
    return made


def frames(agent) -> int:
    """Frames that the engine was sent."""
    return int(agent.counts("web").get("to_engine", 0))


def told(agent) -> tuple[int, int]:
    """Packets of the denied service: of events, and of flows."""
    events = json.loads(
        agent.cli("events", "-o", "json", "--limit", "2000", "--kind", "denial").stdout
    )["events"]
    found = json.loads(agent.cli("flows", "-o", "json", "--limit", "5000").stdout)
    flows = [
        one
        for one in found["flows"]
        if one["destination_port"] == DENIED and one["verdict"] == "deny"
    ]
    return sum(one["packets"] for one in events), sum(one["packets"] for one in flows)


@pytest.fixture
def pods(lab) -> list[Netns]:
    """Name: pods. Scope: function. Depends: lab. (web, client), with an echo server on web."""
    _host, pods = lab.pods()
    tcp_echo(pods[0], IP, PORT)
    return pods


@pytest.mark.parametrize(("proto", "word"), [(6, "tcp"), (17, "udp")])
def test_a_denied_flood_is_the_kernels_and_told_to_the_packet(agent, pods, proto, word):
    web, client = pods
    agent.attach(web, "web")
    agent.policy(POLICY.format(protocol=word, action="deny"))
    before, had = frames(agent), agent.counts("web")
    count = 60000
    running = flood(client, proto, count, 60000)
    wait_for(lambda: told(agent)[0] > 1, 10)
    assert running.heard()["sent"] == count
    wait_for(lambda: told(agent) == (count, count), 20)
    counts = agent.counts("web")
    lost = sum(
        counts.get(name, 0) - had.get(name, 0) for name in ("flow_deny", "policy_deny")
    )
    assert lost == count
    assert frames(agent) - before < count / 50


def test_a_syn_that_repeats_is_told_with_its_port(agent, pods):
    web, client = pods
    agent.attach(web, "web")
    agent.policy(POLICY.format(protocol="tcp", action="deny"))
    assert flood(client, 6, 5, 1, 0.5).heard()["sent"] == 5
    wait_for(lambda: told(agent) == (5, 5), 10)
    found = json.loads(agent.cli("flows", "-o", "json").stdout)["flows"]
    ports = {one["source_port"] for one in found if one["destination_port"] == DENIED}
    assert ports == {1024}


def test_a_rejected_flood_is_answered_at_the_ports_pace(agent, pods):
    web, client = pods
    agent.attach(web, "web")
    agent.policy(POLICY.format(protocol="tcp", action="reject"))
    before = frames(agent)
    count = 60000
    assert flood(client, 6, count, 60000).heard()["sent"] == count
    wait_for(lambda: told(agent) == (count, count), 20)
    assert frames(agent) - before < count / 20


def test_a_few_rejected_connections_are_refused_at_once(agent, pods):
    web, client = pods
    agent.attach(web, "web")
    agent.policy(POLICY.format(protocol="tcp", action="reject"))
    refused = Program(
        client,
        """
        for _ in range(30):
            at = time.monotonic()
            try: socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)
            except OSError as error: say(why=type(error).__name__, s=time.monotonic() - at)
        """,
        IP,
        str(DENIED),
    )
    answers = [refused.heard() for _ in range(30)]
    assert {one["why"] for one in answers} == {"ConnectionRefusedError"}
    assert max(one["s"] for one in answers) < 0.5
