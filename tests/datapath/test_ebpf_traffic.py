"""Real traffic through the eBPF datapath, the engine an echo: what is carried, and how."""

from __future__ import annotations

import socket
import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from pyctl import abi
from pyctl.datapath.maps import dump_maps
from pyctl.datapath.pins import open_map
from tests import packets
from tests.fixtures.netns import wait_for
from tests.fixtures.traffic import Program, answered, ping
from tests.fixtures.wiring import Sniffer, Wiring, send

CLIENT_PORT, SERVER_PORT = 40001, 5001
GENERATION = 3
PODS = {
    4: (packets.pod_one_ip4, packets.pod_two_ip4),
    6: (packets.pod_one_ip6, packets.pod_two_ip6),
}
GATEWAY = {4: packets.gateway_ip4, 6: packets.gateway_ip6}

_SINK = """
ip, port, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
listener = socket.socket(family(ip)); listener.bind((ip, port)); listener.listen(1); say(ready=True)
peer = listener.accept()[0]; got = 0
while got < size:
    data = peer.recv(1 << 20)
    if not data: break
    got += len(data)
peer.sendall(b"k"); say(got=got)
"""
_SOURCE = """
ip, port, mine, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
out = socket.socket(family(ip)); out.bind(("", mine)); out.settimeout(20); out.connect((ip, port))
start = time.monotonic(); block = bytes(1 << 20)
for _ in range(size >> 20): out.sendall(block)
out.recv(1); say(seconds=time.monotonic() - start)
"""


def stream(wiring: Wiring, source, sink, version, megabytes) -> float:
    """Seconds for a TCP stream of pod `source` to pod `sink`, all of it arrived."""
    size, ip = megabytes << 20, PODS[version][wiring.pods.index(sink)]
    server = Program(sink, _SINK, ip, str(SERVER_PORT), str(size))
    server.heard()
    client = Program(source, _SOURCE, ip, str(SERVER_PORT), str(CLIENT_PORT), str(size))
    seconds = client.heard()["seconds"]
    assert server.heard()["got"] == size
    return seconds


def decide(wiring: Wiring, version: int) -> None:
    """What the engine would write for the stream of pod 0 to pod 1: four entries, all allow."""
    first, second = (
        socket.inet_pton(socket.AF_INET if version == 4 else socket.AF_INET6, ip)
        for ip in PODS[version]
    )
    for pair, ways in (
        (wiring.pairs[0], ("EGRESS", "INGRESS")),
        (wiring.pairs[1], ("INGRESS", "EGRESS")),
    ):
        wiring.driver.publish_generation(pair.port_id, GENERATION)
        for way, (src, dst, sport, dport) in zip(
            ways,
            (
                (first, second, CLIENT_PORT, SERVER_PORT),
                (second, first, SERVER_PORT, CLIENT_PORT),
            ),
            strict=True,
        ):
            raw = {"saddr": src, "daddr": dst}
            key = abi.pack(
                f"seg_flow_key{version}",
                port_id=pair.port_id,
                dir=abi.constant(f"SEG_DIR_{way}"),
                proto=6,
                sport=socket.htons(sport),
                dport=socket.htons(dport),
                **{
                    k: int.from_bytes(v, "little") if version == 4 else list(v)
                    for k, v in raw.items()
                },
            )
            flow = abi.pack(
                "seg_flow",
                generation=GENERATION,
                last_seen_ns=time.monotonic_ns(),
                timeout_ns=3600 * 10**9,
                verdict=abi.constant("SEG_VERDICT_ALLOW"),
            )
            with open_map(wiring.instance, f"seg_flows{version}") as flows:
                flows.update(key, flow)


@pytest.fixture
def two_pods(wiring: Wiring) -> Wiring:
    """Name: two_pods. Scope: function. Depends: wiring. Two attached pods in protect."""
    wiring.pod()
    wiring.pod()
    wiring.attach_all()
    wiring.start_engine()
    return wiring


@pytest.mark.parametrize("version", [4, 6])
def test_unicast_goes_through_the_inspector_both_ways(two_pods: Wiring, version):
    """Behaviour 6, first half; and the counters tell."""
    assert answered(ping(two_pods.pods[0], GATEWAY[version])) == (3, 3)
    ways = two_pods.inspected()
    assert ways.count(("egress", "0101")) == 3
    assert ways.count(("ingress", "0101")) == 3
    assert two_pods.counted(0, "to_engine") == 6
    assert two_pods.counted(0, "from_engine") == 6


@pytest.mark.parametrize("version", [4, 6])
def test_pod_to_pod_is_decided_once_as_egress_and_once_as_ingress(
    two_pods: Wiring, version
):
    """Behaviour 8."""
    assert answered(ping(two_pods.pods[0], PODS[version][1], count=1)) == (1, 1)
    assert sorted(two_pods.inspected()) == [
        ("egress", "0101"),
        ("egress", "0202"),
        ("ingress", "0101"),
        ("ingress", "0202"),
    ]


def test_the_rewritten_macs_are_never_seen_outside(two_pods: Wiring):
    """Behaviour 7: in the pods, on the host peers, on the bridge."""
    taps = [Sniffer(pod, "eth0") for pod in two_pods.pods]
    taps += [Sniffer(two_pods.host, name) for name in ("veth0", "veth1", "br0")]
    assert answered(ping(two_pods.pods[0], packets.pod_two_ip4)) == (3, 3)
    assert answered(ping(two_pods.pods[0], packets.gateway_ip6)) == (3, 3)
    for tap in taps:
        frames = tap.frames()
        assert frames
        assert not [
            f for f in frames if b"NeuV" in f[:12] or b"\xff\xff\xff\x00" in f[:12]
        ]


def test_arp_discovery_broadcast_and_multicast_cross_untouched(two_pods: Wiring):
    """Behaviour 6, second half: byte for byte, and without the engine."""
    pod, host = two_pods.pods[0], two_pods.host
    frames = {}
    for way, mac, ip in (
        ("out", packets.pod_one_mac, packets.pod_one_ip4),
        ("in", packets.gateway_mac, packets.gateway_ip4),
    ):
        frames[way] = [
            bytes(
                Ether(src=mac, dst=packets.broadcast_mac)
                / ARP(op=1, hwsrc=mac, psrc=ip)
            ),
            bytes(
                Ether(src=mac, dst=packets.broadcast_mac)
                / IP(src=ip, dst=packets.limited_broadcast_ip4)
                / UDP(sport=1000, dport=1000)
                / Raw(b"x" * 40)
            ),
            bytes(
                Ether(src=mac, dst=packets.group_mac)
                / IP(src=ip, dst=packets.group_ip4)
                / UDP(sport=1000, dport=1000)
                / Raw(b"x" * 40)
            ),
        ]
    outside, inside = Sniffer(host, "veth0"), Sniffer(pod, "eth0")
    send(pod, "eth0", *frames["out"])
    send(host, "veth0", *frames["in"])
    for frame in frames["out"]:
        wait_for(lambda frame=frame: outside.saw(frame))
    for frame in frames["in"]:
        wait_for(lambda frame=frame: inside.saw(frame))
    assert two_pods.inspected() == []
    # Neighbour discovery did its work: without it, no ping.
    assert answered(ping(pod, packets.gateway_ip6)) == (3, 3)
    assert two_pods.counted(0, "neighbour_discovery") >= 2


def test_super_frames_pass_the_engine_whole(two_pods: Wiring):
    """Offloads stay on: what the engine sees is larger than any MTU."""
    stream(two_pods, two_pods.pods[0], two_pods.pods[1], 4, megabytes=20)
    assert two_pods.report()["largest"] > 9000


@pytest.mark.parametrize("version", [4, 6])
def test_a_decided_flow_bypasses_the_engine(two_pods: Wiring, version):
    decide(two_pods, version)
    stream(two_pods, two_pods.pods[0], two_pods.pods[1], version, megabytes=100)
    # SYN twice (as egress and as ingress); FIN may not have come by yet.
    assert len(two_pods.inspected()) <= 8
    rows = dump_maps(two_pods.instance, f"seg_flows{version}")[f"seg_flows{version}"]
    outward = [row for row in rows if row["source_port"] == CLIENT_PORT]
    assert [row["verdict"] for row in outward] == ["allow", "allow"]
    assert all(row["bytes"] > 100 << 20 for row in outward)
    assert two_pods.counters(0)["flow_allow"].bytes > 100 << 20


def test_a_new_generation_brings_a_decided_flow_back_to_the_engine(two_pods: Wiring):
    decide(two_pods, 4)
    two_pods.driver.publish_generation(two_pods.pairs[0].port_id, GENERATION + 1)
    stream(two_pods, two_pods.pods[0], two_pods.pods[1], 4, megabytes=5)
    ways = two_pods.inspected()
    assert ways.count(("egress", "0101")) > 10
    assert ways.count(("ingress", "0202")) <= 2


def test_ports_whose_ifindexes_are_equal_mod_65536_do_not_mix(wiring: Wiring):
    """Behaviour 9: port ids are allocated, no ifindex takes part in a UCMAC."""
    wiring.pod(vex_index=5001, vin_index=5002)
    wiring.pod(vex_index=5001 + 65536, vin_index=5002 + 65536)
    wiring.attach_all()
    wiring.start_engine()
    inside = Sniffer(wiring.pods[1], "eth0")
    assert answered(ping(wiring.pods[0], packets.gateway_ip4)) == (3, 3)
    one = bytes.fromhex(packets.pod_one_mac.replace(":", ""))
    assert not [frame for frame in inside.frames() if frame[:6] == one]
    assert answered(ping(wiring.pods[1], packets.gateway_ip4)) == (3, 3)
    assert wiring.counted(0, "to_engine") == wiring.counted(1, "to_engine") == 6


def test_a_silent_engine_drops_what_it_does_not_send_back(two_pods: Wiring):
    two_pods.engine.said("mute")
    assert answered(ping(two_pods.pods[0], packets.gateway_ip4)) == (3, 0)
