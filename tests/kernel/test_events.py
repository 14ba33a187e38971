"""Drops are told through seg_events: what is in a record, and how often."""

from __future__ import annotations

import time

from pyctl import abi
from pyctl.datapath.events import EventReader
from pyctl.datapath.pins import open_map
from tests import packets
from tests.kernel import frames as f
from tests.kernel.conftest import LOOPBACK, PORT, Lab


def drained(kernel):
    reader = EventReader(kernel.instance)
    reader.read()
    return reader


def test_a_drop_is_told_with_all_that_was_parsed(kernel: Lab):
    frame = bytes(f.link("out") / f.ip("out", src=packets.pod_two_ip4) / f.udp())
    kernel.port("vin")
    with drained(kernel) as reader:
        kernel.run("vin", frame)
        [event] = reader.read()
    assert (event.port_id, event.reason, event.passed) == (PORT, "spoofed_ip", False)
    assert (event.ifindex, event.frame_len, event.ethertype) == (
        LOOPBACK,
        len(frame),
        0x0800,
    )
    assert (event.source, event.destination) == (packets.pod_two_ip4, packets.world_ip4)
    assert (event.protocol, event.source_port, event.destination_port) == (
        17,
        f.CLIENT,
        f.SERVER,
    )
    assert (event.source_mac, event.destination_mac) == (
        packets.pod_one_mac,
        packets.gateway_mac,
    )
    assert (event.direction, event.packets) == ("egress", 1)


def test_one_port_and_reason_is_told_once_a_second(kernel: Lab):
    frame = bytes(f.link("out", src=packets.stranger_mac) / f.ARP())
    kernel.port("vin")
    with drained(kernel) as reader:
        begun = time.monotonic()
        kernel.run("vin", frame)
        program = kernel.programs["vin"]
        program.test_run(frame, repeat=1000)
        told = reader.read()
        seconds = time.monotonic() - begun
    # A test run may move to another CPU, whose count is its own.
    assert 1 <= len(told) <= 2 * (1 + int(seconds))
    assert {event.reason for event in told} == {"spoofed_mac"}


def test_what_is_only_recorded_is_told_as_passed(kernel: Lab):
    kernel.port("vin", "discover")
    with drained(kernel) as reader:
        kernel.run("vin", bytes(f.link("out", src=packets.stranger_mac) / f.ARP()))
        [event] = reader.read()
    assert event.passed
    assert event.source == "0.0.0.0", "whom ARP speaks for"


def test_what_passes_is_not_told(kernel: Lab):
    kernel.port("vin")
    with drained(kernel) as reader:
        kernel.run("vin", bytes(f.link("out") / f.ip("out") / f.udp()))
        assert reader.read() == []


def test_the_ring_goes_round(kernel: Lab):
    """As many records as the ring holds, read in between: none torn, none lost."""
    frame = bytes(f.link("out", src=packets.stranger_mac) / f.ARP())
    kernel.port("vin")
    rounds = 1 + abi.constant("SEG_EVENTS_BYTES") // (abi.sizeof("seg_event") + 8)
    program = kernel.programs["vin"]
    with (
        drained(kernel) as reader,
        open_map(kernel.instance, "seg_counters") as counters,
    ):
        kernel.run("vin", frame)
        told = len(reader.read())
        [counted] = counters.entry_keys()
        for _ in range(rounds):
            # Else it is told once a second.
            counters.delete(counted)
            program.test_run(frame)
            told += len(reader.read())
    assert told == 1 + rounds
