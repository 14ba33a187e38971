"""Which engine a frame is for: the programs' hash is the one of the socket filters, and each engine's state is its own."""

from __future__ import annotations

import ipaddress
import random
import struct
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether

from pyctl import abi
from pyctl.datapath.ebpf import worker_maps
from pyctl.datapath.pins import open_map, pin_dir, worker_pin
from pyctl.platform.bpf.ring import RingReader
from tests import packets
from tests.kernel import frames as f
from tests.kernel.conftest import CLASS_VERSION, PORT, SECRET, Lab
from tests.kernel.test_flows import WAY, steer
from tests.kernel.test_open import allow, flows, service, syn
from tests.lab.datapath.workers import worker_of

MOST = abi.constant("SEG_WORKERS_MAX")
ALIVE = {
    "heartbeat_timeout_ns": 4_000_000_000,
    "flow_secret": SECRET,
    "class_version": CLASS_VERSION,
}


def shared(kernel: Lab, workers: int, dead: int | None = None) -> None:
    """So many engines share the packets; one of them may be dead."""
    for worker in range(MOST):
        beat = 1 if worker == dead else time.monotonic_ns() + 60_000_000_000
        value = abi.pack("seg_control", workers=workers, heartbeat_ns=beat, **ALIVE)
        kernel.write("seg_control", struct.pack("=I", worker), value)


def quoted(version: int, source: str, destination: str) -> bytes:
    """An ICMP error from a router about what the workload sent to `destination`."""
    if version == 4:
        inner = IP(src=packets.pod_one_ip4, dst=destination) / UDP(sport=9, dport=9)
        outer = IP(src=source, dst=packets.pod_one_ip4)
        return bytes(f.link("in") / outer / ICMP(type=3, code=1) / inner)
    inner = IPv6(src=packets.pod_one_ip6, dst=destination) / UDP(sport=9, dport=9)
    outer = IPv6(src=source, dst=packets.pod_one_ip6)
    kind = random.choice([ICMPv6DestUnreach(), ICMPv6PacketTooBig()])
    return bytes(f.link("in") / outer / kind / inner)


def datagram(version: int, source: str) -> bytes:
    pod = packets.pod_one_ip4 if version == 4 else packets.pod_one_ip6
    layer = IP if version == 4 else IPv6
    return bytes(f.link("in") / layer(src=source, dst=pod) / f.udp())


WORLD = st.one_of(
    st.ip_addresses(v=4, network="198.18.0.0/15"),
    st.ip_addresses(v=6, network="2001:db8:7::/48"),
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    peer=WORLD,
    router=st.integers(1, 65000),
    workers=st.integers(1, MOST),
    is_error=st.booleans(),
)
def test_a_frame_fails_with_its_worker_and_with_no_other(
    kernel, peer, router, workers, is_error
):
    kernel.port("vex")
    other = peer + 1 if int(peer) % 2 == 0 else peer - 1
    frame = (
        quoted(peer.version, str(other), str(peer))
        if is_error
        else datagram(peer.version, str(peer))
    )
    own = worker_of(frame, workers)
    shared(kernel, workers, dead=own)
    assert kernel.run("vex", frame).reason == "engine_down"
    if workers > 1:
        shared(kernel, workers, dead=(own + 1 + router % (workers - 1)) % workers)
        assert kernel.run("vex", frame).reason == "to_engine"


@pytest.mark.parametrize("version", [4, 6])
def test_both_directions_and_all_fragments_are_one_workers(version):
    for number in range(200):
        far = f"198.18.{number}.7" if version == 4 else f"2001:db8:7::{number + 1:x}:7"
        near = packets.pod_one_ip4 if version == 4 else packets.pod_one_ip6
        layer = IP if version == 4 else IPv6
        there = bytes(Ether() / layer(src=near, dst=far) / f.udp())
        back = bytes(Ether() / layer(src=far, dst=near) / f.tcp())
        assert worker_of(there, 5) == worker_of(back, 5)
        if version == 4:
            part = bytes(Ether() / IP(src=far, dst=near, frag=9) / f.Raw(b"x" * 8))
            assert worker_of(part, 5) == worker_of(there, 5)


def test_neighbours_are_spread_over_all_workers():
    near = ipaddress.ip_address(packets.pod_one_ip4)
    found = [0] * 4
    for number in range(1, 255):
        frame = bytes(Ether() / IP(src=str(near), dst=f"198.18.3.{number}") / f.udp())
        found[worker_of(frame, 4)] += 1
    assert min(found) > 40


@pytest.fixture
def two(kernel: Lab):
    """Name: two. Scope: function. Depends: kernel. The maps of two workers."""
    pins = pin_dir(kernel.instance)
    worker_maps.keep(pins, 2)
    credit = struct.pack("=q", 1000)
    kernel.write(worker_pin("seg_credits", 1), struct.pack("=I", PORT), credit)
    yield kernel
    worker_maps.keep(pins, 1)
    assert not (pins / worker_pin("seg_opens", 1)).exists()


@pytest.mark.parametrize("hook", ["vex", "vin"])
@pytest.mark.parametrize("version", [4, 6])
def test_an_opened_connection_is_told_to_its_worker_alone(two, hook, version):
    steer(two, hook)
    allow(two, service(hook, version))
    frame = syn(hook, version)
    own = worker_of(frame, 2)
    shared(two, 2)
    rings = [
        RingReader(open_map(two.instance, worker_pin("seg_opens", worker)))
        for worker in range(2)
    ]
    for ring in rings:
        # Another test may have left more than one read takes.
        while ring.read():
            pass
    assert two.run(hook, frame).reason == "flow_allow"
    assert [len(ring.read()) for ring in rings] == [own == 0, own == 1]
    assert len(flows(two, version)) == 1
    for ring in rings:
        ring.close()
    assert WAY


def test_where_a_worker_has_no_ring_its_connections_are_the_engines(kernel):
    steer(kernel, "vex")
    allow(kernel, service("vex", 4))
    frame = syn("vex", 4)
    workers = next(many for many in range(2, MOST) if worker_of(frame, many))
    shared(kernel, workers)
    assert kernel.run("vex", frame).reason == "to_engine"
    assert flows(kernel, 4) == {}


def test_a_worker_that_may_open_nothing_leaves_the_others_alone(two):
    steer(two, "vex")
    allow(two, service("vex", 4))
    frame = syn("vex", 4)
    own = worker_of(frame, 2)
    shared(two, 2)
    value = abi.pack(
        "seg_control",
        workers=2,
        heartbeat_ns=time.monotonic_ns() + 60_000_000_000,
        opens_nothing=1,
        **ALIVE,
    )
    two.write("seg_control", struct.pack("=I", own), value)
    assert two.run("vex", frame).reason == "to_engine"
    shared(two, 2)
    two.write("seg_control", struct.pack("=I", 1 - own), value)
    assert two.run("vex", frame).reason == "flow_allow"
