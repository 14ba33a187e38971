"""Sensors: a pattern is found however its bytes come, and a flow ends before the last of them passes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctl import abi
from pyctl.model.workload import Mode
from tests.unit.engine.core.app_flow import Wire
from tests.unit.engine.core.harness import EGRESS, INGRESS
from tests.unit.engine.core.node import Node
from tests.unit.engine.core.sensors import (
    ALERT,
    DROP,
    OFF,
    RESET,
    SECRET,
    Segments,
    hits,
    opened,
    pattern,
    sensor,
    shows,
)
from tests.unit.engine.core.wire import NETS, udp

TEXT = b"xx SECRET-1234 and more"
END = TEXT.index(b"1234") + 4
NEAR = b"xx SECRET-12x4 SECRE-1234 and more"
SENSORS = 5
"""Why it is not in the kernel: SG_LOOK_SENSORS."""


@pytest.fixture(params=[EGRESS, INGRESS], ids=["egress", "ingress"])
def wire(node, net, request):
    """A connection under a sensor that drops."""
    shows(node, SECRET)
    return opened(node, net, request.param)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("cut", range(1, len(TEXT)))
def test_a_match_is_found_at_every_cut(node, net, side, cut):
    shows(node, SECRET)
    wire = opened(node, net)
    wire.says(side, TEXT[:cut])
    wire.says(side, TEXT[cut:])
    (hit,) = hits(node.core)
    assert (hit.name, hit.dropped, hit.side, hit.offset) == (
        "data/one",
        True,
        side,
        END,
    )
    crossed = TEXT[:cut] if cut < END else b""
    assert wire.across[side] == crossed, "the packet with the last byte does not pass"
    assert wire.session.verdict == abi.constant("SEG_VERDICT_DENY")
    assert abi.REASONS[wire.session.reason].name == "sensor"


def test_each_byte_by_itself(wire):
    for byte in TEXT:
        wire.says(0, bytes([byte]))
    assert wire.across[0] == TEXT[: END - 1]


def test_near_misses_pass(wire):
    for side in (0, 1):
        for byte in NEAR:
            wire.says(side, bytes([byte]))
        assert wire.across[side] == NEAR
    assert not hits(wire.core)
    assert not wire.session.cached
    assert wire.session.look == SENSORS


def test_two_connections_do_not_add_up(node, net):
    shows(node, SECRET)
    wires = [opened(node, net, sport=40000 + number) for number in range(2)]
    wires[0].says(0, TEXT[:8])
    wires[1].says(0, TEXT[8:])
    assert not hits(node.core)
    wires[0].says(0, TEXT[8:])
    assert len(hits(node.core)) == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_the_order_of_segments_does_not_matter(node, net, order):
    shows(node, SECRET)
    wire = opened(node, net)
    sent = Segments(wire)
    parts = [(0, TEXT[:6]), (6, TEXT[6:10]), (10, TEXT[10:])]
    for number in order:
        at, data = parts[number]
        sent.send(at, data)
    (hit,) = hits(node.core)
    assert (hit.dropped, hit.offset) == (True, END)
    whole = b"".join(
        data for number, (_, data) in enumerate(parts) if number != order[-1]
    )
    assert len(wire.across[0]) <= len(whole), "the last one to come does not pass"


def test_a_segment_that_fills_a_hole_does_not_pass_with_a_match_behind_it(wire):
    sent = Segments(wire)
    assert sent.send(6, TEXT[6:]), "its receiver can tell what is missing"
    sent.send(0, TEXT[:6])
    assert wire.across[0] == TEXT[6:]
    assert len(hits(wire.core)) == 1


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    cuts=st.lists(st.integers(1, len(TEXT) - 1), max_size=5, unique=True),
    seed=st.randoms(use_true_random=False),
    twice=st.lists(st.integers(0, 5), max_size=4),
    net=st.sampled_from(NETS),
)
def test_whatever_way_segments_come_the_match_is_found(
    core_module, cuts, seed, twice, net
):
    node = Node(core_module)
    shows(node, SECRET)
    wire = opened(node, net)
    ends = [0, *sorted(cuts), len(TEXT)]
    parts = list(itertools.pairwise(ends))
    parts += [parts[number % len(parts)] for number in twice]
    seed.shuffle(parts)
    sent = Segments(wire)
    for begin, end in parts:
        sent.send(begin, TEXT[begin:end])
    assert [hit.offset for hit in hits(node.core)] == [END]
    node.core.close()


def test_another_version_of_a_byte_that_was_scanned_ends_the_flow(wire):
    sent = Segments(wire)
    sent.send(0, b"xx SECRET-")
    sent.send(3, b"secret-")
    assert wire.core.told()[-1] == ("drop", "tcp_differs")
    assert sent.send(10, b"1234") == [] or wire.resets


def test_another_version_of_what_is_acknowledged_does_not_matter(wire):
    sent = Segments(wire)
    sent.send(0, b"xx SECRET-")
    sent.acknowledged(10)
    assert sent.send(3, b"secret-"), "its receiver throws it away"
    sent.send(10, b"1234")
    assert len(hits(wire.core)) == 1


def test_a_receiver_that_acknowledges_what_is_missing_hides_nothing(wire):
    """It would have its sender not repeat the bytes of the hole, and take them unseen."""
    sent = Segments(wire)
    sent.send(8, TEXT[8:])
    sent.acknowledged(len(TEXT))
    sent.send(0, TEXT[:8])
    assert len(hits(wire.core)) == 1


def test_bytes_of_a_segment_with_a_wrong_checksum_do_not_count(node, net):
    shows(node, SECRET)
    wire = opened(node, net)
    frame = bytearray(wire.connection.segment(0, "PA", b"SECRET-1234"))
    frame[-1] ^= 1
    assert node.core.feed(bytes(frame)) == []
    assert node.core.counters()["tcp_checksum"] == 1
    assert not hits(node.core)


@pytest.mark.parametrize(
    ("action", "resets", "passes"),
    [(ALERT, 0, True), (DROP, 0, False), (RESET, 2, False), (OFF, 0, True)],
)
def test_actions(node, net, action, resets, passes):
    shows(node, SECRET, action=action)
    wire = opened(node, net)
    wire.says(0, TEXT)
    found = hits(node.core)
    assert (wire.across[0] == TEXT, wire.resets) == (passes, resets)
    assert [hit.dropped for hit in found] == ([] if action is OFF else [not passes])


@pytest.mark.parametrize("mode", [Mode.DISCOVER, Mode.MONITOR])
def test_where_the_mode_only_records_hits_are_told(node, net, mode):
    shows(node, SECRET, mode=mode)
    wire = opened(node, net)
    for byte in TEXT:
        wire.says(1, bytes([byte]))
    assert wire.across[1] == TEXT
    (hit,) = hits(node.core)
    assert (hit.dropped, hit.side) == (False, 1)


def test_where_the_mode_only_records_what_was_missed_is_given_up(node, net):
    shows(node, SECRET, mode=Mode.DISCOVER)
    wire = opened(node, net)
    sent = Segments(wire)
    sent.send(0, b"SECR")
    sent.send(100, b"ET-1234 ")
    sent.acknowledged(108)
    assert not hits(node.core), "the bytes between are not known"
    sent.send(108, TEXT)
    assert len(hits(node.core)) == 1


def test_a_hit_is_one_event_for_many_and_the_strictest_of_its_sensors_holds(node, net):
    other = sensor("more", pattern("1234 and", severity="critical"))
    shows(node, SECRET, other, data=ALERT, more=DROP)
    wire = opened(node, net)
    wire.says(0, TEXT[:END])
    assert wire.across[0] == TEXT[:END]
    wire.says(0, TEXT[END:])
    assert [(hit.name, hit.dropped, hit.severity) for hit in hits(node.core)] == [
        ("data/one", False, 2),
        ("more/one", True, 4),
    ]
    assert wire.across[0] == TEXT[:END]


def test_matched_data_is_told_only_where_the_sensor_shows_it(node, net):
    shows(node, sensor("a", pattern("KEY-[a-z]+!"), show=True), action=ALERT)
    wire = opened(node, net)
    wire.says(0, b"xx KEY-ab")
    wire.says(0, b"cd! yy")
    assert [hit.shown for hit in hits(node.core)] == ["KEY-abcd!"]
    node.core.advance(31)
    shows(node, sensor("a", pattern("KEY-[a-z]+!")), action=ALERT)
    other = opened(node, net, sport=41000)
    other.says(0, b"xx KEY-abcd! yy")
    assert [hit.shown for hit in hits(node.core)] == [""]


def test_flows_under_a_sensor_are_in_no_map(node, net):
    shows(node, SECRET, action=ALERT)
    wire = opened(node, net)
    for _ in range(20):
        wire.says(0, b"nothing")
        wire.says(1, b"nothing")
    node.core.feed(net.out(udp()))
    node.core.feed(net.into(udp(8080, 40000)))
    assert not node.core.flows
    assert not node.core.services, "a program would open the next one by itself"
    shows(node)
    wire.says(0, b"nothing")
    assert node.core.flows


def test_a_sensor_of_requests_leaves_datagrams_to_the_kernel(node, net):
    shows(node, sensor("web", pattern("SECRET", part="url")))
    node.core.feed(net.out(udp()))
    assert node.core.flows


@pytest.mark.parametrize("fragmented", [False, True], ids=["whole", "fragments"])
def test_datagrams(node, net, fragmented):
    shows(node, SECRET)

    def sends(payload: bytes, sport: int) -> bool:
        frame = net.out(udp(sport, payload=payload))
        pieces = net.fragments(frame) if fragmented else [frame]
        sent = [node.core.feed(piece) for piece in pieces]
        return any(sent)

    fill = b"a" * (1000 if fragmented else 10)
    assert sends(fill + NEAR + fill, 1)
    assert sends(b"SECRET-" + fill, 1)
    assert sends(b"1234" + fill, 1), "a match is within one datagram"
    assert not sends(fill + TEXT + fill, 2)
    assert [hit.dropped for hit in hits(node.core)] == [True]
    assert not sends(fill, 2), "the flow is over"


def test_a_syns_data_comes_again_without_the_syn(node, net):
    shows(node, SECRET)
    wire = Wire(node.core, net)
    assert wire.says(0, TEXT, "S") == []
    wire.connection.seq[0] = 1000
    wire.opens().says(0, TEXT)
    assert len(hits(node.core)) == 1


def test_urgent_bytes_and_data_of_resets_do_not_pass(wire):
    assert wire.says(0, b"SECRET-12", "PAU") == []
    assert wire.says(0, b"SECRET-12", "RA") == []


@pytest.mark.parametrize("cut", range(1, END))
def test_a_match_over_a_swap_is_found(node, net, cut):
    shows(node, sensor("old", pattern("nothing")))
    wire = opened(node, net)
    wire.says(0, TEXT[:cut])
    shows(node, SECRET, port=False)
    wire.says(0, TEXT[cut:])
    assert [hit.name for hit in hits(node.core)] == ["data/one"]


def test_a_swap_for_the_same_patterns_goes_on_with_its_streams(node, net):
    shows(node, SECRET)
    wire = opened(node, net)
    long = b"SECRET" + b"-" * 2000
    regex = sensor("data", pattern("SECRET-+[0-9]{4}"))
    shows(node, regex)
    wire.says(0, long)
    shows(node, regex, port=False)
    wire.says(0, b"1234")
    assert len(hits(node.core)) == 1


def test_sensors_that_are_gone_look_no_more(node, net):
    shows(node, SECRET)
    wire = opened(node, net)
    wire.says(0, TEXT[: END - 1])
    shows(node)
    wire.says(0, TEXT[END - 1 :])
    assert not hits(node.core)
    assert wire.across[0] == TEXT


def test_a_connection_from_before_is_scanned_from_its_next_segment_on(node, net):
    shows(node)
    wire = opened(node, net)
    wire.says(0, b"before")
    shows(node, SECRET)
    wire.says(0, TEXT)
    assert [hit.dropped for hit in hits(node.core)] == [True]


def test_without_memory_what_is_held_back_does_not_pass_unseen(node, net, core_module):
    shows(node, SECRET)
    wire = opened(node, net)
    core_module.lib.t_no_memory = 1
    try:
        assert wire.says(0, TEXT) == []
    finally:
        core_module.lib.t_no_memory = 0
    assert node.core.counters()["hold_memory"] == 1
    wire.connection.seq[0] -= len(TEXT)
    wire.says(0, TEXT)
    assert len(hits(node.core)) == 1


def test_what_looks_ahead_is_exact_with_pcre2(node, net):
    shows(node, sensor("a", pattern(r"pass(?!word)[a-z]+=", confirm="pcre2")))
    wire = opened(node, net)
    for byte in b"password= passx":
        wire.says(0, bytes([byte]))
    assert not hits(node.core)
    wire.says(0, b"=")
    assert len(hits(node.core)) == 1
