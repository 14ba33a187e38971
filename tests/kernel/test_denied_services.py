"""A denied service: its one entry stands for every source port, and for nothing else."""

from __future__ import annotations

import time

import pytest

from tests.kernel import frames as f
from tests.kernel.conftest import GENERATION, OTHER_PORT, Lab
from tests.kernel.entries import DIR, ICMP, ICMP6, TCP, UDP, WAY, entry, key, put
from tests.kernel.test_flows import ECHO, ECHO6, SCTP, SHOT, steer

BOTH_HOOKS = pytest.mark.parametrize("hook", ["vex", "vin"])
SERVICE = (0, f.SERVER)
LONG_AGO = (time.monotonic_ns() - 1201 * 10**9 >> 18) & 0xFFFFFFFF
DENIED = [
    ("syn", 4, TCP, SERVICE, lambda w: f.ip(w) / f.tcp("S")),
    ("syn6", 6, TCP, SERVICE, lambda w: f.ip(w, 6) / f.tcp("S")),
    ("syn with data", 4, TCP, SERVICE, lambda w: f.ip(w) / f.tcp("S") / f.Raw(b"x")),
    ("syn with ecn", 4, TCP, SERVICE, lambda w: f.ip(w) / f.tcp("SEC")),
    ("syn with options", 4, TCP, SERVICE, lambda w: f.ip(w, options=b"\1" * 8) / f.tcp("S")),
    ("udp", 4, UDP, SERVICE, lambda w: f.ip(w) / f.udp()),
    ("udp6", 6, UDP, SERVICE, lambda w: f.ip(w, 6) / f.udp()),
    ("echo", 4, ICMP, (ECHO[0], 0), lambda w: f.ip(w) / f.echo()),
    ("echo6", 6, ICMP6, (ECHO6[0], 0), lambda w: f.ip(w, 6) / f.echo(6)),
    ("init", 4, SCTP, SERVICE, lambda w: f.ip(w, proto=SCTP) / f.sctp(1)),
]  # fmt: skip
ALL = pytest.mark.parametrize(
    ("version", "proto", "ports", "make"), [row[1:] for row in DENIED], ids=[row[0] for row in DENIED]
)  # fmt: skip


def frame_of(hook, make) -> bytes:
    return bytes(f.link(WAY[hook]) / make(WAY[hook]))


@BOTH_HOOKS
@ALL
def test_what_is_for_a_denied_service_is_dropped_and_counted(
    kernel: Lab, hook, version, proto, ports, make
):
    steer(kernel, hook)
    service = key(hook, version, proto, *ports)
    put(kernel, version, service, "deny")
    frame = frame_of(hook, make)
    got = kernel.run(hook, frame, times=3)
    assert (got.verdict, got.reason) == (SHOT, "flow_deny")
    assert got.reasons["flow_deny"].packets == 3
    after = entry(kernel, version, service, hook)
    assert (after.packets, after.bytes) == (3, 3 * len(frame))


@BOTH_HOOKS
@ALL
def test_nothing_is_allowed_by_such_an_entry(
    kernel: Lab, hook, version, proto, ports, make
):
    steer(kernel, hook)
    put(kernel, version, key(hook, version, proto, *ports), "allow")
    assert kernel.run(hook, frame_of(hook, make)).reason == "to_engine"


@BOTH_HOOKS
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("another generation", {"generation": GENERATION - 1}),
        ("timed out", {"last_seen": LONG_AGO}),
        ("another element's seal", {"seal": 1}),
    ],
)
def test_a_denial_that_does_not_hold_is_none(kernel: Lab, hook, name, change):
    steer(kernel, hook)
    put(kernel, 4, key(hook, 4, TCP, *SERVICE), "deny", **change)
    assert kernel.run(hook, frame_of(hook, DENIED[0][4])).reason == "to_engine"


@BOTH_HOOKS
@pytest.mark.parametrize(
    ("name", "ports", "change"),
    [
        ("another service", (0, f.SERVER + 1), {}),
        ("another port's", SERVICE, {"port_id": OTHER_PORT}),
        ("another protocol", SERVICE, {"proto": UDP}),
        ("the other direction's", SERVICE, {"direction": 0}),
        ("another source port's", (1, f.SERVER), {}),
        ("the packet's source port's", (f.CLIENT, 0), {}),
    ],
)
def test_only_the_very_service_is_denied(kernel: Lab, hook, name, ports, change):
    steer(kernel, hook)
    fields = {"proto": TCP, "sport": ports[0], "dport": ports[1], **change}
    ways = {} if fields.pop("direction", 1) else {f"{DIR[hook]}_verdict": 0}
    put(kernel, 4, key(hook, 4, **fields), "deny", **ways)
    assert kernel.run(hook, frame_of(hook, DENIED[0][4])).reason == "to_engine"


INSIDE = [
    ("ACK", TCP, lambda w: f.ip(w) / f.tcp("A")),
    ("data", TCP, lambda w: f.ip(w) / f.tcp("PA") / f.Raw(b"x")),
    ("SYN+ACK", TCP, lambda w: f.ip(w) / f.tcp("SA")),
    ("FIN", TCP, lambda w: f.ip(w) / f.tcp("FA")),
    ("RST", TCP, lambda w: f.ip(w) / f.tcp("R")),
    ("no flags", TCP, lambda w: f.ip(w) / f.tcp("")),
    ("SCTP data", SCTP, lambda w: f.ip(w, proto=SCTP) / f.sctp(0)),
    ("a fragment", UDP, lambda w: f.ip(w, flags="MF") / f.udp() / f.Raw(b"x" * 16)),
    ("echo reply", ICMP, lambda w: f.ip(w, proto=ICMP) / f.Raw(b"\0\0\0\0\x12\x34\0\0")),
    ("timestamp", ICMP, lambda w: f.ip(w, proto=ICMP) / f.Raw(b"\x0d\0\0\0\x12\x34" + bytes(14))),
]  # fmt: skip


@BOTH_HOOKS
@pytest.mark.parametrize(("proto", "make"), [row[1:] for row in INSIDE], ids=[row[0] for row in INSIDE])  # fmt: skip
def test_what_begins_nothing_is_the_engines(kernel: Lab, hook, proto, make):
    """An open connection to a denied service is blocked by its own entries."""
    steer(kernel, hook)
    put(kernel, 4, key(hook, 4, proto, *SERVICE), "deny")
    put(kernel, 4, key(hook, 4, ICMP, ECHO[0], 0), "deny")
    assert kernel.run(hook, frame_of(hook, make)).reason == "to_engine"


@BOTH_HOOKS
@pytest.mark.parametrize("word", ["allow", "deny"])
def test_a_flows_own_entry_comes_first(kernel: Lab, hook, word):
    """The answer of a flow that the workload opened is for one of its ports, which may be a denied service."""
    steer(kernel, hook)
    put(kernel, 4, key(hook, 4, UDP, *SERVICE), "deny")
    put(kernel, 4, key(hook, 4, UDP), word)
    frame = frame_of(hook, DENIED[5][4])
    assert kernel.run(hook, frame).reason == f"flow_{word}"
    assert entry(kernel, 4, key(hook, 4, UDP, *SERVICE), hook).packets == 0


@BOTH_HOOKS
@pytest.mark.parametrize(
    "change", [{"generation": GENERATION - 1}, {"last_seen": LONG_AGO}]
)
def test_a_flows_own_entry_that_holds_no_longer_asks_the_engine(
    kernel: Lab, hook, change
):
    steer(kernel, hook)
    put(kernel, 4, key(hook, 4, UDP, *SERVICE), "deny")
    put(kernel, 4, key(hook, 4, UDP), "allow", **change)
    assert kernel.run(hook, frame_of(hook, DENIED[5][4])).reason == "to_engine"


@pytest.mark.parametrize(
    ("ports", "first", "make"),
    [(SERVICE, f.CLIENT, DENIED[0][4]), ((ECHO[0], 0), ECHO[1], DENIED[7][4])],
    ids=["TCP", "ICMP"],
)
def test_whether_another_source_port_came_is_marked(kernel: Lab, ports, first, make):
    steer(kernel, "vex")
    proto = TCP if ports == SERVICE else ICMP
    name = key("vex", 4, proto, *ports)
    for port, several in ((first, 0), (first + 1, 1)):
        put(kernel, 4, name, "deny", settle=list(port.to_bytes(2, "big")))
        kernel.run("vex", frame_of("vex", make))
        assert entry(kernel, 4, name, "vex").payload == several


def test_a_denied_service_is_denied_without_an_engine_too(kernel: Lab):
    kernel.port("vex", "protect", "FAIL_OPEN")
    kernel.generation(GENERATION)
    kernel.heartbeat(stale=True)
    put(kernel, 4, key("vex", 4, TCP, *SERVICE), "deny")
    assert kernel.run("vex", frame_of("vex", DENIED[0][4])).reason == "flow_deny"


@pytest.mark.parametrize("mode", ["discover", "monitor"])
def test_where_the_mode_only_records_it_passes(kernel: Lab, mode):
    steer(kernel, "vex", mode)
    put(kernel, 4, key("vex", 4, TCP, *SERVICE), "deny")
    got = kernel.run("vex", frame_of("vex", DENIED[0][4]))
    assert got.reasons["flow_deny"].passed == 1
