"""Connections of which the engine sees the SYN alone: what the kernel carries, and what it tells."""

from __future__ import annotations

import pytest

from pyctl import abi
from tests.unit.engine.core.harness import (
    ALLOW,
    DENY,
    EGRESS,
    END,
    FIN,
    INGRESS,
    RST,
    SECOND,
    Core,
    Rule,
)
from tests.unit.engine.core.wire import CLIENT, SERVICE, Connection, udp

WEB = Rule(proto=6, ports=(SERVICE, SERVICE), id=7)
SETTLING = abi.constant("SEG_FLOW_SETTLING")
ESTABLISHED, SYN_SENT, SYN_RECV = 1, 2, 3
FIN_WAIT1, CLOSE, CLOSE_WAIT, LAST_ACK = 4, 7, 8, 9
BACK = {EGRESS: INGRESS, INGRESS: EGRESS}


def state(core):
    (session,) = core.sessions()
    return session.tcp_state


def ends(core):
    return [event for event in core.events() if event.kind == END]


@pytest.fixture(params=[EGRESS, INGRESS], ids=["egress", "ingress"])
def initiator(request):
    return request.param


@pytest.fixture
def opened(core, net, initiator):
    """A connection whose SYN was allowed."""
    core.set_policy(WEB)
    connection = Connection(net, initiator)
    assert core.passes(connection.segment(0, "S"))
    return connection


@pytest.mark.parametrize(
    ("answers", "goes_on", "data", "then", "answer"),
    [
        (0, 0, False, SYN_SENT, 0),
        (3, 0, False, SYN_RECV, 0),
        (1, 1, False, ESTABLISHED, 1),
        (1, 1, True, ESTABLISHED, 2),
    ],
    ids=["silence", "a scan", "a handshake", "data"],
)
def test_who_spoke_in_the_kernel_says_how_far_it_came(
    core, initiator, opened, answers, goes_on, data, then, answer
):
    core.kernel_carries(answers, way=BACK[initiator])
    core.kernel_carries(goes_on, way=initiator, payload=data)
    (session,) = core.sessions()
    assert (session.tcp_state, session.answer) == (then, answer)
    core.advance(1300)
    assert [end.answer for end in ends(core)] == [answer]
    assert core.flows == {}


@pytest.mark.parametrize(
    ("seconds", "carried"), [(20, 0), (30, 1)], ids=["unanswered", "without data"]
)
def test_a_handshake_without_data_expires_soon(core, opened, seconds, carried):
    core.kernel_carries(carried)
    core.advance(seconds - 1)
    assert len(core.sessions()) == 1
    core.advance(2)
    assert core.sessions() == []


def test_a_scanner_that_resets_what_answered_has_opened_nothing(
    core, initiator, opened
):
    core.kernel_carries(1, way=BACK[initiator])
    core.kernel_closes(initiator, RST)
    assert [end.answer for end in ends(core)] == [0]


def test_both_fins_in_the_kernel_end_it_with_the_last_ack_counted(
    core, initiator, opened
):
    core.kernel_carries(5, payload=True)
    core.kernel_closes(initiator, FIN)
    assert state(core) == FIN_WAIT1
    core.kernel_carries(1, way=BACK[initiator])
    core.kernel_closes(BACK[initiator], FIN)
    assert state(core) == LAST_ACK
    core.kernel_carries(1, way=initiator)
    assert ends(core) == []
    core.advance(1.2)
    (end,) = ends(core)
    assert (end.packets, end.kernel_packets, end.answer) == (1 + 14, 14, 2)
    assert core.flows == {}
    core.advance(15)
    assert core.sessions() == []
    assert ends(core) == []


def test_half_closed_from_the_other_end(core, initiator, opened):
    core.kernel_carries(1)
    core.kernel_closes(BACK[initiator], FIN)
    assert state(core) == CLOSE_WAIT
    assert len(core.flows) == 1


def test_a_rst_in_the_kernel_ends_it_at_once(core, initiator, opened):
    core.kernel_carries(2, payload=True)
    core.kernel_closes(initiator, RST)
    (end,) = ends(core)
    assert (end.packets, core.flows) == (1 + 5, {})
    assert state(core) == CLOSE


def test_a_connection_that_outlives_a_blind_rst_is_counted_on(core, initiator, opened):
    """And told a second time, with what came since."""
    core.kernel_carries(2, payload=True)
    core.kernel_closes(BACK[initiator], RST)
    core.events()
    assert core.passes(opened.segment(1, "PA", b"alive"))
    assert (state(core), len(core.flows)) == (ESTABLISHED, 1)
    core.kernel_carries(3)
    core.advance(1300)
    (end,) = ends(core)
    assert end.packets == 1 + 6


def test_fins_that_nobody_told_of_are_found_in_the_entries(core, initiator, opened):
    core.kernel_carries(5, payload=True)
    core.kernel_closes(initiator, FIN, told=False)
    core.kernel_closes(BACK[initiator], FIN, told=False)
    core.advance(60)
    (end,) = ends(core)
    assert end.packets == 1 + 12


def test_after_a_full_ring_closed_connections_are_looked_for(core, initiator, opened):
    """The timer of one that had data would come in twenty minutes."""
    core.kernel_carries(5, payload=True)
    core.advance(60)
    core.kernel_closes(initiator, FIN, told=False)
    core.kernel_closes(BACK[initiator], FIN, told=False)
    core.advance(60)
    assert ends(core) == []
    core.lib.sg_core_closes_lost(core.core)
    core.advance(1.2)
    (end,) = ends(core)
    assert end.packets == 1 + 12


def test_records_lost_during_a_look_begin_another(core, net):
    """Those looked at already may have closed since."""
    core.set_policy(Rule())
    for port in range(200):
        Connection(net, INGRESS, sport=20000 + port).established(core)
    core.kernel_carries(5, payload=True)
    core.advance(60)
    core.lib.sg_core_closes_lost(core.core)
    core.lib.sg_core_tick(core.core, core.now)
    for flow in core.flows.values():
        for way in flow.ways:
            way.closed = FIN
    core.lib.sg_core_closes_lost(core.core)
    core.advance(3)
    assert len(ends(core)) == 200


def test_a_new_connection_on_the_tuple_of_one_that_closed(core, initiator, opened):
    """Its SYN may be read before the ring is: the entries say that the former is over."""
    core.kernel_carries(5, payload=True)
    (former,) = {flow.session for flow in core.flows.values()}
    core.kernel_closes(initiator, FIN, told=False)
    core.kernel_closes(BACK[initiator], FIN, told=False)
    assert core.passes(opened.segment(0, "S"))
    (end,) = ends(core)
    assert end.packets == 1 + 12
    core.kernel_carries(1)
    for way in (EGRESS, INGRESS):
        core.end(former, way, FIN)
        core.end(former, way, RST)
    assert state(core) == ESTABLISHED
    assert ends(core) == []


def test_only_who_opens_a_connection_is_watched_for_its_second_packet(core, net):
    """And only in its handshake: entries that are written later say nothing of it."""
    core.set_policy(Rule())
    connection = Connection(net, EGRESS)
    core.feed(connection.segment(0, "S"))
    assert core.ways("phase") == {EGRESS: 1, INGRESS: 0}
    core.kernel_carries(2)
    core.set_policy(Rule())
    core.feed(connection.segment(0, "PA", b"on"))
    assert core.ways("phase") == {EGRESS: SETTLING, INGRESS: SETTLING}


def test_what_may_wait_behind_a_first_packet_is_not_overtaken(core, net):
    """An answer cannot wait: it comes after the question has been sent on."""
    core.set_policy(Rule())
    core.feed(net.out(udp()))
    assert core.ways("phase") == {EGRESS: SETTLING, INGRESS: 0}
    core.kernel_carries(1)
    core.set_policy(Rule())
    core.feed(net.into(udp(SERVICE, CLIENT)))
    assert core.ways("phase") == {EGRESS: SETTLING, INGRESS: SETTLING}
    core.set_policy(mode="monitor")
    core.feed(net.out(udp()))
    assert core.ways("phase") == {EGRESS: 0, INGRESS: 0}


def test_what_is_denied_is_in_no_order(core, net):
    core.feed(net.out(udp()))
    assert core.ways("phase") == {EGRESS: 0}


def test_a_stream_that_nobody_saw_begin_settles_both_ways(core, net):
    core.set_policy(Rule())
    core.feed(Connection(net, EGRESS).segment(0, "PA", b"data"))
    assert core.ways("phase") == {EGRESS: SETTLING, INGRESS: SETTLING}


def test_a_flow_that_settles_for_long_is_not_written_again(core, net):
    core.set_policy(Rule())
    for _ in range(30):
        core.feed(net.out(udp()))
        core.advance(0.1)
    assert core.puts == 1
    for flow in core.flows.values():
        for way in flow.ways:
            way.phase = 0
    core.advance(1)
    core.feed(net.out(udp()))
    assert core.puts == 2


@pytest.mark.parametrize("session", [0, 1, 99, 1 << 32, (1 << 64) - 1])
def test_an_end_that_names_no_session_says_nothing(core, opened, session):
    core.end(session, EGRESS, RST)
    assert state(core) == SYN_SENT


def test_a_repeated_syn_of_an_open_connection_is_judged_as_an_attempt(
    core, initiator, opened
):
    core.kernel_carries(2, payload=True)
    core.set_policy(Rule(DENY, id=9))
    assert not core.passes(opened.segment(0, "S"))
    assert core.drops() == {"policy_deny": 1}


def test_a_repeated_syn_of_an_unanswered_one_is_its_own(core, opened):
    assert core.passes(opened.segment(0, "S"))
    (session,) = core.sessions()
    assert sum(session.packets) == 2
    assert core.puts == 1


def test_syns_that_nobody_answers_take_half_of_the_map_at_most(core, net):
    core.set_policy(default=ALLOW)
    core.lib.sg_core_cache_limit(core.core, 4)
    for sport in range(40000, 40010):
        assert core.passes(Connection(net, EGRESS, sport=sport).segment(0, "S"))
    assert len(core.flows) == 2
    Connection(net, EGRESS, sport=50000).established(core)
    assert len(core.flows) == 3
    core.advance(21)
    assert len(core.sessions()) == 1


def test_a_policy_that_denies_it_resets_what_opened_in_the_kernel(core, opened):
    core.kernel_carries(1)
    core.set_policy(Rule(DENY, id=9))
    assert len(core.feed(opened.segment(0, "PA", b"more"))) == 2
    assert core.drops() == {"blocked_connection": 1}


def test_a_last_ack_that_takes_seconds_is_counted(core, initiator, opened):
    """And data that are sent again behind both FINs. The entry is gone by then: the port may be in use again."""
    core.kernel_carries(5, payload=True)
    core.kernel_closes(initiator, FIN)
    core.kernel_closes(BACK[initiator], FIN)
    core.kernel_carries(1, way=BACK[initiator])
    core.advance(0.3)
    assert core.flows == {}
    core.advance(0.5)
    assert ends(core) == []
    assert core.passes(opened.segment(0, "A"))
    core.advance(0.8)
    assert ends(core) == []
    core.advance(0.5)
    (end,) = ends(core)
    assert (end.packets, end.kernel_packets) == (1 + 12 + 1 + 1, 13)
    core.advance(16)
    assert core.sessions() == []


def test_a_fin_that_the_kernel_carried_is_acknowledged_by_nothing_that_is_seen_here(
    core, initiator, opened
):
    """The engine knows no sequence number of it."""
    core.kernel_carries(5, payload=True)
    core.kernel_closes(BACK[initiator], FIN)
    assert core.passes(opened.segment(0, "FA"))
    assert core.passes(opened.segment(1, "A"))
    assert state(core) == LAST_ACK
    assert ends(core) == []
    core.kernel_carries(1, way=initiator)
    core.advance(1.2)
    (end,) = ends(core)
    assert end.packets == 1 + 11 + 2 + 1


def test_timers_keep_up_with_rounds_that_are_full_of_new_connections(core_module, net):
    core = Core(core_module, sessions=4000)
    core.set_policy(default=ALLOW)
    for number in range(60 * 64):
        assert core.passes(Connection(net, EGRESS, sport=number + 1).segment(0, "S"))
        if number % 64 == 63:
            core.now += SECOND
            core.lib.sg_core_tick(core.core, core.now)
    assert len(core.sessions()) <= 22 * 64
    core.close()


def test_both_ends_open_it_at_once(core, net, initiator):
    core.set_policy(default=ALLOW)
    connection = Connection(net, initiator)
    assert core.passes(connection.segment(0, "S"))
    assert core.passes(connection.segment(1, "S"))
    core.kernel_carries(1)
    assert state(core) == ESTABLISHED
    core.kernel_carries(2, payload=True)
    core.kernel_closes(initiator, FIN)
    core.kernel_closes(BACK[initiator], FIN)
    core.advance(1.2)
    (end,) = ends(core)
    assert (end.packets, end.dir) == (2 + 8, initiator)


def test_half_closed_for_hours_it_is_the_kernels_while_the_other_end_speaks(
    core, initiator, opened
):
    core.kernel_carries(2, payload=True)
    core.kernel_closes(initiator, FIN)
    for _ in range(120):
        core.advance(80)
        core.kernel_carries(1, way=BACK[initiator], payload=True)
    assert (ends(core), len(core.flows)) == ([], 1)
    core.kernel_closes(BACK[initiator], FIN)
    core.advance(1.2)
    (end,) = ends(core)
    assert end.packets == 1 + 5 + 120 + 1


@pytest.mark.parametrize(
    "lived",
    ["nobody answered", "half open", "open", "half closed", "closed"],
)
def test_what_a_new_policy_denies_ends_in_every_state(core, initiator, opened, lived):
    """Whatever is sent: nothing passes, and the kernel is left no verdict that allows it."""
    if lived != "nobody answered":
        core.kernel_carries(1, way=BACK[initiator])
    if lived not in ("nobody answered", "half open"):
        core.kernel_carries(2, payload=True)
    if lived in ("half closed", "closed"):
        core.kernel_closes(initiator, FIN)
    if lived == "closed":
        core.kernel_closes(BACK[initiator], FIN)
    core.set_policy(Rule(DENY, id=9))
    frames = [
        opened.segment(side, flags, data)
        for side in (0, 1)
        for flags, data in (("A", b""), ("PA", b"x"), ("FA", b""), ("R", b""))
    ]
    for frame in frames:
        assert frame not in core.feed(frame)
    assert not core.passes(opened.segment(0, "S"))
    assert not core.flows or set(core.ways().values()) == {DENY}
    assert len(ends(core)) == 1


def test_an_end_that_nobody_told_of_is_found_by_who_lists_the_flows(
    core, initiator, opened
):
    core.kernel_carries(5, payload=True)
    core.kernel_closes(initiator, FIN, told=False)
    core.kernel_closes(BACK[initiator], FIN, told=False)
    assert state(core) == LAST_ACK
    core.advance(1.2)
    (end,) = ends(core)
    assert end.packets == 1 + 12


@pytest.mark.parametrize("ago", [0, 5])
def test_the_count_of_an_entrys_ticks_starts_again(core, net, initiator, ago):
    """32 bits of them: thirteen days."""
    core.set_policy(WEB)
    core.now = (1 << 50) + (3 - ago) * SECOND
    assert core.passes(Connection(net, initiator).segment(0, "S"))
    core.kernel_carries(1)
    seen = core.now
    core.advance(4)
    (session,) = core.sessions()
    assert abs(session.last_seen_ns - seen) < 1_000_000
    assert session.packets[0] + session.packets[1] == 3
