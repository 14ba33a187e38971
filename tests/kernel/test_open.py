"""Connections that a program opens by itself: which, with what left behind, and which never."""

from __future__ import annotations

import ipaddress
import socket
import struct
import time

import pytest

from pyctl import abi
from pyctl.datapath.pins import open_map
from pyctl.platform.bpf.ring import RingReader
from tests.kernel import frames as f
from tests.kernel.conftest import (
    CLASS_VERSION,
    GENERATION,
    OTHER_PORT,
    PORT,
    SECRET,
    Lab,
)
from tests.kernel.entries import (
    BACK,
    DIR,
    ICMP,
    ICMP6,
    NUMBER,
    TCP,
    UDP,
    WAY,
    key,
    put,
    shared_key,
    tick,
    way_of,
)
from tests.kernel.test_flows import ECHO, ECHO6, SCTP, steer
from tests.lab.datapath.flow_entry import pack_service

RULE = {"rule_id": 7, "rule_key": 0x123456789ABCDEF0}
VERSION, CLASS, OTHER_CLASS = CLASS_VERSION, 6, 8
BY_KERNEL = 1 << 63
MS = 1_000_000
ALLOW = abi.constant("SEG_VERDICT_ALLOW")
BOTH_HOOKS = pytest.mark.parametrize("hook", ["vex", "vin"])
BOTH_VERSIONS = pytest.mark.parametrize("version", [4, 6])


def service(hook: str, version: int, **other: object) -> bytes:
    """The key of the service that a SYN of `syn()` is for."""
    local = f.ends(WAY[hook], version)["src" if hook == "vin" else "dst"]
    known = {
        "port_id": PORT,
        "dir": abi.constant(f"SEG_DIR_{DIR[hook].upper()}"),
        "proto": TCP,
        "family": version,
        "service_port": socket.htons(f.SERVER),
        "peer_class": VERSION << 32 | CLASS,
        "local": list(ipaddress.ip_address(local).packed.ljust(16, b"\0")),
    }
    if other.get("proto") in {ICMP, ICMP6}:
        known["service_port"] = socket.htons(8 if version == 4 else 128)
    return abi.pack("seg_service_key", **{**known, **other})


def peer_of(hook: str, version: int) -> str:
    return str(f.ends(WAY[hook], version)["dst" if hook == "vin" else "src"])


def classify(
    kernel: Lab, net: str, number: int = CLASS, version: int = VERSION
) -> None:
    """Say the class of a network's addresses."""
    known = ipaddress.ip_network(net)
    name = abi.pack(
        "seg_class_key",
        prefix_len=40 + known.prefixlen,
        version=version,
        family=known.version,
        addr=list(known.network_address.packed.ljust(16, b"\0")),
    )
    kernel.write("seg_classes", name, struct.pack("=I", number))


def allow(kernel: Lab, name: bytes, **other: int) -> None:
    """Make a service known, to all peers, which are of one class."""
    for everybody in ("0.0.0.0/0", "::/0"):
        classify(kernel, everybody)
    known = {"generation": GENERATION, "verdict": ALLOW, **RULE}
    kernel.write("seg_services", name, pack_service(name, SECRET, **{**known, **other}))


def syn(hook: str, version: int = 4, flags: str = "S", **header: object) -> bytes:
    way = WAY[hook]
    return bytes(f.link(way) / f.ip(way, version, **header) / f.tcp(flags))


def flows(kernel: Lab, version: int) -> dict[bytes, object]:
    with open_map(kernel.instance, f"seg_flows{version}") as opened:
        return {name: abi.unpack("seg_flow", value) for name, value in opened.entries()}


@BOTH_HOOKS
@BOTH_VERSIONS
@pytest.mark.parametrize("mode", ["discover", "monitor", "protect"])
def test_a_syn_of_a_known_service_leaves_an_entry_and_a_record(
    kernel: Lab, opens: RingReader, hook, version, mode
):
    steer(kernel, hook, mode)
    allow(kernel, service(hook, version))
    kernel.copies()
    frame = syn(hook, version)
    assert kernel.run(hook, frame).reason == "flow_allow"
    assert kernel.copies() == []
    name = key(hook, version, TCP)
    [(found, flow)] = flows(kernel, version).items()
    assert found == name
    there, back = way_of(flow, hook), way_of(flow, BACK[hook])
    assert (there.packets, there.bytes) == (1, len(frame))
    assert (back.packets, back.bytes) == (0, 0)
    for way in (there, back):
        assert (way.verdict, way.phase, way.closed) == (ALLOW, 0, 0)
    [record] = [abi.unpack("seg_open_event", each) for each in opens.read()]
    assert record.session & BY_KERNEL
    assert flow.session == record.session
    assert flow.last_seen == tick(record.session & ~BY_KERNEL)
    assert (record.generation, record.family) == (GENERATION, version)
    assert record.dir == NUMBER[hook]
    assert {name: getattr(record, name) for name in RULE} == RULE
    assert bytes(abi.ffi.buffer(abi.ffi.addressof(record, "key"))) == shared_key(name)


@BOTH_HOOKS
@BOTH_VERSIONS
def test_the_rest_of_such_a_connection_is_carried(
    kernel: Lab, opens: RingReader, hook, version
):
    steer(kernel, hook)
    allow(kernel, service(hook, version))
    kernel.run(hook, syn(hook, version))
    assert kernel.run(hook, syn(hook, version, "A")).reason == "flow_allow"
    [flow] = flows(kernel, version).values()
    assert way_of(flow, hook).packets == 2


DATAGRAMS = [
    ("udp", 4, UDP, (f.CLIENT, f.SERVER), lambda w: f.ip(w) / f.udp()),
    ("udp6", 6, UDP, (f.CLIENT, f.SERVER), lambda w: f.ip(w, 6) / f.udp()),
    ("echo", 4, ICMP, ECHO, lambda w: f.ip(w) / f.echo()),
    ("echo6", 6, ICMP6, ECHO6, lambda w: f.ip(w, 6) / f.echo(6)),
    ("init", 4, SCTP, (f.CLIENT, f.SERVER), lambda w: f.ip(w, proto=SCTP) / f.sctp(1)),
]  # fmt: skip
ALL_DATAGRAMS = pytest.mark.parametrize(
    ("version", "proto", "ports", "make"),
    [row[1:] for row in DATAGRAMS],
    ids=[row[0] for row in DATAGRAMS],
)


@BOTH_HOOKS
@ALL_DATAGRAMS
def test_a_datagram_of_a_known_service_opens_its_flow(
    kernel: Lab, opens: RingReader, hook, version, proto, ports, make
):
    steer(kernel, hook)
    allow(kernel, service(hook, version, proto=proto))
    frame = bytes(f.link(WAY[hook]) / make(WAY[hook]))
    assert kernel.run(hook, frame).reason == "flow_allow"
    name = key(hook, version, proto, *ports)
    [(found, flow)] = flows(kernel, version).items()
    assert found == name
    for one in (hook, BACK[hook]):
        assert (way_of(flow, one).verdict, way_of(flow, one).phase) == (ALLOW, 0)
    [record] = [abi.unpack("seg_open_event", each) for each in opens.read()]
    assert (record.dir, record.family) == (NUMBER[hook], version)
    assert bytes(abi.ffi.buffer(abi.ffi.addressof(record, "key"))) == shared_key(name)
    if proto != SCTP:
        assert kernel.run(hook, frame).reason == "flow_allow"
        [flow] = flows(kernel, version).values()
        assert way_of(flow, hook).packets == 2
    assert opens.read() == []


@BOTH_HOOKS
@ALL_DATAGRAMS
@pytest.mark.parametrize("decides", ["both", "the answers'"])
def test_a_flow_that_has_an_entry_is_opened_by_the_engine(
    kernel: Lab, opens: RingReader, hook, version, proto, ports, make, decides
):  # fmt: skip
    """Only the engine knows whose it is, and what becomes of it."""
    steer(kernel, hook)
    allow(kernel, service(hook, version, proto=proto))
    name = key(hook, version, proto, *ports)
    ways = {} if decides == "both" else {f"{DIR[hook]}_verdict": 0}
    put(kernel, version, name, generation=GENERATION - 1, **ways)
    frame = bytes(f.link(WAY[hook]) / make(WAY[hook]))
    assert kernel.run(hook, frame).reason == "to_engine"
    assert list(flows(kernel, version)) == [name]
    assert opens.read() == []


@BOTH_HOOKS
@pytest.mark.parametrize(
    ("learned", "drained", "reason"),
    [(0, 1, "to_engine"), (0, 3, "flow_allow"), (-200, -300, "flow_allow")],
    ids=["packets may wait", "none waits", "long ago"],
)
def test_a_datagram_does_not_overtake_one_from_before_its_service_was_known(
    kernel: Lab, hook, learned, drained, reason
):
    steer(kernel, hook)
    now = time.monotonic_ns() + 60_000 * MS if learned == 0 else time.monotonic_ns()
    allow(kernel, service(hook, 4, proto=UDP), learned_ns=now + learned * MS)
    kernel.control(drained_ns=now + drained * MS)
    frame = bytes(f.link(WAY[hook]) / f.ip(WAY[hook]) / f.udp())
    assert kernel.run(hook, frame).reason == reason


ASKED_DATAGRAMS = [
    ("an echo reply", ICMP, lambda w: f.ip(w, proto=ICMP) / f.Raw(b"\0\0\0\0\x12\x34\0\0")),
    ("an echo with a code", ICMP, lambda w: f.ip(w, proto=ICMP) / f.Raw(b"\x08\1\0\0\x12\x34\0\0")),
    ("a timestamp", ICMP, lambda w: f.ip(w, proto=ICMP) / f.Raw(b"\x0d\0\0\0\x12\x34" + bytes(14))),
    ("an error", ICMP, lambda w: f.ip(w, proto=ICMP) / f.Raw(b"\3" + b"\0" * 31)),
    ("options", UDP, lambda w: f.ip(w, options=b"\1" * 8) / f.udp()),
    ("a first fragment", UDP, lambda w: f.ip(w, flags="MF") / f.udp() / f.Raw(b"x" * 16)),
    ("a later fragment", UDP, lambda w: f.ip(w, frag=2, proto=UDP) / f.udp()),
    ("a length that lies", UDP, lambda w: f.ip(w) / f.udp(len=900)),
    ("SCTP data", SCTP, lambda w: f.ip(w, proto=SCTP) / f.sctp(0)),
]  # fmt: skip


@BOTH_HOOKS
@pytest.mark.parametrize(("proto", "make"), [row[1:] for row in ASKED_DATAGRAMS], ids=[row[0] for row in ASKED_DATAGRAMS])  # fmt: skip
def test_only_what_says_no_more_than_its_flow_opens(
    kernel: Lab, opens: RingReader, hook, proto, make
):
    steer(kernel, hook)
    for number in (0, 3, 8, 13):
        other = {} if proto != ICMP else {"service_port": socket.htons(number)}
        allow(kernel, service(hook, 4, proto=proto, **other))
    frame = bytes(f.link(WAY[hook]) / make(WAY[hook]))
    assert kernel.run(hook, frame).reason == "to_engine"
    assert flows(kernel, 4) == {}
    assert opens.read() == []


UNLIKE = [
    ("another port", {"port_id": OTHER_PORT}, {}),
    ("another service", {"service_port": socket.htons(f.SERVER + 1)}, {}),
    ("another class of peers", {"peer_class": VERSION << 32 | OTHER_CLASS}, {}),
    ("another policy's class", {"peer_class": VERSION - 1 << 32 | CLASS}, {}),
    ("a class of no policy", {"peer_class": CLASS}, {}),
    ("another address of the workload", {"local": [9] * 16}, {}),
    ("the other direction", {"dir": 0}, {}),
    ("UDP", {"proto": 17}, {}),
    ("a former generation", {}, {"generation": GENERATION - 1}),
    ("a denial", {}, {"verdict": abi.constant("SEG_VERDICT_DENY")}),
    ("another element's seal", {}, {"seal": 1}),
]


@BOTH_HOOKS
@pytest.mark.parametrize(("other", "fields"), [row[1:] for row in UNLIKE], ids=[row[0] for row in UNLIKE])  # fmt: skip
def test_what_was_not_allowed_by_just_that_goes_to_the_engine(
    kernel: Lab, opens: RingReader, hook, other, fields
):
    steer(kernel, hook)
    allow(kernel, service(hook, 4, **other), **fields)
    assert kernel.run(hook, syn(hook)).reason == "to_engine"
    assert flows(kernel, 4) == {}
    assert opens.read() == []


ASKED = [
    ("SYN+ACK", lambda w: f.ip(w) / f.tcp("SA")),
    ("SYN+FIN", lambda w: f.ip(w) / f.tcp("SF")),
    ("SYN+RST", lambda w: f.ip(w) / f.tcp("SR")),
    ("data", lambda w: f.ip(w) / f.tcp("S") / f.Raw(b"fast open")),
    ("no flags", lambda w: f.ip(w) / f.tcp("")),
    ("an ACK", lambda w: f.ip(w) / f.tcp("A")),
    ("a RST", lambda w: f.ip(w) / f.tcp("R")),
    ("a FIN", lambda w: f.ip(w) / f.tcp("FA")),
    ("options", lambda w: f.ip(w, options=b"\1" * 8) / f.tcp("S")),
    ("a first fragment", lambda w: f.ip(w, flags="MF") / f.tcp("S")),
    ("UDP", lambda w: f.ip(w) / f.udp()),
]


@BOTH_HOOKS
@pytest.mark.parametrize(("make"), [row[1] for row in ASKED], ids=[row[0] for row in ASKED])  # fmt: skip
def test_only_a_plain_syn_opens(kernel: Lab, opens: RingReader, hook, make):
    steer(kernel, hook)
    allow(kernel, service(hook, 4))
    frame = bytes(f.link(WAY[hook]) / make(WAY[hook]))
    assert kernel.run(hook, frame).reason == "to_engine"
    assert flows(kernel, 4) == {}
    assert opens.read() == []


@pytest.mark.parametrize("flags", ["SEC", "SP"])
def test_a_syn_may_ask_for_ecn_or_push(kernel: Lab, flags):
    steer(kernel, "vex")
    allow(kernel, service("vex", 4))
    assert kernel.run("vex", syn("vex", flags=flags)).reason == "flow_allow"


@BOTH_HOOKS
@pytest.mark.parametrize("decides", ["both", "one"])
def test_a_tuple_that_has_an_entry_is_the_engines(
    kernel: Lab, opens: RingReader, hook, decides
):
    steer(kernel, hook)
    allow(kernel, service(hook, 4))
    name = key(hook, 4, TCP)
    ways = {f"{DIR[hook]}_verdict": 0} if decides == "one" else {}
    put(kernel, 4, name, session=5, **ways)
    assert kernel.run(hook, syn(hook)).reason == "to_engine"
    [(found, flow)] = flows(kernel, 4).items()
    assert (found, flow.session) == (name, 5)
    assert opens.read() == []


def test_a_syn_that_is_repeated_is_the_engines(kernel: Lab, opens: RingReader):
    steer(kernel, "vex")
    allow(kernel, service("vex", 4))
    assert kernel.run("vex", syn("vex")).reason == "flow_allow"
    assert kernel.run("vex", syn("vex")).reason == "to_engine"
    assert len(opens.read()) == 1
    [flow] = flows(kernel, 4).values()
    assert way_of(flow, "vex").packets == 1


@pytest.mark.parametrize(
    ("stale", "reason"), [(False, "to_engine"), (True, "flow_allow")]
)
def test_while_a_living_engine_paces_who_asks_it_nothing_is_opened_past_it(
    kernel: Lab, stale, reason
):
    steer(kernel, "vex")
    allow(kernel, service("vex", 4))
    alive = {"heartbeat_ns": 1, "heartbeat_timeout_ns": 1} if stale else {}
    kernel.control(share_gap_ns=1000, share_ahead_ns=10**9, **alive)
    assert kernel.run("vex", syn("vex")).reason == reason


@pytest.mark.parametrize("how", ["no generation", "the engine wants none", "no secret"])
def test_no_program_opens_while_the_engine_does_not_want_it(
    kernel: Lab, opens: RingReader, how
):
    steer(kernel, "vex")
    allow(kernel, service("vex", 4))
    if how == "no generation":
        kernel.generation(0)
    elif how == "no secret":
        kernel.control(flow_secret=[0] * 7)
    else:
        kernel.control(opens_nothing=1)
    assert kernel.run("vex", syn("vex")).reason == "to_engine"
    assert flows(kernel, 4) == {}
    assert opens.read() == []


def test_a_port_opens_as_many_as_it_has_credit_for(kernel: Lab, opens: RingReader):
    """Those that have an entry already cost one too: they took a place in the ring."""
    steer(kernel, "vex")
    kernel.credit(3)
    allow(kernel, service("vex", 4))
    frame = bytearray(syn("vex"))
    at = len(frame) - 20
    met = []
    for sport in (1, 2, 2, 3):
        frame[at : at + 2] = struct.pack("!H", sport)
        met.append(kernel.run("vex", bytes(frame)).reason)
    assert met == ["flow_allow", "flow_allow", "to_engine", "to_engine"]
    assert len(opens.read()) == 2
    kernel.credit(1)
    assert kernel.run("vex", bytes(frame)).reason == "flow_allow"


@pytest.mark.parametrize("fail", ["open", "closed"])
def test_without_a_live_engine_a_known_service_goes_on_opening(kernel: Lab, fail):
    kernel.port("vex", "protect", *(["FAIL_OPEN"] if fail == "open" else []))
    kernel.generation(GENERATION)
    kernel.heartbeat(stale=True)
    allow(kernel, service("vex", 4))
    assert kernel.run("vex", syn("vex")).reason == "flow_allow"
    unknown = kernel.run("vex", bytes(f.link("in") / f.ip("in") / f.udp())).reason
    assert unknown == ("fail_open" if fail == "open" else "engine_down")


def test_a_quarantined_port_opens_nothing(kernel: Lab, opens: RingReader):
    steer(kernel, "vex", "quarantine")
    allow(kernel, service("vex", 4))
    assert kernel.run("vex", syn("vex")).reason == "quarantine"
    assert opens.read() == []


def test_a_tagged_syn_is_the_engines(kernel: Lab, opens: RingReader):
    kernel.port("vex", "protect", "PASS_OTHER")
    kernel.generation(GENERATION)
    allow(kernel, service("vex", 4))
    tagged = bytes(f.link("in") / f.Dot1Q(vlan=5) / f.ip("in") / f.tcp("S"))
    assert kernel.run("vex", tagged).reason != "flow_allow"
    assert opens.read() == []


def test_where_the_ring_is_full_nothing_is_opened_unseen(
    kernel: Lab, opens: RingReader
):
    steer(kernel, "vex")
    allow(kernel, service("vex", 4))
    room = abi.constant("SEG_OPENS_BYTES") // (8 + abi.sizeof("seg_open_event"))
    frame = bytearray(syn("vex"))
    at = len(frame) - 20
    for sport in range(1024, 1024 + room + 8):
        frame[at : at + 2] = struct.pack("!H", sport)
        kernel.programs["vex"].test_run(bytes(frame))
    assert kernel.run("vex", bytes(frame)).reason == "to_engine"
    left = flows(kernel, 4)
    assert len(left) in (room - 1, room)
    assert key("vex", 4, TCP, sport, f.SERVER) not in left
