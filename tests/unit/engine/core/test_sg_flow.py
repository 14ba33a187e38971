"""A service that is denied is denied once: what the kernel then drops, how it is told, and what is judged again."""

from __future__ import annotations

import pytest
from scapy.layers.inet import GRE

from pyctl.model.policy import Action, NodeRule
from tests.unit.engine.core.harness import (
    ALLOW,
    DENY,
    DROP,
    EGRESS,
    END,
    INGRESS,
    Rule,
)
from tests.unit.engine.core.node import ALL
from tests.unit.engine.core.wire import CLIENT, SERVICE, Connection, sctp, udp

REJECT = NodeRule(1, 0, 0, ALL, Action.REJECT)
BOTH_WAYS = pytest.mark.parametrize("way", [EGRESS, INGRESS], ids=["egress", "ingress"])
PACED = 100
"""Answers of a port at once."""


def send(net, way, layer):
    return net.out(layer) if way == EGRESS else net.into(layer)


def syn(net, way, sport=CLIENT):
    return Connection(net, way, sport=sport).segment(0, "S")


def ports(net, name):
    """The workload's port and the other's, of the key of an entry."""
    return int.from_bytes(name[-4:-2], "big"), int.from_bytes(name[-2:], "big")


def drops(core):
    return [event for event in core.events() if event.kind == DROP]


@BOTH_WAYS
@pytest.mark.parametrize(
    "make",
    [
        syn,
        lambda net, way: send(net, way, udp()),
        lambda net, way: send(net, way, sctp(1)),
    ],
    ids=["TCP", "UDP", "SCTP"],
)
def test_a_denial_is_its_services_whatever_the_source_port(core, net, way, make):
    generation = core.set_policy()
    assert core.feed(make(net, way)) == []
    ((name, flow),) = core.flows.items()
    assert ports(net, name) == ((0, SERVICE) if way == EGRESS else (SERVICE, 0))
    assert (core.ways(), core.sealed[name]) == ({way: DENY}, generation)
    assert int.from_bytes(bytes(flow.settle), "big") == CLIENT
    (event,) = drops(core)
    assert (event.packets, event.sport, event.dport) == (1, CLIENT, SERVICE)


@BOTH_WAYS
def test_an_echo_is_denied_whatever_its_identifier(core, net, way):
    core.set_policy()
    core.feed(send(net, way, net.ping()))
    ((name, _),) = core.flows.items()
    assert ports(net, name) == (0, way << 8 | (8 if net.family == 4 else 128))


@BOTH_WAYS
def test_every_source_port_shares_the_one_session(core, net, way):
    core.set_policy()
    for sport in range(1000, 1010):
        assert core.feed(syn(net, way, sport)) == []
    (session,) = core.sessions()
    assert (session.verdict, session.cached) == (DENY, 1)
    assert len(core.flows) == 1
    assert sum(event.packets for event in drops(core)) == 10
    assert core.drops() == {"default_deny": 10}


def test_while_a_flood_goes_on_it_is_told_every_second_and_to_the_packet(core, net):
    core.set_policy()
    core.feed(syn(net, INGRESS))
    assert [event.packets for event in drops(core)] == [1]
    told = 0
    for second in range(1, 31):
        core.kernel_carries(1000 * second, payload=True)
        core.advance(1)
        if second > 2:
            events = drops(core)
            assert len(events) <= 2
            for event in events:
                assert (event.sport, event.dport, event.dir) == (0, SERVICE, INGRESS)
                assert event.bytes == 100 * event.packets
                told += event.packets
    assert len(core.flows) == 1
    assert told >= 1000 * sum(range(3, 29))
    core.advance(70)
    assert core.flows == {}
    assert core.sessions() == []


def test_all_that_the_kernel_dropped_is_told(core, net):
    core.set_policy()
    core.feed(syn(net, INGRESS))
    for _ in range(30):
        core.kernel_carries(7)
        core.advance(0.7)
    core.advance(70)
    assert sum(event.packets for event in drops(core)) == 1 + 30 * 7


def test_a_repeated_syn_is_told_with_its_port(core, net):
    """The kernel has seen no other."""
    core.set_policy()
    core.feed(syn(net, INGRESS))
    core.kernel_carries(2)
    core.advance(2)
    first, repeats = drops(core)
    assert (first.packets, repeats.packets) == (1, 2)
    assert (first.sport, repeats.sport) == (CLIENT, CLIENT)


def test_a_denial_in_use_stays_in_the_kernel(core, net):
    """A SYN is nobody's answer."""
    core.set_policy()
    core.feed(syn(net, INGRESS))
    for _ in range(100):
        core.kernel_carries(1)
        core.advance(1)
    assert (len(core.flows), core.puts) == (1, 1)


def test_a_denial_of_datagrams_is_judged_again_after_a_second(core, net):
    """It may answer what the workload has asked a group since."""
    core.set_policy()
    core.feed(net.into(udp()))
    core.kernel_carries(5)
    core.advance(1.2)
    assert core.flows == {}
    core.feed(net.into(udp()))
    assert len(core.flows) == 1
    core.advance(60)
    assert sum(event.packets for event in drops(core)) == 7
    assert core.sessions() == []


@pytest.mark.parametrize("port", [67, 68, 546, 547])
def test_dhcps_ports_are_denied_one_by_one(core, net, port):
    """What passes there is known by both ports."""
    core.set_policy()
    core.feed(net.out(udp(CLIENT, port)))
    ((name, _),) = core.flows.items()
    assert ports(net, name) == (CLIENT, port)


def test_an_association_that_nobody_saw_begin_is_denied_alone(core, net):
    core.set_policy()
    core.feed(net.out(sctp(0)))
    ((name, _),) = core.flows.items()
    assert ports(net, name) == (CLIENT, SERVICE)


def test_what_has_no_ports_is_a_service_of_its_own(core, net):
    core.set_policy()
    proto = {"proto" if net.family == 4 else "nh": 47}
    core.feed(net.out(GRE(), **proto))
    ((name, _),) = core.flows.items()
    assert ports(net, name) == (0, 0)


@BOTH_WAYS
def test_another_policy_judges_the_next_syn(core, net, way):
    core.set_policy(Rule(action=DENY, id=5))
    core.feed(syn(net, way))
    core.kernel_carries(9)
    generation = core.set_policy(Rule(action=DENY, id=6))
    core.feed(syn(net, way, 1))
    assert {core.sealed[name] for name in core.flows} == {generation}
    told = [(event.rule_id, event.packets) for event in drops(core)]
    assert sorted(told) == [(5, 1), (5, 9), (6, 1)]
    core.set_policy(Rule(proto=6))
    assert core.passes(syn(net, way))
    core.advance(100)
    assert [event.packets for event in core.events() if event.kind == END] == [1]


def test_an_open_connection_that_is_blocked_denies_no_service(core, net):
    core.set_policy(Rule(proto=6))
    connection = Connection(net, INGRESS)
    for side, flags in ((0, "S"), (1, "SA"), (0, "A")):
        core.feed(connection.segment(side, flags))
    core.set_policy()
    for _ in range(10):
        core.feed(connection.segment(0, "PA", b"x"))
    assert {ports(net, name) for name in core.flows} == {(SERVICE, CLIENT)}
    assert core.ways() == {EGRESS: DENY, INGRESS: DENY}


@pytest.mark.parametrize("sport", [0, CLIENT])
def test_a_blocked_connection_of_port_0_does_not_stand_for_others(core, net, sport):
    core.set_policy()
    connection = Connection(net, INGRESS, sport=sport)
    for _ in range(12):
        core.feed(connection.segment(0, "PA", b"x"))
    assert len(core.flows) == (1 if sport else 0)


def test_a_segment_from_port_0_is_no_part_of_the_denied_service(core, net):
    core.set_policy()
    core.feed(syn(net, INGRESS, 0))
    core.feed(Connection(net, INGRESS, sport=0).segment(0, "PA", b"x"))
    (session,) = core.sessions()
    assert session.midstream == 1
    assert core.flows == {}


def test_a_ping_without_identifier_passes_when_it_is_allowed(core, net):
    core.set_policy()
    ping = net.out(net.ping(0))
    core.feed(ping)
    core.set_policy(Rule(dir=EGRESS))
    assert core.passes(ping)
    assert core.ways() == {EGRESS: ALLOW, INGRESS: ALLOW}


@pytest.mark.parametrize("mode", ["discover", "monitor"])
def test_modes_that_only_record_deny_no_service(core, net, mode):
    core.set_policy(Rule(action=DENY), mode=mode)
    assert core.passes(syn(net, INGRESS))
    assert core.passes(net.into(udp()))
    ways = [way.verdict for flow in core.flows.values() for way in flow.ways]
    assert ways == [ALLOW] * 4


def test_a_port_without_a_flow_map_is_judged_here(core, net):
    core.set_policy(cache=False)
    for sport in range(5):
        core.feed(syn(net, INGRESS, sport + 1))
    assert core.flows == {}
    assert core.drops() == {"default_deny": 5}
    assert len(drops(core)) == 5


def test_a_reject_is_answered_while_the_port_has_answers(node, net):
    core = node.core
    node.judge_by(REJECT)
    frames = [syn(net, EGRESS, 1000 + n) for n in range(PACED + 20)]
    answered = [len(core.feed(frame)) for frame in frames]
    assert answered == [1] * PACED + [0] * 20
    assert core.ways() == {EGRESS: DENY}
    core.kernel_carries(1000, payload=True)
    core.advance(1.2)
    assert core.flows == {}
    assert len(core.feed(syn(net, EGRESS, 2000))) == 1
    assert sum(event.packets for event in drops(core)) == PACED + 20 + 1000 + 1


def test_resets_by_option_are_at_the_ports_pace_too(core, net):
    core.set_policy(rst=True)
    frames = [syn(net, INGRESS, 1000 + n) for n in range(PACED + 5)]
    assert sum(len(core.feed(frame)) for frame in frames) == PACED
    assert len(core.flows) == 1


def test_a_late_copy_denies_nothing_to_come(core, net):
    core.set_policy()
    copy = bytearray(syn(net, EGRESS))
    copy[9] = 0x54
    core.feed(bytes(copy))
    assert core.flows == {}


def test_where_the_map_has_no_room_each_is_judged(core, net):
    core.set_policy()
    core.put_error = 7
    for sport in range(1, 21):
        core.feed(syn(net, INGRESS, sport))
    assert sum(event.packets for event in drops(core)) == 20
