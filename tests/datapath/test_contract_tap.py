"""The tap of discover and monitor: frames go on at once, unaltered; the engine gets copies.

Behaviours 14 to 16, on each datapath: whatever the engine's verdict or state.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from pyctl.model.workload import DatapathKind, Mode
from tests import packets
from tests.lab.datapath.wiring import GATEWAY, Sniffer, Wiring, send, stream
from tests.lab.net.traffic import WIRE_FRAME, Gauge, answered, ping, resolved
from tests.lab.pace import wait_for

TAPS = (Mode.DISCOVER, Mode.MONITOR)


@pytest.fixture
def tapped(either: Wiring) -> Wiring:
    """Name: tapped. Scope: function. Depends: either. One attached pod in discover."""
    return either.start_pods(1, mode=Mode.DISCOVER)


@pytest.mark.parametrize("version", [4, 6])
def test_each_undecided_packet_goes_on_at_once_and_is_copied(tapped: Wiring, version):
    """An engine that sends all back, as none of ours would, doubles nothing."""
    assert answered(ping(tapped.pods[0], GATEWAY[version])) == (3, 3)
    ways = []
    wait_for(
        lambda: (
            (ways.extend(tapped.copied()) or ways).count(("ingress", "0101")) >= 3
            and ways.count(("egress", "0101")) >= 3
        )
    )
    for way in ("egress", "ingress"):
        assert tapped.is_all(ways.count((way, "0101")), 3)
    assert tapped.is_all(tapped.counted(0, "to_engine"), 6)
    assert tapped.counted(0, "from_engine") == 0


def test_it_needs_no_engine(tapped: Wiring):
    """Behaviour 16: one that denies all, one that is dead, and one whose heart is known to have stopped
    where that would close a port."""
    pod = tapped.pods[0]
    tapped.engine.said("mute")
    assert answered(ping(pod, packets.gateway_ip4)) == (3, 3)
    tapped.engine.process.kill()
    if tapped.driver.kind is DatapathKind.EBPF:
        tapped.heartbeat(1)
    assert answered(ping(pod, packets.gateway_ip6)) == (3, 3)
    tapped.enforcer.run("ip", "link", "set", "vth-neuv", "down")
    assert answered(ping(pod, packets.gateway_ip4)) == (3, 3)


def test_frames_cross_byte_for_byte(tapped: Wiring):
    pod, host = tapped.pods[0], tapped.host
    payload = (
        IP(src=packets.pod_one_ip4, dst=packets.gateway_ip4) / UDP() / Raw(b"x" * 40)
    )
    out = bytes(Ether(src=packets.pod_one_mac, dst=packets.gateway_mac) / payload)
    into = bytes(Ether(src=packets.gateway_mac, dst=packets.pod_one_mac) / payload)
    outside, inside = Sniffer(host, "veth0"), Sniffer(pod, "eth0")
    send(pod, "eth0", out)
    send(host, "veth0", into)
    wait_for(lambda: outside.saw(out))
    wait_for(lambda: inside.saw(into))


@pytest.mark.parametrize("version", [4, 6])
def test_super_frames_stay_whole_for_the_receiver_and_for_the_engine(
    either: Wiring, version
):
    either.start_pods(2, mode=Mode.MONITOR)
    received = Gauge(either.pods[1], "eth0")
    stream(either, either.pods[0], either.pods[1], version, megabytes=4)
    assert received.largest() > WIRE_FRAME
    assert either.report()["largest"] > WIRE_FRAME


def test_a_stream_survives_changes_of_mode(either: Wiring):
    """Behaviour 15, under TCP: from holding to copying and back, nothing lost, nothing doubled."""
    either.start_pods(2)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            stream, either, either.pods[0], either.pods[1], 4, megabytes=40
        )
        rounds = 0
        while not running.done():
            for mode in (*TAPS, Mode.PROTECT):
                for number in (0, 1):
                    either.update(number, mode=mode)
            rounds += 1
        assert running.result() > 0
        assert rounds


def test_quarantine_ends_a_tap_and_lifting_it_begins_it_again(tapped: Wiring):
    """Behaviour 14, for a tap."""
    pod = tapped.pods[0]
    assert answered(ping(pod, packets.gateway_ip4)) == (3, 3)
    tapped.update(0, mode=Mode.QUARANTINE)
    pod.run("ip", "neigh", "flush", "dev", "eth0")
    assert answered(ping(pod, packets.gateway_ip4, wait=0.2)) == (3, 0)
    assert not resolved(pod, packets.gateway_ip4)
    tapped.update(0, mode=Mode.MONITOR)
    wait_for(lambda: answered(ping(pod, packets.gateway_ip4, count=1, wait=0.2))[1])
    assert answered(ping(pod, packets.gateway_ip4)) == (3, 3)
