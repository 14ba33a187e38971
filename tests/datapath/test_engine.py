"""The engine's process on a real vth-neuv: what goes in, what comes out, and what survives."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
import time
from pathlib import Path

import pytest

from pyctl.engine._binding import constant
from pyctl.engine.process.engine import Engine
from pyctl.engine.rings import RingSet, open_rings
from pyctl.errors import SegctlError
from pyctl.model.policy import Action, PortRule
from pyctl.model.workload import Mode
from tests import packets
from tests.lab.pace import wait_for
from tests.lab.segctl.engine import NO_OFFLOAD, PORT, VNET, detour, heartbeat

NEEDS_CSUM, GSO_TCPV4, GSO_UDP_L4 = 1, 1, 5
UDP, TCP, ACK = 17, 6, 0x10
IP_BYTES, TCP_BYTES, ETHER_BYTES = 20, 20, 14
MSS = 1400


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4(proto, payload, source=packets.pod_one_ip4, destination=packets.world_ip4):
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    size = IP_BYTES + len(payload)
    head = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0x4000, 64, proto, 0) + addresses
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(number, size=40, sport=4000, dport=5000):
    """A frame out of the workload, `size` bytes of payload, which begins with the number."""
    payload = struct.pack("!I", number) + bytes(size - 4)
    datagram = struct.pack("!HHHH", sport, dport, 8 + size, 0) + payload
    return detour() + b"\x08\x00" + ip4(UDP, datagram)


def number_of(seen):
    return struct.unpack_from("!I", seen.frame, ETHER_BYTES + IP_BYTES + 8)[0]


def tcp(payload, flags=ACK):
    segment = struct.pack("!HHIIBBHHH", 4000, 80, 1, 1, 0x50, flags, 1000, 0, 0)
    return detour() + b"\x08\x00" + ip4(TCP, segment + payload)


SIZES = [40, 1990, 40, 1990, 40, 40, 8000, 40, 1990, 40, 30000, 200, 40, 60000, 40, 40]
"""Payloads for all three rings, none of which the frames of a test fill."""


@pytest.fixture
def jumbo_lab(engine_lab):
    """Links that take frames of any size without segmentation."""
    for device in ("vbr-neuv", "vth-neuv"):
        engine_lab.ns.run("ip", "link", "set", device, "mtu", "65535")
    return engine_lab


def test_frames_of_all_rings_leave_in_the_order_they_came(jumbo_lab):
    """Frames of different sizes wait in different rings; a flow must not notice."""
    jumbo_lab.start()
    for number in range(2000):
        jumbo_lab.tap.send(udp(number, SIZES[number % len(SIZES)]))
    assert [number_of(seen) for seen in jumbo_lab.tap.collect(2000)] == list(
        range(2000)
    )


def test_frames_that_waited_for_an_engine_leave_in_order_too(jumbo_lab):
    """The merge of full rings, not only of heads."""
    for number in range(1200):
        jumbo_lab.tap.send(udp(number, SIZES[number % len(SIZES)]))
    jumbo_lab.start()
    assert [number_of(seen) for seen in jumbo_lab.tap.collect(1200)] == list(
        range(1200)
    )


def test_frames_as_long_as_a_ring_allows_are_not_cut(jumbo_lab):
    """One byte more goes to the next ring, whole."""
    client = jumbo_lab.start()
    headers = len(udp(0)) - 40
    longest = [
        constant("SG_SMALL_FRAME_MAX") - headers,
        constant("SG_MIDDLE_FRAME_MAX") - headers,
        65535 - (headers - ETHER_BYTES),
    ]
    frames = [udp(0, size) for size in longest]
    frames += [udp(0, size + 1) for size in longest[:2]]
    for frame in frames:
        jumbo_lab.tap.send(frame)
    assert [seen.frame for seen in jumbo_lab.tap.collect(len(frames))] == frames
    stats = client.hello()["stats"]
    assert (stats["ring_packets"], stats["truncated"]) == ([1, 2, 2], 0)


def test_a_super_frame_passes_whole_with_its_offload_state(engine_lab):
    engine_lab.start()
    frame = tcp(bytes(range(256)) * 250)
    headers = ETHER_BYTES + IP_BYTES + TCP_BYTES
    offload = VNET.pack(NEEDS_CSUM, GSO_TCPV4, headers, MSS, ETHER_BYTES + IP_BYTES, 16)
    engine_lab.tap.send(frame, offload)
    (seen,) = engine_lab.tap.collect(1)
    assert seen.frame == frame
    flags, kind, _, size, start, offset = VNET.unpack(seen.vnet)
    assert (flags & NEEDS_CSUM, kind, size) == (NEEDS_CSUM, GSO_TCPV4, MSS)
    assert (start, offset) == (ETHER_BYTES + IP_BYTES, 16)


def test_segmented_udp_passes_whole(engine_lab):
    """What QUIC senders make with UDP_SEGMENT."""
    engine_lab.start()
    frame = udp(7, 30000)
    offload = VNET.pack(
        NEEDS_CSUM,
        GSO_UDP_L4,
        ETHER_BYTES + IP_BYTES + 8,
        1200,
        ETHER_BYTES + IP_BYTES,
        6,
    )
    try:
        engine_lab.tap.send(frame, offload)
    except OSError as error:
        pytest.skip(f"this kernel's packet sockets have no UDP_L4: {error}")
    (seen,) = engine_lab.tap.collect(1)
    assert seen.frame == frame
    assert VNET.unpack(seen.vnet)[1:4:2] == (GSO_UDP_L4, 1200)


def test_a_partial_checksum_stays_partial(engine_lab):
    engine_lab.start()
    offload = VNET.pack(NEEDS_CSUM, 0, 0, 0, ETHER_BYTES + IP_BYTES, 6)
    engine_lab.tap.send(udp(1), offload)
    (seen,) = engine_lab.tap.collect(1)
    assert seen.frame == udp(1)
    assert VNET.unpack(seen.vnet)[0] & NEEDS_CSUM


@pytest.mark.parametrize("tci", [42, 0xE00A], ids=["vlan 42", "vlan 10, priority 7"])
def test_a_vlan_tag_is_put_back(engine_lab, tci):
    """The kernel takes it out of the frame before the ring gets it."""
    engine_lab.start()
    plain = udp(1)
    tagged = plain[:12] + struct.pack("!HH", 0x8100, tci) + plain[12:]
    engine_lab.tap.send(tagged)
    (seen,) = engine_lab.tap.collect(1)
    assert (seen.vlan, seen.frame) == (tci, plain)


def test_a_vlan_tag_moves_the_place_of_a_partial_checksum(engine_lab):
    engine_lab.start()
    plain = udp(1)
    tagged = plain[:12] + struct.pack("!HH", 0x8100, 42) + plain[12:]
    at = ETHER_BYTES + IP_BYTES
    engine_lab.tap.send(tagged, VNET.pack(NEEDS_CSUM, 0, 0, 0, at + 4, 6))
    (seen,) = engine_lab.tap.collect(1)
    assert (seen.vlan, seen.frame) == (42, plain)
    assert VNET.unpack(seen.vnet)[4] == at


def test_an_engine_killed_in_the_middle_loses_no_frame(engine_lab):
    """The rings outlive it; its successor goes on where it stopped."""
    first = engine_lab.start()
    numbers = iter(range(4000))
    for number in (next(numbers) for _ in range(1000)):
        engine_lab.tap.send(udp(number))
    engine_lab.kill(first)
    for number in (next(numbers) for _ in range(2000)):
        engine_lab.tap.send(udp(number))
    engine_lab.start()
    for number in numbers:
        engine_lab.tap.send(udp(number))
    seen: list[int] = []

    def all_came():
        seen.extend(number_of(frame) for frame in engine_lab.tap.read())
        return set(seen) == set(range(4000))

    wait_for(all_came, 10)
    # What the dead one had sent but not given back: one batch at most, twice.
    assert len(seen) - 4000 <= 64


def test_four_engines_killed_in_a_row_lose_no_frame(engine_lab):
    expected = 0
    seen: set[int] = set()
    for _ in range(4):
        client = engine_lab.start()
        for number in range(expected, expected + 300):
            engine_lab.tap.send(udp(number, 1990 if number % 5 == 0 else 40))
        expected += 300
        engine_lab.kill(client)
    engine_lab.start()

    def all_came():
        seen.update(number_of(frame) for frame in engine_lab.tap.read())
        return seen == set(range(expected))

    wait_for(all_came, 10)


def test_a_successor_finds_the_oldest_frame_without_the_saved_position(engine_lab):
    """The position is one word in shared memory: wrong, it must cost time, not frames."""
    for number in range(50):
        engine_lab.tap.send(udp(number))
    os.pwrite(engine_lab.rings.fds[constant("SG_FD_STATE")], struct.pack("=Q", 4711), 0)
    client = engine_lab.start()
    assert [number_of(seen) for seen in engine_lab.tap.collect(50)] == list(range(50))
    assert client.hello()["stats"]["resyncs"] == 1


def test_a_restarted_agent_gets_the_rings_back(engine_lab):
    client = engine_lab.start()
    with client.take_rings() as taken:
        engine_lab.rings.close()
        engine_lab.rings = RingSet(tuple(os.dup(fd) for fd in taken.fds))
    engine_lab.kill(client)
    engine_lab.tap.send(udp(1))
    engine_lab.start()
    engine_lab.tap.collect(1)


def test_after_sync_only_the_new_policy_judges(engine_lab):
    client = engine_lab.start()
    for number in range(3000):
        engine_lab.tap.send(udp(number))
    engine_lab.policy(client, 2, default=Action.DENY)
    client.sync()
    engine_lab.tap.read()
    for number in range(100):
        engine_lab.tap.send(udp(number))
    client.sync()
    assert engine_lab.tap.read() == []
    counters = client.counters(PORT)
    denied = sum(
        counters[name].packets
        for name in ("default_deny", "blocked_connection")
        if name in counters
    )
    assert denied >= 100


def test_a_rule_decides_over_the_default(engine_lab):
    allow = PortRule(5, None, None, UDP, 5000, 5000, Action.ALLOW)
    client = engine_lab.start((allow,), default=Action.DENY)
    engine_lab.tap.send(udp(1, dport=5001, sport=4001))
    engine_lab.tap.send(udp(2, dport=5000, sport=4002))
    (seen,) = engine_lab.tap.collect(1)
    assert number_of(seen) == 2
    session = next(s for s in client.sessions(PORT) if s.sport == 4002)
    assert (session.rule_id, session.verdict) == (5, Action.ALLOW)
    assert session.source == packets.pod_one_ip4


def test_a_denied_flow_is_told_once_as_an_event(engine_lab):
    client = engine_lab.start(default=Action.DENY)
    engine_lab.tap.send(udp(1))
    events = []

    def told():
        events.extend(client.events().events)
        return [event for event in events if event.kind == "drop"]

    (event,) = wait_for(told)
    assert (event.reason, event.port_id, event.dport) == ("default_deny", PORT, 5000)


def test_monitor_passes_what_protect_denies(engine_lab):
    engine_lab.start(mode=Mode.MONITOR, default=Action.DENY)
    engine_lab.tap.send(udp(1))
    engine_lab.tap.collect(1)


def test_verdicts_go_to_the_pinned_flow_map_until_the_cache_is_off(engine_lab):
    maps = engine_lab.pin_maps()
    client = engine_lab.start()
    for sport in range(1000, 1020):
        engine_lab.tap.send(udp(1, sport=sport))
    engine_lab.tap.collect(20)
    wait_for(lambda: len(list(maps["seg_flows4"].entries())) >= 20)
    client.cache(False)
    assert not list(maps["seg_flows4"].entries())
    for made in maps.values():
        made.close()


def test_pins_of_another_layout_are_refused(engine_lab):
    engine_lab.instance.pin_root.mkdir(parents=True, exist_ok=True)
    maps = engine_lab.pin_maps()
    client = engine_lab.start()
    assert client.open_maps() is True
    folder = next(engine_lab.instance.pin_root.iterdir())
    (folder / "seg_flows4").unlink()
    maps["seg_flows6"].pin(folder / "seg_flows4")
    with pytest.raises(SegctlError, match="maps pinned"):
        client.open_maps()
    assert client.hello()["stats"]["has_maps"] == 1


def test_a_cache_that_cannot_be_emptied_stays_on_and_says_so(engine_lab):
    """Of the maps it needs descriptors of its own, and there are none left."""
    engine_lab.pin_maps()
    folder = next(engine_lab.instance.pin_root.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Engine() as engine:
        assert engine.open_maps(folder)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(SegctlError, match="verdict cache"):
                engine.set_cache(False)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert engine.stats()["cache"] == 1
        engine.set_cache(False)
        assert engine.stats()["cache"] == 0


def test_the_heartbeat_is_written_while_idle(engine_lab):
    """At least every 50 ms: an idle engine is not a dead one."""
    control = engine_lab.pin_maps()["seg_control"]
    client = engine_lab.start()
    wait_for(lambda: heartbeat(control))
    gaps = []
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        gaps.append(time.monotonic_ns() - heartbeat(control))
    # Idle rounds are 20 ms apart; the rest is what a shared CPU takes.
    assert sorted(gaps)[len(gaps) * 9 // 10] < 50_000_000
    engine_lab.kill(client)
    last = heartbeat(control)
    assert last
    assert heartbeat(control) == last


def test_an_engine_without_rings_writes_no_heartbeat(engine_lab):
    """Nobody judges then: the datapath must take the port's fail policy."""
    control = engine_lab.pin_maps()["seg_control"]
    with contextlib.closing(engine_lab.rings):
        client = engine_lab.start()
        wait_for(lambda: heartbeat(control))
        engine_lab.kill(client)
    before = heartbeat(control)
    from pyctl.engine.launch import start_engine

    idle = start_engine(engine_lab.instance)
    engine_lab.clients.append(idle)
    idle.sync()
    assert heartbeat(control) == before


def test_rings_that_are_none_are_refused_and_the_old_ones_go_on(engine_lab):
    client = engine_lab.start()
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(constant("SG_FDS"))]
    with RingSet(tuple(fds)) as wrong, pytest.raises(SegctlError, match="packet rings"):
        client.give_rings(wrong)
    engine_lab.tap.send(udp(1))
    engine_lab.tap.collect(1)


def test_the_link_may_go_down_and_up_again(engine_lab):
    client = engine_lab.start()
    engine_lab.ns.run("ip", "link", "set", "vth-neuv", "down")
    wait_for(lambda: client.hello()["stats"]["link_errors"])
    engine_lab.ns.run("ip", "link", "set", "vth-neuv", "up")

    def passes():
        engine_lab.tap.send(udp(1))
        return engine_lab.tap.read()

    wait_for(passes)


def test_a_frame_that_cannot_be_sent_is_counted(engine_lab):
    """vbr-neuv down: the veth takes nothing, and nobody may believe otherwise."""
    for number in range(3):
        engine_lab.tap.send(udp(number))
    engine_lab.ns.run("ip", "link", "set", "vth-neuv", "down")
    client = engine_lab.start()
    wait_for(lambda: client.counters(PORT).get("send_failed"))
    counters = client.counters(PORT)
    assert counters["send_failed"].packets == 3
    assert "from_engine" not in counters


def test_a_second_engine_of_an_instance_refuses_to_start(engine_lab):
    from pyctl.engine.launch import start_engine

    client = engine_lab.start()
    with pytest.raises(SegctlError, match="Another one is running"):
        start_engine(engine_lab.instance)
    assert client.hello()["stats"]["has_rings"] == 1


def test_no_rings_where_there_is_no_namespace_or_device(engine_lab, tmp_path):
    with pytest.raises(SegctlError, match="No such file"):
        open_rings(tmp_path / "none")
    with pytest.raises(SegctlError, match="No such device"):
        open_rings(engine_lab.ns.path, "vth-none")


def test_memory_stays_small(engine_lab):
    """34 MiB are rings; Python, its libraries and an empty core share the rest."""
    client = engine_lab.start()
    for number in range(1000):
        engine_lab.tap.send(udp(number, 1990 if number % 4 == 0 else 40), NO_OFFLOAD)
    engine_lab.tap.collect(1000)
    pid = client.hello()["pid"]
    with Path(f"/proc/{pid}/smaps_rollup").open() as rollup:
        pss = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    assert pss <= 75 * 1024


def test_rings_know_when_nothing_reaches_them(engine_lab):
    rings = engine_lab.rings
    wait_for(rings.carries)
    engine_lab.ns.run("ip", "link", "set", "vbr-neuv", "down")
    wait_for(lambda: not rings.carries())
    assert rings.on_device()
    engine_lab.ns.run("ip", "link", "set", "vth-neuv", "down")
    engine_lab.ns.run("ip", "link", "set", "vth-neuv", "name", "other")
    assert not rings.on_device()
    engine_lab.ns.run("ip", "link", "del", "other")
    assert not rings.on_device()
