"""Two engines share the packets: each flow is one engine's, and one that hangs or dies costs its share alone."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, UDP, IPOption_RR
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from pyctl.engine.rings import RingSet, open_rings
from pyctl.model.worker import Worker
from tests import packets
from tests.lab.datapath.wiring import enforcer_of
from tests.lab.datapath.workers import worker_of, worker_of_ips
from tests.lab.net import traffic
from tests.lab.net.netcount import count, counted, told
from tests.lab.net.netns import Netns
from tests.lab.pace import wait_for
from tests.lab.segctl.engine import Tap

IP4, IP6 = packets.pod_one_ip4, packets.pod_one_ip6
PORT, OTHER = 8080, 8081
POLICY = """
groups: {web: {selector: {name: web}}, client: {selector: {name: client}}}
modes: {web: protect, client: protect}
rules:
  - {id: 3, from: client, to: web, ports: [tcp/8080, udp/8080], action: allow}
"""
SOL_PACKET, PACKET_STATISTICS = 263, 6

# Each number of sys.argv[4:] on a connection of its own, from the address in sys.argv[1]: 64 bytes there and back.
_CONNECTIONS = """
source, ip, port, most, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
say(ready=True)
for number in range(most):
    try:
        with socket.create_connection((ip, port), timeout=2, source_address=(source, 0)) as talk:
            talk.sendall(b"x" * 64); back = b""
            while len(back) < 64: back += talk.recv(64) or sys.exit("closed")
        say(number=number, ok=True)
    except OSError as error:
        say(number=number, ok=False, why=str(error))
    time.sleep(pause)
"""


def connections(
    client: Netns, source: str, port: int = PORT, most: int = 1, pause: float = 0.0
) -> traffic.Program:
    ip = IP6 if ":" in source else IP4
    words = (source, ip, str(port), str(most), str(pause))
    made = traffic.Program(client, _CONNECTIONS, *words)
    assert made.heard()["ready"]
    return made


def sources(ip: str, near: str) -> dict[int, str]:
    """An address of the client for each worker of two."""
    found: dict[int, str] = {}
    for number in range(60, 100):
        one = f"{near}{number}"
        found.setdefault(worker_of_ips(ip, one, 2), one)
    return found


@pytest.fixture
def pods(lab) -> list[Netns]:
    """Name: pods. Scope: function. Depends: lab. (web, client): the client has addresses for both workers."""
    _host, pods = lab.pods()
    for ip in (IP4, IP6):
        for port in (PORT, OTHER):
            traffic.tcp_echo(pods[0], ip, port)
    more = [
        *(f"{one}/24" for one in SOURCES.values()),
        *(f"{one}/64" for one in SOURCES6.values()),
    ]
    for one in more:
        flags = ["nodad"] if ":" in one else []
        pods[1].run("ip", "address", "add", one, "dev", "eth0", *flags)
    return pods


SOURCES = sources(IP4, IP4.rpartition(".")[0] + ".")
SOURCES6 = sources(IP6, IP6.rpartition(":")[0] + ":")


@pytest.fixture
def agent(agent_with):
    """Name: agent. Scope: function. Depends: agent_with. With two engines."""
    return agent_with("--workers", "2")


def workers(agent) -> list[dict]:
    return agent.client.status()["engine"]["workers"]


def pids(agent) -> list[int]:
    return [one["pid"] for one in workers(agent)]


def flows(agent, port: int = PORT) -> list[dict]:
    found = json.loads(agent.cli("flows", "-o", "json", "--limit", "5000").stdout)
    return [one for one in found["flows"] if one["destination_port"] == port]


def ended(agent) -> list[dict]:
    return [one for one in flows(agent) if not one["live"]]


def attached(agent, pods) -> None:
    web, client = pods
    agent.attach(web, "web")
    agent.attach(client, "client")
    agent.policy(POLICY)


def test_flows_of_both_workers_are_recorded_once_and_to_the_byte_at_both_ends(
    agent, pods
):
    client = pods[1]
    count(client, PORT)
    attached(agent, pods)
    each = 100
    streams = [
        connections(client, one, most=each)
        for one in (*SOURCES.values(), *SOURCES6.values())
    ]
    assert all(one.heard()["ok"] for one in streams for _ in range(each))
    wait_for(lambda: sum(one["flows"] for one in ended(agent)) == 4 * each, 20)
    of_v4 = [one for one in ended(agent) if ":" not in one["source"]]
    sums = tuple(sum(column) for column in zip(*map(told, of_v4), strict=True))
    assert sums == counted(client)
    judged = [end for one in ended(agent) for end in one["judged"]]
    assert {end["workload"] for end in judged} == {"web", "client"}
    assert len(judged) == 2 * len(ended(agent))
    assert all(one["sessions"] for one in workers(agent)), "both had some"
    stated = agent.cli("agent", "status").stdout
    assert "worker 0" in stated
    assert "worker 1" in stated


def test_what_is_denied_is_denied_by_either(agent, pods):
    attached(agent, pods)
    for source in SOURCES.values():
        assert connections(pods[1], source).heard()["ok"]
        assert not connections(pods[1], source, OTHER).heard()["ok"]
    denied = {one["source"] for one in flows(agent, OTHER)}
    assert denied == set(SOURCES.values())
    hits = json.loads(agent.cli("policy", "hits", "-o", "json").stdout)
    (rule,) = [one for one in hits["rules"] if one["id"] == 3]
    assert rule["hits"] >= 2 * len(SOURCES)


_DATAGRAMS = """
source, ip, port, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind((source, 0)); one.settimeout(3)
one.sendto(b"x" * size, (ip, port))
try: say(back=len(one.recv(65000)))
except OSError: say(back=0)
"""


def test_fragments_come_to_the_worker_of_their_flow(agent, pods):
    web, client = pods
    traffic.udp_echo(web, IP4, PORT)
    attached(agent, pods)
    for source in SOURCES.values():
        for size in (100, 4000, 9000):
            asked = traffic.Program(
                client, _DATAGRAMS, source, IP4, str(PORT), str(size)
            )
            assert asked.heard()["back"] >= size


_LISTEN = """
group, port = sys.argv[1], int(sys.argv[2])
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); heard.bind((group, port))
here = socket.inet_aton(group) + struct.pack("@ii", 0, socket.if_nametoindex("eth0"))
heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, here)
say(ready=True)
_, asker = heard.recvfrom(100)
for source in sys.argv[3:]:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); one.bind((source, port))
    one.sendto(b"here", asker)
"""
_ASK = """
group, port, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.settimeout(3)
one.bind((sys.argv[4], 0)); one.sendto(b"who?", (group, port))
try:
    for _ in range(most): say(source=one.recvfrom(100)[1][0])
except OSError as error: say(source=str(error))
"""


def test_a_question_to_a_group_is_answered_through_either(agent, pods):
    """The answers come from other addresses than the group's, so to either worker."""
    web, client = pods
    web.run("ip", "route", "add", "224.0.0.0/4", "dev", "eth0")
    client.run("ip", "route", "add", "224.0.0.0/4", "dev", "eth0")
    agent.attach(web, "web")
    agent.policy(
        """
groups: {web: {selector: {name: web}}}
modes: {web: protect}
rules:
  - {id: 3, from: web, to: any, ports: [udp/5353], action: allow}
"""
    )
    group, words = packets.group_ip4, [str(5353), *SOURCES.values()]
    listening = traffic.Program(client, "import struct\n" + _LISTEN, group, *words)
    assert listening.heard()["ready"]
    asking = traffic.Program(web, _ASK, group, "5353", "2", IP4)
    assert {asking.heard()["source"] for _ in range(2)} == set(SOURCES.values())


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_one_that_hangs_or_dies_costs_its_share_and_is_replaced_alone(agent, pods, how):
    client = pods[1]
    attached(agent, pods)
    held = {
        worker: traffic.tcp_talk(client, IP4, PORT)
        if worker < 0
        else connections(client, source, most=1)
        for worker, source in SOURCES.items()
    }
    assert all(one.heard()["ok"] for one in held.values())
    agent.policy(POLICY.replace("action: allow", "action: allow, comment: again"))
    before = pids(agent)
    other = connections(client, SOURCES[0], OTHER, most=1)
    assert not other.heard()["ok"]
    agent.policy(POLICY.replace("tcp/8080,", "tcp/8080, tcp/8081,"))
    os.kill(before[1], how)
    # Nothing of these is known to the kernel: each wants a verdict, of the worker that lives.
    for _ in range(5):
        assert connections(client, SOURCES[0], OTHER).heard()["ok"]
        assert connections(client, SOURCES6[0], OTHER).heard()["ok"]
    wait_for(lambda: agent.messages("took over"), 20)
    after = wait_for(lambda: all(pids(agent)) and pids(agent), 10)
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert [one["restarts"] for one in workers(agent)] == [0, 1]
    for source in (SOURCES[1], SOURCES6[1]):
        assert connections(client, source, OTHER).heard()["ok"]


def test_a_successor_leaves_the_entries_of_the_others(agent, pods):
    """The other's flow stays in the kernel, counted there, while one is replaced."""
    client = pods[1]
    attached(agent, pods)
    talks = {
        worker: traffic.Program(client, _TALK, source, IP4, str(PORT))
        for worker, source in SOURCES.items()
    }
    for talk in talks.values():
        for _ in range(3):
            assert talk.said("hello")["back"] == 6
    rows = agent.cli("dump-maps", "seg_flows4", "-o", "json").stdout
    known = {(one["remote"], one["local"]) for one in json.loads(rows)["seg_flows4"]}
    assert (SOURCES[0], IP4) in known
    os.kill(pids(agent)[1], signal.SIGKILL)
    wait_for(lambda: agent.messages("took over"), 20)
    rows = agent.cli("dump-maps", "seg_flows4", "-o", "json").stdout
    left = {(one["remote"], one["local"]) for one in json.loads(rows)["seg_flows4"]}
    assert (SOURCES[0], IP4) in left
    before = agent.counts("web")["to_engine"]
    assert talks[0].said("hello")["back"] == 6
    assert agent.counts("web")["to_engine"] == before
    assert talks[1].said("hello")["back"] == 6


_TALK = """
source, ip, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
with socket.create_connection((ip, port), timeout=10, source_address=(source, 0)) as talk:
    for line in sys.stdin:
        talk.sendall(line.encode()); back = b""
        while not back.endswith(b"\\n"): back += talk.recv(100)
        say(back=len(back))
"""


def talking(client: Netns) -> list[traffic.Program]:
    """A connection through each worker that has carried something."""
    talks = [
        traffic.Program(client, _TALK, source, IP4, str(PORT))
        for source in SOURCES.values()
    ]
    for talk in talks:
        assert talk.said("hello")["back"] == 6
    return talks


def test_the_next_agent_takes_both_over(agent, pods):
    client = pods[1]
    count(client, PORT)
    attached(agent, pods)
    before = pids(agent)
    talks = talking(client)
    agent.kill()
    agent.start("--workers", "2")
    assert pids(agent) == before
    for talk in talks:
        assert talk.said("hello")["back"] == 6
        talk.process.kill()
    wait_for(lambda: len(ended(agent)) == 2, 10)
    sums = tuple(sum(column) for column in zip(*map(told, ended(agent)), strict=True))
    assert sums == counted(client)


def has_ended(pid: int) -> bool:
    """Perhaps nobody has reaped it yet: its agent ended before it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rsplit(")", 1)[1].split()[0] in "ZX"


@pytest.mark.parametrize("number", [1, 3])
def test_with_another_number_all_begin_anew_and_open_flows_go_on(agent, pods, number):
    client = pods[1]
    attached(agent, pods)
    before = pids(agent)
    talks = talking(client)
    agent.stop()
    agent.start("--workers", str(number))
    assert "open flows begin anew" in agent.last_words()
    assert len(pids(agent)) == number
    assert not set(pids(agent)) & set(before)
    for pid in before:
        assert has_ended(pid)
    for talk in talks:
        for _ in range(3):
            assert talk.said("hello")["back"] == 6
    for source in (*SOURCES.values(), *SOURCES6.values()):
        assert connections(client, source, most=3).heard()["ok"]


# The rings' filters, without an agent.


def frames() -> Iterator[bytes]:
    """Frames of all kinds between random addresses."""
    chance = random.Random(7)
    mac = Ether(src=packets.gateway_mac, dst=packets.pod_one_mac)
    for _ in range(250):
        a4, b4, c4 = (
            f"10.{chance.randrange(4)}.0.{chance.randrange(1, 255)}" for _ in "abc"
        )
        a6, b6, c6 = (f"2001:db8::{chance.randrange(1, 65536):x}" for _ in "abc")
        quoted4 = IP(src=a4, dst=c4) / UDP(sport=1, dport=2) / Raw(b"12345678")
        quoted6 = IPv6(src=a6, dst=c6) / UDP(sport=1, dport=2)
        options = [IPOption_RR(routers=["0.0.0.0"] * chance.randrange(1, 6))]
        kind = chance.choice([3, 4, 5, 11, 12, 8, 0, 13])
        yield bytes(
            chance.choice(
                [
                    mac / IP(src=a4, dst=b4) / UDP(sport=1, dport=2),
                    mac / IP(src=a4, dst=b4, frag=4) / Raw(b"\3" * 60),
                    mac / IP(src=a4, dst=b4, proto=1, flags="MF") / Raw(b"\3" * 60),
                    mac / IP(src=b4, dst=a4) / ICMP(type=kind) / quoted4,
                    mac
                    / IP(src=b4, dst=a4, options=options)
                    / ICMP(type=kind)
                    / quoted4,
                    mac / IP(src=b4, dst=a4) / ICMP(type=3) / Raw(b"\x45short"),
                    mac / IPv6(src=a6, dst=b6) / UDP(sport=1, dport=2),
                    mac / IPv6(src=b6, dst=a6) / ICMPv6DestUnreach() / quoted6,
                    mac / IPv6(src=b6, dst=a6) / ICMPv6DestUnreach() / Raw(b"short"),
                    mac / IPv6(src=b6, dst=a6) / ICMPv6EchoRequest() / Raw(bytes(60)),
                    mac
                    / IPv6(src=b6, dst=a6)
                    / IPv6ExtHdrDestOpt()
                    / ICMPv6DestUnreach()
                    / quoted6,
                    mac
                    / IPv6(src=a6, dst=b6)
                    / IPv6ExtHdrFragment(nh=58)
                    / Raw(bytes(80)),
                    mac / ARP(psrc=a4, pdst=b4),
                    mac / Dot1Q(vlan=3) / Dot1Q(vlan=4) / IP(src=a4, dst=b4) / UDP(),
                    Ether(
                        bytes(mac / IP(src=a4, dst=b4))[: 14 + chance.randrange(1, 20)]
                    ),
                    Ether(
                        bytes(mac / IPv6(src=a6, dst=b6))[
                            : 14 + chance.randrange(1, 40)
                        ]
                    ),
                ]
            )
        )


def received(rings: RingSet) -> int:
    """Frames since the last call."""
    found = 0
    for fd in rings.fds[:3]:
        with socket.socket(fileno=os.dup(fd)) as one:
            raw = one.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        found += struct.unpack("II", raw)[0]
    return found


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_frame_comes_to_its_worker_and_to_no_other(lab, number):
    ns = enforcer_of(lab, mtu=2048)
    tap = Tap(ns)
    sets = [
        open_rings(Path(ns.path), worker=Worker(worker, number))
        for worker in range(number)
    ]
    try:
        for frame in frames():
            for one in sets:
                received(one)
            tap.send(frame)
            got = [received(one) for one in sets]
            # The kernel takes the outer tag out before a filter reads the frame.
            seen = frame[:12] + frame[16:] if frame[12:14] == b"\x81\0" else frame
            wanted = worker_of(seen, number)
            assert got == [int(worker == wanted) for worker in range(number)], frame
    finally:
        tap.close()
        for one in sets:
            one.close()
