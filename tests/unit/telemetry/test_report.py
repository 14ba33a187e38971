"""Engine and kernel events in the words of the event log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl import abi
from pyctl.datapath.events import DropEvent
from pyctl.engine.records import EngineEvent, SensorHit
from pyctl.model.policy import Action, Direction
from pyctl.state.names import names_of
from pyctl.telemetry.report import engine_event, kernel_event
from tests import packets
from tests.unit.policy.makers import port, workload

NAMES = names_of([workload("web", port(7, f"{packets.pod_one_ip4}/24"))])
DENIED = EngineEvent(
    kind="drop",
    port_id=7,
    direction=Direction.INGRESS,
    proto=6,
    source=packets.pod_two_ip4,
    sport=40000,
    destination=packets.pod_one_ip4,
    dport=80,
    verdict=Action.DENY,
    rule_id=3,
    reason="default_deny",
    violation=False,
    created_ns=0,
    last_seen_ns=0,
    packets=(2, 0),
    bytes=(120, 0),
)
DROPPED = DropEvent(
    time_ns=1,
    packets=5,
    port_id=7,
    reason="default_deny",
    passed=False,
    direction="egress",
    ifindex=9,
    frame_len=60,
    ethertype=0x0800,
    source_mac=packets.pod_one_mac,
    destination_mac=packets.pod_two_mac,
    protocol=17,
    source=packets.pod_one_ip4,
    destination=packets.pod_two_ip4,
    source_port=5000,
    destination_port=53,
)
CAPTION = abi.REASON["default_deny"].caption


@pytest.mark.parametrize(
    ("kind", "word"),
    [("drop", "denial"), ("violation", "violation"), ("staged", "staged")],
)
def test_each_verdict_that_is_kept_has_its_word(kind, word):
    assert engine_event(replace(DENIED, kind=kind), NAMES).kind == word


@pytest.mark.parametrize("kind", ["flow_end", "99"])
def test_the_log_keeps_no_end_of_a_flow_and_nothing_unknown(kind):
    assert engine_event(replace(DENIED, kind=kind), NAMES) is None


def test_a_denial_says_whose_it_was_between_whom_and_why():
    event = engine_event(DENIED, NAMES)
    assert (event.workload, event.port_id, event.direction) == ("web", 7, "ingress")
    assert (event.message, event.reason, event.rule_id) == (CAPTION, "default_deny", 3)
    assert event.protocol == "tcp"
    assert event.source == f"{packets.pod_two_ip4}:40000"
    assert event.destination == f"{packets.pod_one_ip4}:80"
    assert (event.packets, event.bytes) == (2, 120)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"app": "Redis"}, "no policy rule allows Redis"),
        ({"app": "Redis", "app_guessed": True}, "no policy rule allows Redis?"),
        ({"app": "unknown"}, "no policy rule allows an unknown application"),
        (
            {"app": "TLS", "reason": "blocked_connection"},
            "the connection was denied after it was open (TLS)",
        ),
        (
            {"app": "SSH", "kind": "staged", "reason": "staged_deny"},
            "a staged policy rule would deny SSH",
        ),
    ],
)
def test_a_denial_names_the_application(said, message):
    assert engine_event(replace(DENIED, **said), NAMES).message == message


def test_what_no_rule_and_no_port_decided_names_none_and_counts_as_one():
    nobody = replace(DENIED, port_id=0, rule_id=0, packets=(0, 0), bytes=(0, 0))
    event = engine_event(nobody, NAMES)
    assert (event.workload, event.port_id, event.rule_id) == (None, None, None)
    assert event.packets == 1


def test_a_protocol_without_ports_shows_none():
    event = engine_event(replace(DENIED, proto=1, sport=8 << 8, dport=77), NAMES)
    assert (event.protocol, event.source) == ("icmp", packets.pod_two_ip4)


def test_a_drop_in_the_kernel_says_the_same():
    event = kernel_event(DROPPED, NAMES)
    assert (event.kind, event.message) == ("kernel-drop", CAPTION)
    assert (event.workload, event.port_id, event.direction) == ("web", 7, "egress")
    assert event.protocol == "udp"
    assert event.source == f"{packets.pod_one_ip4}:5000"
    assert event.destination == f"{packets.pod_two_ip4}:53"
    assert event.packets is None, "the count is not this flow's alone"


def test_a_frame_that_passed_is_told_apart():
    event = kernel_event(replace(DROPPED, passed=True), NAMES)
    assert event.message == f"{CAPTION} (passed: the mode only records)"


def test_a_frame_that_is_no_ip_goes_by_its_macs():
    event = kernel_event(
        replace(DROPPED, source=None, destination=None, protocol=0, port_id=0), NAMES
    )
    assert (event.source, event.destination) == (
        packets.pod_one_mac,
        packets.pod_two_mac,
    )
    assert (event.protocol, event.port_id, event.workload) == (None, None, None)


@pytest.mark.parametrize(
    ("reason", "tail"), [("none", "it goes to"), ("threat", "; dropped")]
)
def test_a_threat_is_told_by_its_name_severity_and_trigger(reason, tail):
    threat = replace(DENIED, kind="threat", threat=6, rule_id=6, reason=reason)
    event = engine_event(threat, NAMES)
    assert event is not None
    assert (event.kind, event.reason, event.rule_id) == ("threat", "land", None)
    assert event.message.startswith("high: a TCP SYN or a datagram")
    assert event.message.endswith(tail)
    assert event.packets == 2


def test_a_threat_of_another_version_has_its_number():
    event = engine_event(replace(DENIED, kind="threat", threat=63), NAMES)
    assert event is not None
    assert event.reason == "63"


@pytest.mark.parametrize(
    ("reason", "shown", "wanted"),
    [
        ("none", "", "high: in the body to the server, up to byte 40"),
        ("sensor", "", "up to byte 40; the flow was ended"),
        ("sensor", "ORD-1234", "up to byte 40 …ORD-1234; the flow was ended"),
    ],
)
def test_a_hit_tells_where_it_was_and_what_only_if_it_is_shown(reason, shown, wanted):
    hit = SensorHit("data", "order", "body", "high", True, 40, shown)
    sensor = replace(DENIED, kind="sensor", hit=hit, reason=reason)
    event = engine_event(sensor, NAMES)
    assert event is not None
    assert (event.kind, event.reason) == ("sensor", "data/order")
    assert event.message.endswith(wanted)
