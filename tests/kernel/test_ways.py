"""Both directions of a flow in one entry: what each says for itself, and that neither takes from the other."""

from __future__ import annotations

import os
import threading
import time

import pytest

from pyctl import abi
from pyctl.datapath.pins import open_map
from pyctl.platform.bpf.ring import RingReader
from tests.kernel import frames as f
from tests.kernel.conftest import Lab
from tests.kernel.entries import (
    BACK,
    DIR,
    ICMP,
    ICMP6,
    NUMBER,
    TCP,
    UDP,
    WAY,
    entry,
    key,
    put,
    tick,
)
from tests.kernel.test_flows import steer

ALLOW, DENY = abi.constant("SEG_VERDICT_ALLOW"), abi.constant("SEG_VERDICT_DENY")
SETTLING = abi.constant("SEG_FLOW_SETTLING")
BOTH_HOOKS = pytest.mark.parametrize("hook", ["vex", "vin"])
BOTH_VERSIONS = pytest.mark.parametrize("version", [4, 6])
RUNS = 100_000


def segment(hook: str, version: int = 4, flags: str = "A") -> bytes:
    """Of a connection that the workload opened: out by `vin`, back by `vex`."""
    ports = (f.CLIENT, f.SERVER) if hook == "vin" else (f.SERVER, f.CLIENT)
    layer = f.TCP(sport=ports[0], dport=ports[1], flags=flags)
    return bytes(f.link(WAY[hook]) / f.ip(WAY[hook], version) / layer)


def datagram(hook: str) -> bytes:
    ports = (f.CLIENT, f.SERVER) if hook == "vin" else (f.SERVER, f.CLIENT)
    layer = f.udp(sport=ports[0], dport=ports[1])
    return bytes(f.link(WAY[hook]) / f.ip(WAY[hook]) / layer)


def echo(hook: str, version: int, kind: str, code: int = 0) -> bytes:
    """A request or an answer, with the identifier of `frames.echo()`."""
    number = (
        {"request": 8, "answer": 0} if version == 4 else {"request": 128, "answer": 129}
    )
    header = {"proto": ICMP} if version == 4 else {"nh": ICMP6}
    body = bytes([number[kind], code, 0, 0, 0x12, 0x34, 0, 1])
    return bytes(f.link(WAY[hook]) / f.ip(WAY[hook], version, **header) / f.Raw(body))


@BOTH_VERSIONS
@pytest.mark.parametrize("egress", [0, ALLOW, DENY])
@pytest.mark.parametrize("ingress", [0, ALLOW, DENY])
def test_each_direction_has_its_own_verdict(kernel: Lab, version, egress, ingress):
    steer(kernel, "vin")
    name = key("vin", version, TCP)
    put(kernel, version, name, egress_verdict=egress, ingress_verdict=ingress)
    reasons = {0: "to_engine", ALLOW: "flow_allow", DENY: "flow_deny"}
    for hook, verdict in (("vin", egress), ("vex", ingress)):
        assert kernel.run(hook, segment(hook, version)).reason == reasons[verdict]
        assert entry(kernel, version, name, hook).packets == bool(verdict)


@BOTH_HOOKS
def test_a_denied_datagram_flow_leaves_the_other_end_to_the_engine(kernel: Lab, hook):
    steer(kernel, hook)
    name = key("vin", 4, UDP)
    put(kernel, 4, name, "deny", **{f"{DIR[BACK[hook]]}_verdict": 0})
    assert kernel.run(hook, datagram(hook)).reason == "flow_deny"
    assert kernel.run(BACK[hook], datagram(BACK[hook])).reason == "to_engine"


@BOTH_VERSIONS
def test_both_directions_are_counted_to_the_byte_on_two_cpus_at_once(
    kernel: Lab, version
):
    steer(kernel, "vin")
    name = key("vin", version, TCP)
    put(kernel, version, name)
    frames = {
        "vin": segment("vin", version) + bytes(100),
        "vex": segment("vex", version),
    }
    start = threading.Barrier(2)

    def send(hook: str, cpu: int) -> None:
        os.sched_setaffinity(0, {cpu % os.cpu_count()})
        start.wait()
        kernel.programs[hook].test_run(frames[hook], repeat=RUNS)

    senders = [threading.Thread(target=send, args=(h, c)) for c, h in enumerate(frames)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    for hook, frame in frames.items():
        found = entry(kernel, version, name, hook)
        assert (found.packets, found.bytes) == (RUNS, RUNS * len(frame))


@pytest.mark.parametrize("first", ["vin", "vex"])
def test_each_direction_closes_for_itself(kernel: Lab, first):
    steer(kernel, "vin")
    name = key("vin", 4, TCP)
    put(kernel, 4, name, session=9)
    with RingReader(open_map(kernel.instance, "seg_closes-0")) as ring:
        ring.read()
        assert kernel.run(first, segment(first, flags="FA")).reason == "flow_allow"
        assert entry(kernel, 4, name, first).closed == 1
        assert entry(kernel, 4, name, BACK[first]).closed == 0
        last = BACK[first]
        for flags in ("FA", "R"):
            assert kernel.run(last, segment(last, flags=flags)).reason == "flow_allow"
        told = [abi.unpack("seg_close_event", record) for record in ring.read()]
    assert entry(kernel, 4, name, first).closed == 1
    assert entry(kernel, 4, name, last).closed == 3
    assert [(each.dir, each.close) for each in told] == [
        (NUMBER[first], 1),
        (NUMBER[last], 1),
        (NUMBER[last], 2),
    ]


def test_data_of_one_direction_mark_that_one(kernel: Lab):
    steer(kernel, "vin")
    name = key("vin", 4, TCP)
    put(kernel, 4, name)
    frame = bytes(f.link("out") / f.ip("out") / f.tcp("PA") / f.Raw(b"x"))
    assert kernel.run("vin", frame).reason == "flow_allow"
    assert entry(kernel, 4, name, "vin").payload == 1
    assert entry(kernel, 4, name, "vex").payload == 0


@BOTH_HOOKS
@BOTH_VERSIONS
def test_a_ping_and_its_answers_have_one_entry(kernel: Lab, hook, version):
    steer(kernel, hook)
    proto, request = (ICMP, 8) if version == 4 else (ICMP6, 128)
    name = key(hook, version, proto, request << 8, 0x1234)
    put(kernel, version, name)
    assert kernel.run(hook, echo(hook, version, "request")).reason == "flow_allow"
    back = BACK[hook]
    assert kernel.run(back, echo(back, version, "answer")).reason == "flow_allow"
    for each in (hook, back):
        assert entry(kernel, version, name, each).packets == 1


@BOTH_HOOKS
@BOTH_VERSIONS
def test_a_ping_the_other_way_with_its_identifier_is_another_flow(
    kernel: Lab, hook, version
):
    steer(kernel, hook)
    proto, request = (ICMP, 8) if version == 4 else (ICMP6, 128)
    put(kernel, version, key(hook, version, proto, request << 8, 0x1234))
    back = BACK[hook]
    assert kernel.run(back, echo(back, version, "request")).reason == "to_engine"
    assert kernel.run(hook, echo(hook, version, "answer")).reason == "to_engine"


@BOTH_VERSIONS
def test_an_echo_with_a_code_is_the_engines(kernel: Lab, version):
    steer(kernel, "vin")
    proto, request = (ICMP, 8) if version == 4 else (ICMP6, 128)
    put(kernel, version, key("vin", version, proto, request << 8, 0x1234))
    assert kernel.run("vin", echo("vin", version, "request", 1)).reason == "to_engine"


def test_while_a_direction_settles_the_other_does_not_hide_its_pause(kernel: Lab):
    steer(kernel, "vin")
    name, now = key("vin", 4, UDP), time.monotonic_ns()
    put(kernel, 4, name, last_seen_ns=now - 20_000_000, egress_phase=SETTLING)
    kernel.control(drained_ns=now | 1)
    assert kernel.run("vex", datagram("vex")).reason == "flow_allow"
    assert entry(kernel, 4, name, "vin").last_seen >= tick(now - 10_000_000)
    assert entry(kernel, 4, name, "vin").phase == SETTLING
    assert kernel.run("vin", datagram("vin")).reason == "flow_allow"
    assert entry(kernel, 4, name, "vin").phase == 0
