"""Real traffic through each datapath, the engine an echo: what is inspected, and what crosses."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from pyctl.model.workload import DatapathKind, Mode
from tests import packets
from tests.lab.datapath.wiring import (
    ADDRESSES,
    GATEWAY,
    Sniffer,
    Wiring,
    send,
    stream,
)
from tests.lab.net.traffic import WIRE_FRAME, answered, ping
from tests.lab.pace import wait_for


@pytest.fixture
def two_pods(either: Wiring) -> Wiring:
    """Name: two_pods. Scope: function. Depends: either. Two attached pods in protect."""
    return either.start_pods(2)


@pytest.mark.parametrize("version", [4, 6])
def test_unicast_goes_through_the_inspector_both_ways(two_pods: Wiring, version):
    """Behaviour 6, first half; and the counters tell."""
    assert answered(ping(two_pods.pods[0], GATEWAY[version])) == (3, 3)
    ways = two_pods.inspected()
    for way in ("egress", "ingress"):
        assert two_pods.is_all(ways.count((way, "0101")), 3)
    for reason in ("to_engine", "from_engine"):
        assert two_pods.is_all(two_pods.counted(0, reason), 6)


@pytest.mark.parametrize("version", [4, 6])
def test_pod_to_pod_is_decided_once_as_egress_and_once_as_ingress(
    two_pods: Wiring, version
):
    """Behaviour 8."""
    assert answered(ping(two_pods.pods[0], ADDRESSES[version][1], count=1)) == (1, 1)
    ways = two_pods.inspected()
    for way in ("egress", "ingress"):
        for port in ("0101", "0202"):
            assert two_pods.is_all(ways.count((way, port)), 1)


@pytest.mark.parametrize("mode", [Mode.PROTECT, Mode.DISCOVER])
def test_the_rewritten_macs_are_never_seen_outside(two_pods: Wiring, mode):
    """Behaviour 7: in the pods, on the host peers, on the bridge."""
    for number in (0, 1):
        two_pods.update(number, mode=mode)
    taps = [Sniffer(pod, "eth0") for pod in two_pods.pods]
    taps += [Sniffer(two_pods.host, name) for name in ("veth0", "veth1", "br0")]
    assert answered(ping(two_pods.pods[0], packets.pod_two_ip4)) == (3, 3)
    assert answered(ping(two_pods.pods[0], packets.gateway_ip6)) == (3, 3)
    for tap in taps:
        frames = tap.frames()
        assert frames
        assert not [
            f for f in frames if b"Neu" in f[:12] or b"\xff\xff\xff\x00" in f[:12]
        ]


def test_arp_and_discovery_cross_untouched(two_pods: Wiring):
    """Behaviour 6, second half: byte for byte, and without the engine."""
    pod, host = two_pods.pods[0], two_pods.host
    asked = {
        way: bytes(
            Ether(src=mac, dst=packets.broadcast_mac) / ARP(op=1, hwsrc=mac, psrc=ip)
        )
        for way, mac, ip in (
            ("out", packets.pod_one_mac, packets.pod_one_ip4),
            ("in", packets.gateway_mac, packets.gateway_ip4),
        )
    }
    outside, inside = Sniffer(host, "veth0"), Sniffer(pod, "eth0")
    send(pod, "eth0", asked["out"])
    send(host, "veth0", asked["in"])
    wait_for(lambda: outside.saw(asked["out"]))
    wait_for(lambda: inside.saw(asked["in"]))
    assert two_pods.is_all(len(two_pods.inspected()), 0)
    # Neighbour discovery did its work: without it, no ping.
    assert answered(ping(pod, packets.gateway_ip6)) == (3, 3)
    assert two_pods.counted(0, "neighbour_discovery") >= 2


@pytest.mark.parametrize(
    ("mac", "address"),
    [
        (packets.broadcast_mac, packets.limited_broadcast_ip4),
        (packets.broadcast_mac, packets.subnet_broadcast_ip4),
        (packets.group_mac, packets.group_ip4),
    ],
)
def test_what_goes_to_many_is_inspected_and_arrives_as_a_group_frame(
    two_pods: Wiring, mac, address
):
    pod, host = two_pods.pods[0], two_pods.host
    frames = {
        way: bytes(
            Ether(src=source, dst=mac)
            / IP(src=ip, dst=address)
            / UDP(sport=1000, dport=1000)
            / Raw(b"x" * 40)
        )
        for way, source, ip in (
            ("out", packets.pod_one_mac, packets.pod_one_ip4),
            ("in", packets.gateway_mac, packets.gateway_ip4),
        )
    }
    outside, inside = Sniffer(host, "veth0"), Sniffer(pod, "eth0")
    send(pod, "eth0", frames["out"])
    wait_for(lambda: outside.saw(frames["out"]))
    send(host, "veth0", frames["in"])
    came = frames["in"]
    if two_pods.driver.kind is DatapathKind.U32:
        # Which group it was is not known any more.
        came = b"\xff" * 6 + came[6:]
    wait_for(lambda: inside.saw(came))
    assert two_pods.counted(0, "to_engine") >= 2


def test_super_frames_pass_the_engine_whole(two_pods: Wiring):
    """Offloads stay on: the engine sees several segments as one."""
    stream(two_pods, two_pods.pods[0], two_pods.pods[1], 4, megabytes=20)
    assert two_pods.report()["largest"] > WIRE_FRAME


def test_ports_whose_ifindexes_are_equal_mod_65536_do_not_mix(either: Wiring):
    """Behaviour 9: port ids are allocated, no ifindex takes part in a UCMAC."""
    either.pod(vex_index=5001, vin_index=5002)
    either.pod(vex_index=5001 + 65536, vin_index=5002 + 65536)
    either.attach_all()
    either.start_engine()
    inside = Sniffer(either.pods[1], "eth0")
    assert answered(ping(either.pods[0], packets.gateway_ip4)) == (3, 3)
    one = bytes.fromhex(packets.pod_one_mac.replace(":", ""))
    assert not [frame for frame in inside.frames() if frame[:6] == one]
    assert answered(ping(either.pods[1], packets.gateway_ip4)) == (3, 3)
    for port in (0, 1):
        assert either.is_all(either.counted(port, "to_engine"), 6)


def test_a_silent_engine_drops_what_it_does_not_send_back(two_pods: Wiring):
    two_pods.engine.said("mute")
    assert answered(ping(two_pods.pods[0], packets.gateway_ip4)) == (3, 0)
    ways = two_pods.inspected()
    assert two_pods.is_all(ways.count(("egress", "0101")), 3)
    assert ("ingress", "0101") not in ways
