"""An element of the flow maps is another flow's as soon as the engine deletes it: no packet takes that one's verdict."""

from __future__ import annotations

import os
import struct
import threading
import time

import pytest

from pyctl import abi
from pyctl.datapath.maps import sum_counter
from pyctl.datapath.pins import open_map
from tests import packets
from tests.kernel import frames as f
from tests.kernel.conftest import GENERATION, LOOPBACK, OTHER_PORT, PORT, Lab
from tests.kernel.entries import TCP, entry_of, key
from tests.kernel.test_flows import steer

RUNS, SECONDS = 200_000, 3.0
"""Of one flow's packets, while its element is given away and back. Without the seal a dozen of them get the other
flow's verdict: those that an interrupt keeps between finding the element and reading it.
"""
SEAL = abi.ffi.offsetof("struct seg_flow", "seal")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("local", 1),
        ("local_port", 1),
        ("remote_port", 2),
        ("port_id", OTHER_PORT),
        ("session", 8),
        ("verdict", 2),
        ("ingress_verdict", 2),
        ("generation", GENERATION + 1),
    ],
)
@pytest.mark.parametrize("version", [4, 6])
def test_an_entry_holds_with_its_own_seal_alone(kernel: Lab, version, name, value):
    """While another flow takes the element, its fields are of either."""
    steer(kernel, "vin")
    flow, other, fields = key("vin", version, TCP), {}, {"session": 7}
    if name in ("session", "verdict", "ingress_verdict", "generation"):
        fields[name] = value
    else:
        other[name] = [value] * 16 if (name, version) == ("local", 6) else value
    own = bytearray(entry_of(flow, session=7))
    another = entry_of(key("vin", version, TCP, **other), **fields)
    frame = bytes(f.link("out") / f.ip("out", version) / f.tcp())
    kernel.write(f"seg_flows{version}", flow, bytes(own))
    assert kernel.run("vin", frame).reason == "flow_allow"
    own[SEAL : SEAL + 8] = another[SEAL : SEAL + 8]
    kernel.write(f"seg_flows{version}", flow, bytes(own))
    assert kernel.run("vin", frame).reason == "to_engine"


def counts(kernel: Lab) -> dict[tuple[int, str], int]:
    """Packets by port and reason."""
    found = {}
    with open_map(kernel.instance, "seg_counters") as counters:
        for name, value in counters.entries():
            key = abi.unpack("seg_counter_key", name)
            total = sum_counter(counters.split(value))
            found[key.port_id, abi.REASONS[key.reason].name] = total.packets
    return found


def race(
    kernel: Lab, cpu: int, frame: bytes, name: str, *writes: tuple[bytes, bytes | None]
) -> dict[tuple[int, str], int]:
    """What the frame from the workload meets on one CPU while another writes these entries in turn. None: delete."""
    over = threading.Event()

    def send() -> None:
        os.sched_setaffinity(0, {(cpu + 1) % os.cpu_count()})
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            kernel.programs["vin"].test_run(frame, repeat=RUNS)
        over.set()

    with open_map(kernel.instance, "seg_counters") as counters:
        for key in counters.entry_keys():
            counters.delete(key)
    sender = threading.Thread(target=send)
    with open_map(kernel.instance, name) as opened:
        for key, value in writes:
            opened.update(key, value) if value else opened.delete(key)
        sender.start()
        while not over.is_set():
            for key, value in writes:
                opened.update(key, value) if value else opened.delete(key)
    sender.join()
    return counts(kernel)


@pytest.mark.skipif(os.cpu_count() == 1, reason="two CPUs race")
def test_a_denied_flow_takes_no_verdict_of_what_takes_its_element(kernel: Lab, one_cpu):
    steer(kernel, "vin")
    # What finds no entry is dropped as it came: the test run repeats on one and the same frame.
    kernel.heartbeat(stale=True)
    frame = bytes(f.link("out") / f.ip("out") / f.tcp())
    denied, allowed = key("vin", 4, TCP), key("vin", 4, TCP, dport=f.SERVER + 1)
    writes = (denied, entry_of(denied, "deny")), (denied, None)
    writes += (allowed, entry_of(allowed)), (allowed, None)
    met = race(kernel, one_cpu, frame, "seg_flows4", *writes)
    assert met[PORT, "flow_deny"] > 0
    assert {reason for _, reason in met} == {"flow_deny", "engine_down"}


OTHER_IFINDEX = 999


@pytest.mark.skipif(os.cpu_count() == 1, reason="two CPUs race")
def test_a_frame_is_of_its_own_port(kernel: Lab, one_cpu):
    """While ports change, one takes the element that another had."""
    kernel.heartbeat(stale=True)
    kernel.port("vin")
    own = struct.pack("=I", LOOPBACK), kernel.port_value("vin", LOOPBACK)
    other = (
        struct.pack("=I", OTHER_IFINDEX),
        kernel.port_value("vin", OTHER_IFINDEX, port_id=OTHER_PORT, owner=OTHER_PORT),
    )
    frame = bytes(f.link("out") / f.ip("out") / f.tcp())
    met = race(kernel, one_cpu, frame, "seg_ports", own, other)
    assert set(met) == {(PORT, "engine_down")}


@pytest.mark.skipif(os.cpu_count() == 1, reason="two CPUs race")
def test_an_address_of_another_stays_that_ones(kernel: Lab, one_cpu):
    kernel.port("vin")
    taken = kernel.owner_entry(packets.pod_two_ip4, owner=OTHER_PORT)
    spare = kernel.owner_entry(packets.world_ip4, owner=OTHER_PORT, spare=1)
    frame = bytes(f.link("out") / f.ip("out", src=packets.pod_two_ip4) / f.tcp())
    met = race(kernel, one_cpu, frame, "seg_owners", taken, spare)
    assert set(met) == {(PORT, "taken_ip")}


@pytest.mark.skipif(os.cpu_count() == 1, reason="two CPUs race")
def test_a_mac_of_another_stays_that_ones(kernel: Lab, one_cpu):
    kernel.port("vin")
    other = kernel.mac_entry(packets.pod_two_mac, owner=OTHER_PORT)
    host = kernel.mac_entry(packets.gateway_mac, owner=0)
    frame = bytes(f.link("out", src=packets.pod_two_mac) / f.ip("out") / f.tcp())
    met = race(kernel, one_cpu, frame, "seg_macs", other, host)
    assert set(met) == {(PORT, "peer_mac")}


@pytest.mark.skipif(os.cpu_count() == 1, reason="two CPUs race")
def test_a_broadcast_address_is_no_source(kernel: Lab, one_cpu):
    kernel.heartbeat(stale=True)
    kernel.port("vin")
    broadcast = kernel.address_entry(packets.subnet_broadcast_ip4, kind="broadcast")
    own = kernel.address_entry(packets.pod_two_ip4)
    frame = bytes(
        f.link("out") / f.ip("out", src=packets.subnet_broadcast_ip4) / f.tcp()
    )
    met = race(kernel, one_cpu, frame, "seg_addrs", broadcast, own)
    assert set(met) == {(PORT, "spoofed_ip")}
