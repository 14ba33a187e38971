"""Verdicts in the flow maps: what may hit, what never may (DESIGN §2a, "What may hit")."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pyctl import abi
from pyctl.datapath.pins import open_map
from pyctl.platform.bpf.ring import RingReader
from tests import packets
from tests.kernel import frames as f
from tests.kernel.conftest import GENERATION, OTHER_PORT, Lab
from tests.kernel.entries import (
    BACK,
    DIR,
    ICMP,
    ICMP6,
    NUMBER,
    SETTLED,
    TCP,
    UDP,
    WAY,
    entry,
    key,
    put,
    shared_key,
    tick,
)
from tests.lab.pace import wait_for

SHOT, REDIRECT = 2, 7
GRE, ESP, SCTP, MOBILITY = 47, 50, 132, 135


def steer(kernel, hook, mode="protect"):
    kernel.port(hook, mode)
    kernel.generation(GENERATION)


CLOCK_MONOTONIC_COARSE = 6
"""The programs' clock (bpf_ktime_get_coarse_ns); Python has no name for it."""
ECHO = 8 << 8, 0x1234
ECHO6 = 128 << 8, 0x1234
PLAIN = [
    ("tcp4", 4, TCP, (), lambda w: f.ip(w) / f.tcp()),
    ("tcp6", 6, TCP, (), lambda w: f.ip(w, 6) / f.tcp("PA")),
    ("syn and ack", 4, TCP, (), lambda w: f.ip(w) / f.tcp("SA")),
    ("tcp4 with options", 4, TCP, (), lambda w: f.ip(w, options=b"\1" * 8) / f.tcp()),
    ("udp4", 4, UDP, (), lambda w: f.ip(w) / f.udp()),
    ("udp6", 6, UDP, (), lambda w: f.ip(w, 6) / f.udp()),
    ("udp6 behind options", 6, UDP, (), lambda w: f.ip(w, 6) / f.IPv6ExtHdrHopByHop() / f.IPv6ExtHdrDestOpt() / f.udp()),
    ("echo4", 4, ICMP, ECHO, lambda w: f.ip(w) / f.echo()),
    ("echo6", 6, ICMP6, ECHO6, lambda w: f.ip(w, 6) / f.echo(6)),
    ("sctp4", 4, SCTP, (), lambda w: f.ip(w, proto=SCTP) / f.sctp()),
    ("sctp6", 6, SCTP, (), lambda w: f.ip(w, 6, nh=SCTP) / f.sctp(2)),
    ("gre", 4, GRE, (0, 0), lambda w: f.ip(w, proto=GRE) / f.Raw(bytes(8))),
    ("ipip", 4, 4, (0, 0), lambda w: f.ip(w) / f.ip(w) / f.udp()),
    ("esp6", 6, ESP, (0, 0), lambda w: f.ip(w, 6, nh=ESP) / f.Raw(bytes(8))),
    ("nothing behind it", 4, GRE, (0, 0), lambda w: f.ip(w, proto=GRE)),
]  # fmt: skip
PLAIN_IDS = [row[0] for row in PLAIN]


@pytest.mark.parametrize("hook", ["vex", "vin"])
@pytest.mark.parametrize(
    ("name", "version", "proto", "ports", "make"), PLAIN, ids=PLAIN_IDS
)
@pytest.mark.parametrize(
    ("verdict", "outcome", "reason"),
    [("allow", REDIRECT, "flow_allow"), ("deny", SHOT, "flow_deny")],
)
def test_a_live_entry_decides(
    kernel: Lab, hook, name, version, proto, ports, make, verdict, outcome, reason
):
    steer(kernel, hook)
    flow = key(hook, version, proto, *ports)
    put(
        kernel, version, flow, verdict, last_seen_ns=time.monotonic_ns() - 1_000_000_000
    )
    before = time.clock_gettime_ns(CLOCK_MONOTONIC_COARSE)
    frame = bytes(f.link(WAY[hook]) / make(WAY[hook]))
    got = kernel.run(hook, frame)
    assert (got.verdict, got.reason, got.frame) == (outcome, reason, frame)
    after = entry(kernel, version, flow, hook)
    assert (after.packets, after.bytes) == (1, len(frame))
    now = time.clock_gettime_ns(CLOCK_MONOTONIC_COARSE)
    assert tick(before) <= after.last_seen <= tick(now)
    other = entry(kernel, version, flow, BACK[hook])
    assert (other.packets, other.bytes) == (0, 0)


@pytest.mark.parametrize("hook", ["vex", "vin"])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("another generation", {"generation": GENERATION - 1}),
        ("a later generation", {"generation": GENERATION + 1}),
        ("timed out", {"ago_s": 1201}),
        ("no verdict", {"verdict": 0}),
        ("an unknown verdict", {"verdict": 3}),
    ],
)
def test_an_entry_that_does_not_hold_is_none(kernel: Lab, hook, name, change):
    steer(kernel, hook)
    flow, change = key(hook, 4, TCP), dict(change)
    ago_ns = change.pop("ago_s", 0) * 10**9
    put(kernel, 4, flow, last_seen_ns=time.monotonic_ns() - ago_ns, **change)
    frame = bytes(f.link(WAY[hook]) / f.ip(WAY[hook]) / f.tcp())
    assert kernel.run(hook, frame).reason == "to_engine"
    assert entry(kernel, 4, flow, hook).packets == 0


@pytest.mark.parametrize(
    ("proto", "layer", "seconds"),
    [
        (TCP, f.tcp(), 1200),
        (UDP, f.udp(), 120),
        (ICMP, f.echo(), 5),
        (SCTP, f.sctp(), 1200),
        (GRE, f.Raw(bytes(8)), 180),
    ],
)
def test_what_was_silent_for_its_protocols_time_has_timed_out(
    kernel: Lab, proto, layer, seconds
):
    steer(kernel, "vin")
    flow = key("vin", 4, proto, *{ICMP: ECHO, GRE: (0, 0)}.get(proto, ()))
    frame = bytes(f.link("out") / f.ip("out", proto=proto) / layer)
    for more, reason in ((-1, "flow_allow"), (1, "to_engine")):
        put(
            kernel,
            4,
            flow,
            last_seen_ns=time.monotonic_ns() - (seconds + more) * 10**9,
        )
        assert kernel.run("vin", frame).reason == reason


def test_a_last_seen_ahead_of_this_cpus_clock_has_not_timed_out(kernel: Lab):
    steer(kernel, "vin")
    flow = key("vin", 4, TCP)
    put(kernel, 4, flow, last_seen_ns=time.monotonic_ns() + 10_000_000_000)
    frame = bytes(f.link("out") / f.ip("out") / f.tcp())
    assert kernel.run("vin", frame).reason == "flow_allow"


def test_generation_zero_caches_nothing(kernel: Lab):
    kernel.port("vin")
    put(kernel, 4, key("vin", 4, TCP), generation=0)
    frame = bytes(f.link("out") / f.ip("out") / f.tcp())
    assert kernel.run("vin", frame).reason == "to_engine"


@pytest.mark.parametrize("hook", ["vex", "vin"])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("another port's", {"port_id": OTHER_PORT}),
        ("the other direction's", {}),
        ("another source port", {"sport": 1}),
        ("another protocol", {"proto": UDP}),
    ],
)
def test_only_the_very_flow_is_decided(kernel: Lab, hook, name, change):
    """A's egress allow must not carry the same addresses past B's ingress."""
    steer(kernel, hook)
    fields = {"proto": TCP, **change}
    word = {} if change else {f"{DIR[hook]}_verdict": 0}
    put(kernel, 4, key(hook, 4, **fields), **word)
    frame = bytes(f.link(WAY[hook]) / f.ip(WAY[hook]) / f.tcp())
    assert kernel.run(hook, frame).reason == "to_engine"


NEVER = [
    ("syn", 4, TCP, (), lambda w: f.ip(w) / f.tcp("S")),
    ("fin alone", 4, TCP, (), lambda w: f.ip(w) / f.tcp("F")),
    ("push alone", 4, TCP, (), lambda w: f.ip(w) / f.tcp("P")),
    ("syn and rst", 4, TCP, (), lambda w: f.ip(w) / f.tcp("SRA")),
    ("syn and fin", 4, TCP, (), lambda w: f.ip(w) / f.tcp("SFA")),
    ("no flags", 4, TCP, (), lambda w: f.ip(w) / f.tcp("")),
    ("ecn flags alone", 4, TCP, (), lambda w: f.ip(w) / f.tcp("EC")),
    ("first fragment", 4, UDP, (), lambda w: f.ip(w, flags="MF") / f.udp() / f.Raw(b"x" * 16)),
    ("later fragment", 4, UDP, (), lambda w: f.ip(w, frag=2, proto=UDP) / f.udp()),
    ("fragment6", 6, UDP, (), lambda w: f.ip(w, 6) / f.IPv6ExtHdrFragment(m=1) / f.udp()),
    ("atomic fragment6", 6, UDP, (), lambda w: f.ip(w, 6) / f.IPv6ExtHdrFragment() / f.udp()),
    ("routing header", 6, UDP, (), lambda w: f.ip(w, 6) / f.routing() / f.udp()),
    ("too many options", 6, UDP, (), lambda w: f.ip(w, 6) / f.IPv6ExtHdrDestOpt() / f.IPv6ExtHdrDestOpt() / f.IPv6ExtHdrDestOpt() / f.IPv6ExtHdrDestOpt() / f.IPv6ExtHdrDestOpt() / f.udp()),
    ("icmp error", 4, ICMP, (3 << 8, 0), lambda w: f.ip(w, proto=ICMP) / f.Raw(b"\3" + b"\0" * 31)),
    ("icmp6 error", 6, ICMP6, (1 << 8, 0), lambda w: f.ip(w, 6, nh=ICMP6) / f.Raw(b"\1" + b"\0" * 31)),
    ("icmp6 in ip4", 4, ICMP6, ECHO6, lambda w: f.ip(w, proto=ICMP6) / f.Raw(b"\x80\0\0\0\x12\x34\0\0")),
    ("sctp init", 4, SCTP, (), lambda w: f.ip(w, proto=SCTP) / f.sctp(1)),
    ("gre fragment", 4, GRE, (0, 0), lambda w: f.ip(w, proto=GRE, flags="MF") / f.Raw(bytes(16))),
    ("mobility header", 6, MOBILITY, (0, 0), lambda w: f.ip(w, 6, nh=MOBILITY) / f.Raw(bytes(8))),
    ("late hop-by-hop", 6, UDP, (), lambda w: f.ip(w, 6) / f.IPv6ExtHdrDestOpt() / f.IPv6ExtHdrHopByHop() / f.udp()),
    ("hop-by-hop as the last", 6, 0, (0, 0), lambda w: f.ip(w, 6, nh=60) / f.Raw(bytes(16))),
]  # fmt: skip


@pytest.mark.parametrize("hook", ["vex", "vin"])
@pytest.mark.parametrize(
    ("name", "version", "proto", "ports", "make"), NEVER, ids=[row[0] for row in NEVER]
)
def test_what_opens_or_hides_a_flow_goes_to_the_engine(
    kernel: Lab, hook, name, version, proto, ports, make
):
    steer(kernel, hook)
    for sport, dport in ((ports or (f.CLIENT, f.SERVER)), (0, 0)):
        put(kernel, version, key(hook, version, proto, sport, dport))
    frame = bytes(f.link(WAY[hook]) / make(WAY[hook]))
    assert kernel.run(hook, frame).reason == "to_engine"


@pytest.fixture
def ends(kernel: Lab) -> Iterator[RingReader]:
    """What the engine would be told."""
    with RingReader(open_map(kernel.instance, "seg_closes-0")) as ring:
        ring.read()
        yield ring


@pytest.mark.parametrize("hook", ["vex", "vin"])
@pytest.mark.parametrize(
    ("flags", "close"), [("FA", "FIN"), ("FPA", "FIN"), ("R", "RST"), ("RA", "RST")]
)
@pytest.mark.parametrize("mode", ["protect", "discover"])
def test_what_ends_an_allowed_connection_passes_and_is_told_once(
    kernel: Lab, ends: RingReader, hook, flags, close, mode
):
    steer(kernel, hook, mode)
    flow = key(hook, 4, TCP)
    put(kernel, 4, flow, session=0x1234500006789)
    kernel.copies()
    frame = bytes(f.link(WAY[hook]) / f.ip(WAY[hook]) / f.tcp(flags))
    for _ in range(3):
        assert kernel.run(hook, frame).reason == "flow_allow"
    after = entry(kernel, 4, flow, hook)
    number = abi.constant(f"SEG_CLOSE_{close}")
    assert (after.packets, after.closed, after.payload) == (3, number, 0)
    assert entry(kernel, 4, flow, BACK[hook]).closed == 0
    [told] = [abi.unpack("seg_close_event", record) for record in ends.read()]
    assert (told.session, told.dir, told.close) == (
        0x1234500006789,
        NUMBER[hook],
        number,
    )
    assert told.family == 4
    assert bytes(abi.ffi.buffer(abi.ffi.addressof(told, "key"))) == shared_key(flow)
    assert kernel.copies() == []


@pytest.mark.parametrize("flags", ["FA", "R"])
def test_the_end_of_a_denied_connection_goes_to_the_engine(
    kernel: Lab, ends: RingReader, flags
):
    steer(kernel, "vin")
    put(kernel, 4, key("vin", 4, TCP), "deny")
    frame = bytes(f.link("out") / f.ip("out") / f.tcp(flags))
    assert kernel.run("vin", frame).reason == "to_engine"
    assert ends.read() == []


def closes_lost(kernel: Lab) -> int:
    with open_map(kernel.instance, "seg_control") as opened:
        return abi.unpack("seg_control", opened.lookup(bytes(4))).closes_lost


def test_a_full_ring_of_ends_stops_nothing_and_is_told(kernel: Lab, ends: RingReader):
    """The entry has it still."""
    steer(kernel, "vin")
    frame = bytes(f.link("out") / f.ip("out") / f.tcp("FA"))
    room = abi.constant("SEG_CLOSES_BYTES") // (8 + abi.sizeof("seg_close_event"))
    assert closes_lost(kernel) == 0
    for _ in range(room):
        put(kernel, 4, key("vin", 4, TCP))
        kernel.programs["vin"].test_run(frame)
    put(kernel, 4, key("vin", 4, TCP))
    assert kernel.run("vin", frame).reason == "flow_allow"
    assert entry(kernel, 4, key("vin", 4, TCP), "vin").closed == 1
    assert closes_lost(kernel) == 1
    told = 0
    while records := ends.read():
        told += len(records)
    assert told in (room - 1, room)


@pytest.mark.parametrize(
    ("opening", "packets", "elsewhere", "reason"),
    [
        (1, 0, True, "flow_allow"),
        (1, 1, False, "flow_allow"),
        (1, 1, True, "to_engine"),
        (0, 1, True, "flow_allow"),
    ],
    ids=["the ACK", "data on its CPU", "data on another", "open for long"],
)
def test_what_follows_a_handshake_on_another_cpu_comes_behind_it(
    kernel: Lab, one_cpu, opening, packets, elsewhere, reason
):
    """Through the engine, once: two CPUs that take in the end of a handshake may make the kernel reset it."""
    steer(kernel, "vin")
    flow = key("vin", 4, TCP)
    frame = bytes(f.link("out") / f.ip("out") / f.tcp("PA") / f.Raw(b"x"))
    put(
        kernel,
        4,
        flow,
        phase=opening,
        packets=packets,
        settle=list((one_cpu + elsewhere).to_bytes(2, "little")),
    )
    assert kernel.run("vin", frame).reason == reason
    assert kernel.run("vin", frame).reason == "flow_allow"
    assert entry(kernel, 4, flow, "vin").packets == packets + 1 + (
        reason == "flow_allow"
    )


MS = 1_000_000
SETTLING = abi.constant("SEG_FLOW_SETTLING")


def settle(kernel: Lab, hook: str, ago_ms: int, drained_ms: int, **flow: int) -> bytes:
    """An entry that settles, whose last packet came so long ago; the engine's rings were empty `drained_ms` ago."""
    steer(kernel, hook)
    now = time.monotonic_ns()
    name = key(hook, 4, UDP)
    seen = now - ago_ms * MS
    put(kernel, 4, name, phase=SETTLING, last_seen_ns=seen, **flow)
    since = drained_ms < ago_ms
    kernel.control(drained_ns=now - drained_ms * MS & ~1 | since)
    return name


@pytest.mark.parametrize("hook", ["vex", "vin"])
@pytest.mark.parametrize(
    ("ago", "drained", "reason"),
    [
        (0, 30, "to_engine"),
        (3, 30, "to_engine"),
        (20, 10, "flow_allow"),
        (200, 300, "flow_allow"),
    ],
    ids=["a burst", "a pause, but the engine is behind", "a pause", "a long pause"],
)
def test_what_follows_in_a_burst_goes_to_the_engine_too(
    kernel: Lab, hook, ago, drained, reason
):
    """The kernel would overtake what waits there."""
    frame = bytes(f.link(WAY[hook]) / f.ip(WAY[hook]) / f.udp())

    def met() -> bool:
        settle(kernel, hook, ago, drained)
        return kernel.run(hook, frame).reason == reason

    # Again where this machine stood still so long that any pause was a long one.
    wait_for(met)
    after = entry(kernel, 4, key(hook, 4, UDP), hook)
    steered = reason == "to_engine"
    assert (after.settled, after.packets) == (steered, not steered)
    assert after.phase == (SETTLING if steered else 0)


def test_a_flood_settles_without_a_pause(kernel: Lab):
    met = (abi.constant("SEG_SETTLE_PACKETS") - 1) << SETTLED
    name = settle(kernel, "vin", 0, 30, packets=met)
    frame = bytes(f.link("out") / f.ip("out") / f.udp())
    assert kernel.run("vin", frame).reason == "to_engine"
    assert kernel.run("vin", frame).reason == "flow_allow"
    assert entry(kernel, 4, name, "vin").packets == 1


@pytest.mark.parametrize("trouble", ["down", "behind"])
def test_a_flow_settles_at_once_where_the_engine_cannot_take_it(kernel: Lab, trouble):
    name = settle(kernel, "vin", 0, 30)
    if trouble == "down":
        kernel.heartbeat(stale=True)
    else:
        kernel.control(share_gap_ns=1000)
    frame = bytes(f.link("out") / f.ip("out") / f.udp())
    assert kernel.run("vin", frame).reason == "flow_allow"
    assert entry(kernel, 4, name, "vin").phase == 0


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("layer", "payload"),
    [(f.tcp(), 0), (f.tcp("SA"), 0), (f.tcp("PA") / f.Raw(b"x"), 1)],
    ids=["ack", "syn-ack", "data"],
)
def test_a_segment_with_data_leaves_its_mark(kernel: Lab, version, layer, payload):
    """Padding of short frames is none."""
    steer(kernel, "vin")
    put(kernel, version, key("vin", version, TCP))
    frame = bytes(f.link("out") / f.ip("out", version) / layer)
    assert kernel.run("vin", frame + bytes(6)).reason == "flow_allow"
    assert entry(kernel, version, key("vin", version, TCP), "vin").payload == payload


@pytest.mark.parametrize("verdict", ["allow", "deny"])
def test_live_entries_hold_while_the_engine_is_down(kernel: Lab, verdict):
    steer(kernel, "vin")
    kernel.heartbeat(stale=True)
    put(kernel, 4, key("vin", 4, TCP), verdict)
    frame = bytes(f.link("out") / f.ip("out") / f.tcp())
    assert kernel.run("vin", frame).reason == f"flow_{verdict}"


def test_no_entry_saves_a_spoofed_source(kernel: Lab):
    """The address check comes first: a cached flow must not outlive the address."""
    steer(kernel, "vin")
    put(kernel, 4, key("vin", 4, TCP))
    with open_map(kernel.instance, "seg_addrs") as addrs:
        for known in addrs.entry_keys():
            addrs.delete(known)
    frame = bytes(f.link("out") / f.ip("out") / f.tcp())
    got = kernel.run("vin", frame)
    assert (got.verdict, got.reason) == (SHOT, "spoofed_ip")


def test_a_denied_flow_passes_where_the_mode_only_records(kernel: Lab):
    steer(kernel, "vin", "monitor")
    put(kernel, 4, key("vin", 4, TCP), "deny")
    got = kernel.run("vin", bytes(f.link("out") / f.ip("out") / f.tcp()))
    assert (got.verdict, got.reasons["flow_deny"].passed) == (REDIRECT, 1)


def test_a_group_frame_does_not_borrow_a_verdict(kernel: Lab):
    steer(kernel, "vex")
    put(kernel, 4, key("vex", 4, TCP))
    frame = f.link("in", dst=packets.broadcast_mac) / f.ip("in") / f.tcp()
    got = kernel.run("vex", bytes(frame))
    assert (got.verdict, got.reason) == (SHOT, "l2_group_l3_unicast")


@pytest.mark.parametrize("hook", ["vex", "vin"])
@pytest.mark.parametrize(
    ("word", "reason"), [("allow", "flow_allow"), ("deny", "flow_deny")]
)
def test_a_tap_copies_no_decided_flow_and_drops_none(kernel: Lab, hook, word, reason):
    """Only here: the u32 datapath has no flow map."""
    steer(kernel, hook, "discover")
    frame = bytes(f.link(WAY[hook]) / f.ip(WAY[hook]) / f.tcp())
    put(kernel, 4, key(hook, 4, TCP), word)
    kernel.copies()
    outcome = kernel.run(hook, frame)
    assert (outcome.verdict, outcome.reason) == (REDIRECT, reason)
    assert outcome.frame == frame
    assert kernel.copies() == []
