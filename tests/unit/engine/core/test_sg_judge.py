"""Datagram flows, ICMP, ICMP errors, and the bounds of the session table."""

from __future__ import annotations

import pytest
from scapy.layers.inet import GRE, ICMP, TCP
from scapy.layers.inet6 import ICMPv6PacketTooBig, ICMPv6ParamProblem
from scapy.packet import Raw

from pyctl import abi
from tests.unit.engine.core.harness import (
    ALLOW,
    DENY,
    DROP,
    EGRESS,
    END,
    INGRESS,
    OTHER_PORT,
    PORT,
    Rule,
)
from tests.unit.engine.core.wire import CLIENT, NETS, SERVICE, Connection, sctp, udp

NET4, NET6 = NETS


def test_default_deny_drops_the_first_datagram_silently(core, net):
    """Behaviour 17 for UDP; and the kernel drops the next ones."""
    generation = core.set_policy()
    assert not core.passes(net.out(udp()))
    assert core.told() == [("drop", "default_deny")]
    (key,) = core.flows
    assert (core.ways(), core.sealed[key]) == ({EGRESS: DENY}, generation)


def test_what_the_kernel_dropped_is_told_at_the_end(core, net):
    core.feed(net.out(udp()))
    core.events()
    core.kernel_carries(40)
    core.advance(31)
    assert core.flows == {}
    (event,) = core.events()
    assert (event.kind, event.packets) == (DROP, 40)


def test_an_allowed_datagram_flow_goes_to_the_kernel_at_once(core, net):
    core.set_policy(Rule(dir=EGRESS, proto=17))
    assert core.passes(net.out(udp()))
    assert core.ways() == {EGRESS: ALLOW, INGRESS: ALLOW}
    assert core.passes(net.into(udp(SERVICE, CLIENT)))
    (session,) = core.sessions()
    assert list(session.packets) == [1, 1]
    assert core.told() == []


def test_a_denied_flow_does_not_speak_for_what_its_other_end_opens(core, net):
    core.set_policy(Rule(dir=EGRESS))
    assert not core.passes(net.into(udp()))
    assert core.passes(net.out(udp(SERVICE, CLIENT)))
    assert core.passes(net.into(udp()))
    (session,) = [one for one in core.sessions() if one.verdict == ALLOW]
    assert list(session.packets) == [1, 1]


def test_policy_change_holds_from_the_next_datagram_on(core, net):
    core.set_policy(Rule(proto=17))
    core.feed(net.out(udp()))
    generation = core.set_policy()
    assert not core.passes(net.out(udp()))
    (key,) = core.flows
    assert (core.ways(), core.sealed[key]) == ({EGRESS: DENY}, generation)
    core.set_policy(Rule(proto=17))
    assert core.passes(net.out(udp()))
    assert core.ways() == {EGRESS: ALLOW, INGRESS: ALLOW}


def test_a_ping_and_its_answer_are_one_flow(core, net):
    core.set_policy(Rule(dir=EGRESS, proto=net.icmp))
    assert core.passes(net.out(net.ping(ident=0x1234)))
    assert core.passes(net.into(net.pong(ident=0x1234)))
    request = 8 if net.family == 4 else 128
    assert core.ways() == {EGRESS: ALLOW, INGRESS: ALLOW}
    assert {key[-4:] for key in core.flows} == {b"\x12\x34" + bytes([EGRESS, request])}
    (session,) = core.sessions()
    assert (session.sport, session.dport) == (request << 8, 0x1234)
    assert list(session.packets) == [1, 1]


def test_an_answer_that_nobody_asked_for_is_judged_as_what_it_is(core, net):
    core.set_policy(Rule(dir=EGRESS, proto=net.icmp))
    assert not core.passes(net.into(net.pong()))
    assert not core.passes(net.into(net.ping()))


def test_pings_with_one_identifier_both_ways_are_two_flows(core, net):
    core.set_policy(Rule(proto=net.icmp))
    assert core.passes(net.out(net.ping()))
    assert core.passes(net.into(net.ping()))
    assert sorted(s.dir for s in core.sessions()) == [EGRESS, INGRESS]
    assert sorted(key[-2] for key in core.flows) == [EGRESS, INGRESS]


def test_other_transports_are_flows_by_their_addresses(core, net):
    core.set_policy(Rule(dir=EGRESS, proto=47))
    assert core.passes(net.out(GRE()))
    assert core.passes(net.into(GRE()))
    assert core.ways() == {EGRESS: ALLOW, INGRESS: ALLOW}
    assert [key[2] for key in core.flows] == [47]
    core.advance(179)
    assert len(core.sessions()) == 1
    core.advance(2)
    assert core.sessions() == []
    assert not core.passes(net.into(GRE()))


@pytest.mark.parametrize("proto", [0, 43, 44, 60, 135, 139, 140, 253])
def test_what_hides_behind_an_unknown_header_stays_with_the_engine(core, proto):
    core.set_policy(Rule())
    net = NETS[0]
    assert core.passes(net.out(Raw(bytes(16)), proto=proto))
    assert core.flows == {}


def test_associations_are_flows_by_their_ports(core, net):
    core.set_policy(Rule(dir=EGRESS, proto=132))
    assert core.passes(net.out(sctp(1)))
    assert core.passes(net.into(sctp(2, SERVICE, CLIENT)))
    assert core.passes(net.out(sctp(1, CLIENT, SERVICE + 1)))
    found = sorted((s.proto, s.sport, s.dport) for s in core.sessions())
    assert found == [(132, CLIENT, SERVICE), (132, CLIENT, SERVICE + 1)]
    assert len(core.flows) == 2
    core.advance(1190)
    assert len(core.sessions()) == 1


def test_an_association_opens_nothing_the_other_way(core, net):
    """Whoever sends INIT is judged for it, whatever was opened on these ports before."""
    core.set_policy(Rule(dir=EGRESS, proto=132))
    assert not core.passes(net.into(sctp(1, SERVICE, CLIENT)))
    assert core.passes(net.out(sctp(1)))
    assert not core.passes(net.into(sctp(1, SERVICE, CLIENT)))
    assert core.passes(net.into(sctp(0, SERVICE, CLIENT)))


@pytest.mark.parametrize("initiator", [EGRESS, INGRESS], ids=["egress", "ingress"])
def test_an_association_that_nobody_saw_begin_passes_where_either_end_may_open_it(
    core, net, initiator
):
    core.set_policy(Rule(dir=initiator, proto=132))
    assert core.passes(net.out(sctp(0)))
    assert core.passes(net.into(sctp(0, SERVICE, CLIENT)))
    assert [s.dir for s in core.sessions()] == [initiator]


@pytest.mark.parametrize("kind", ["tcp", "udp", "ping", "sctp"])
def test_an_icmp_error_passes_with_its_flow(core, net, kind):
    core.set_policy(Rule(dir=EGRESS))
    frame = {
        "tcp": Connection(net, EGRESS).segment(0, "S"),
        "udp": net.out(udp()),
        "ping": net.out(net.ping()),
        "sctp": net.out(sctp(1)),
    }[kind]
    assert core.passes(frame)
    assert core.passes(net.into(net.unreachable(frame), peer=net.other))


def test_the_workloads_own_icmp_error_passes_with_its_flow(core, net):
    core.set_policy(Rule(dir=INGRESS))
    frame = net.into(udp())
    assert core.passes(frame)
    assert core.passes(net.out(net.unreachable(frame)))


@pytest.mark.parametrize(
    "why", ["no flow", "other port", "wrong way", "not its sender", "denied"]
)
def test_an_icmp_error_without_its_flow_is_dropped(core, net, why):
    core.set_policy(Rule(), port=OTHER_PORT)
    core.set_policy(Rule())
    frame = net.out(udp())
    error = net.into(net.unreachable(frame))
    if why == "other port":
        core.feed(net.out(udp(), port=OTHER_PORT))
    elif why == "wrong way":
        core.feed(frame)
        error = net.out(net.unreachable(frame))
    elif why == "not its sender":
        core.feed(net.out(udp()))
        stranger = bytes(net.link(True) / net.ip(net.other, net.peer) / udp())
        error = net.into(net.unreachable(stranger))
    elif why == "denied":
        core.feed(frame)
        core.set_policy()
    assert not core.passes(error)
    assert core.drops() == {"icmp_unrelated": 1}


def test_a_redirect_passes_with_no_flow(core):
    """Whole ones end in the kernel: this is one in fragments, or of a datapath that knows no routers."""
    core.set_policy(Rule())
    frame = NET4.out(udp())
    assert core.passes(frame)
    error = NET4.unreachable(frame)
    assert core.passes(NET4.into(error))
    error.type = 5
    assert not core.passes(NET4.into(error))
    assert core.drops() == {"not_served": 1}


def test_an_unrelated_icmp_error_passes_where_the_mode_records(core, net):
    core.set_policy(mode="monitor")
    assert core.passes(net.into(net.unreachable(net.out(udp()))))
    assert core.passed("icmp_unrelated") == 1


def test_path_mtu_messages_find_their_connection(core):
    core.set_policy(Rule(dir=EGRESS))
    for net, message in (
        (NET4, ICMP(type=3, code=4)),
        (NET6, ICMPv6PacketTooBig(mtu=1280)),
    ):
        frame = Connection(net, EGRESS).segment(0, "S")
        core.feed(frame)
        assert core.passes(net.into(message / Raw(frame[14:])))


@pytest.mark.parametrize("cut", range(1, 49, 5))
def test_an_error_that_quotes_too_little_names_no_flow(core, net, cut):
    core.set_policy(Rule())
    frame = net.out(udp())
    core.feed(frame)
    header = ICMP(type=3) if net.family == 4 else ICMPv6ParamProblem()
    enough = 28 if net.family == 4 else 48
    quoted = Raw(frame[14 : 14 + cut])
    assert core.passes(net.into(header / quoted)) == (cut >= enough)


def test_timeouts_of_datagram_flows(core, net):
    for frame, seconds in (
        (net.out(udp()), 30),
        (net.out(net.ping()), 5),
        (net.out(GRE()), 30),
    ):
        core.set_policy(Rule())
        core.feed(frame)
        core.advance(seconds - 1)
        assert len(core.sessions()) == 1
        core.advance(2)
        assert core.sessions() == []
    assert core.flows == {}


@pytest.mark.parametrize("carried", [False, True], ids=["engine", "kernel"])
@pytest.mark.parametrize("initiator", [EGRESS, INGRESS], ids=["egress", "ingress"])
def test_a_datagram_flow_lives_longer_once_both_sides_have_spoken(
    core, net, initiator, carried
):
    core.set_policy(Rule(dir=initiator))
    asks, answers = net.out(udp()), net.into(udp(SERVICE, CLIENT))
    if initiator == INGRESS:
        asks, answers = net.into(udp()), net.out(udp(SERVICE, CLIENT))
    assert core.passes(asks)
    if carried:
        core.kernel_carries(1, way=EGRESS + INGRESS - initiator)
    else:
        assert core.passes(answers)
    core.advance(119)
    assert core.passes(answers)
    core.advance(119)
    assert len(core.sessions()) == 1
    core.advance(2)
    assert core.sessions() == []
    assert not core.passes(answers)


def test_a_flow_ended_when_it_was_seen_last(core, net):
    """However much later that was noticed."""
    core.set_policy(Rule())
    core.feed(net.out(udp()))
    core.advance(10)
    core.kernel_carries(1, way=EGRESS)
    seen = core.now
    core.advance(31)
    (end,) = core.events()
    tick = 1 << abi.constant("SEG_FLOW_TICK")
    assert (end.kind, end.time_ns) == (END, seen // tick * tick)


def test_the_kernel_keeps_a_datagram_flow_alive(core, net):
    core.set_policy(Rule())
    core.feed(net.out(udp()))
    for _ in range(4):
        core.advance(25)
        core.kernel_carries(1)
    assert len(core.sessions()) == 1


def test_sessions_are_listed_in_pages_and_by_port(core, net):
    core.set_policy(Rule())
    core.set_policy(Rule(), port=OTHER_PORT)
    for sport in range(150):
        core.feed(net.out(udp(sport=sport), port=(PORT, OTHER_PORT)[sport % 2]))
    assert len(core.sessions()) == 150
    assert {s.sport for s in core.sessions(OTHER_PORT)} == set(range(1, 150, 2))


def test_events_stay_until_they_are_acknowledged(core):
    """Whoever asks died before he had written them down: the next one gets them again."""
    for sport in range(5):
        core.feed(NET4.out(udp(4000 + sport)))
    assert core.numbered(ack=0, after=0, most=3) == [1, 2, 3]
    assert core.numbered(ack=0, after=3) == [4, 5]
    assert core.numbered(ack=2, after=2) == [3, 4, 5]
    assert core.numbered(ack=2, after=0) == [3, 4, 5]
    assert core.numbered(ack=99, after=99) == []
    assert core.numbered(ack=5, after=5, epoch=1) == [3, 4, 5], "of another engine"
    assert core.numbered(ack=5, after=5) == []


def test_a_frame_that_cannot_be_sent_is_counted(core, net):
    core.set_policy(Rule())
    core.send_error = 100
    core.feed(net.out(udp()))
    counters = core.counters()
    assert counters["send_failed"] == 1
    assert "from_engine" not in counters


def test_counters_tell_what_came_and_what_went_on(core, net):
    core.set_policy(Rule(proto=17))
    core.feed(net.out(udp()))
    core.feed(net.out(TCP(flags="S")))
    assert core.counters() == {"to_engine": 2, "from_engine": 1, "default_deny": 1}


def test_a_port_without_a_flow_map_has_no_entry(core, net):
    """Its datapath sends every packet here; one in the map would be nobody's to delete."""
    core.set_policy(Rule(dir=EGRESS, proto=17), cache=False)
    assert core.passes(net.out(udp()))
    assert core.passes(net.into(udp(SERVICE, CLIENT)))
    assert not core.passes(net.into(udp()))
    core.advance(2)
    assert core.passes(net.out(udp()))
    assert core.flows == {}


def test_entries_go_with_the_policy_that_forbids_them_and_come_back_after_it(core, net):
    rule = Rule(dir=EGRESS, proto=17)
    core.set_policy(rule)
    core.set_policy(rule, port=OTHER_PORT)
    assert core.passes(net.out(udp()))
    core.kernel_carries(7)
    core.set_policy(rule, cache=False)
    core.advance(0.1)
    assert core.flows == {}
    (session,) = core.sessions()
    assert list(session.packets) == [8, 7]
    generation = core.set_policy(rule)
    assert core.flows == {}
    assert core.passes(net.out(udp()))
    assert {core.sealed[key] for key in core.flows} == {generation}


def test_entries_that_a_policy_forbids_go_a_few_at_a_time(core):
    """Each may cost two system calls, and packets wait meanwhile."""
    rule = Rule(dir=EGRESS, proto=17)
    core.set_policy(rule)
    for sport in range(200):
        assert core.passes(NET4.out(udp(sport=sport)))
    core.set_policy(rule, cache=False)
    assert len(core.flows) == 200
    while core.flows:
        before = core.deletes
        core.lib.sg_core_tick(core.core, core.now)
        assert 0 < core.deletes - before <= 64


def test_an_entry_that_somebody_took_away_is_written_again(core, net):
    core.set_policy(Rule(dir=EGRESS, proto=17))
    for _ in range(3):
        assert core.passes(net.out(udp()))
        assert len(core.flows) == 1
        core.flows.clear()
        core.advance(1.1)
