"""What a rule rejects is answered: to its sender, in its receiver's name, and never too often."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.packet import Raw

from pyctl.model.policy import Action, NodeRule, PortMatch
from pyctl.model.workload import Mode
from tests import packets
from tests.unit.engine.core.harness import EGRESS, INGRESS
from tests.unit.engine.core.node import ALL
from tests.unit.engine.core.wire import SERVICE, Connection, checksums_hold, parse, udp

REJECT = NodeRule(1, 0, 0, ALL, Action.REJECT)
ALLOW = NodeRule(1, 0, 0, ALL, Action.ALLOW)
OF_SERVICE = NodeRule(1, 0, 0, (PortMatch(17, SERVICE, SERVICE),), Action.REJECT)
MOST = 8
"""Answers to one flow."""


def error(net, frame: bytes) -> tuple[int, int, bytes]:
    """Type, code and quoted bytes of an ICMP error whose checksum is right."""
    packet = parse(frame)
    kind = ICMP if net.family == 4 else ICMPv6DestUnreach
    layer = packet[kind]
    again = packet.payload.copy()
    sum_of = (lambda one: one.chksum) if net.family == 4 else (lambda one: one.cksum)
    told = sum_of(layer)
    if net.family == 4:
        del again.chksum
        del again[kind].chksum
    else:
        del again[kind].cksum
    built = type(packet.payload)(bytes(again))
    assert sum_of(built[kind]) == told
    # As sent: scapy would make it whole again.
    return layer.type, layer.code, frame[14 + (20 if net.family == 4 else 40) + 8 :]


def ends(frame: bytes) -> tuple[str, str, str, str]:
    packet = parse(frame)
    ip = packet[IP] if IP in packet else packet[IPv6]
    return packet.src, packet.dst, ip.src, ip.dst


def swapped(frame: bytes) -> tuple[str, str, str, str]:
    src, dst, here, there = ends(frame)
    return dst, src, there, here


@pytest.mark.parametrize("egress", [True, False])
def test_udp_is_answered_as_by_a_host_without_that_port(node, net, egress):
    node.judge_by(REJECT)
    sent = net.out(udp()) if egress else net.into(udp())
    (answer,) = node.core.feed(sent)
    assert ends(answer) == swapped(sent)
    kind, code, quoted = error(net, answer)
    assert (kind, code) == ((3, 3) if net.family == 4 else (1, 4))
    assert quoted == sent[14:]
    assert node.core.drops() == {"policy_deny": 1}


def test_a_syn_is_answered_with_a_reset_whatever_the_option_says(node, net):
    node.judge_by(REJECT)
    for initiator in (EGRESS, INGRESS):
        sent = Connection(net, initiator).segment(0, "S")
        (answer,) = node.core.feed(sent)
        assert ends(answer) == swapped(sent)
        assert parse(answer)[TCP].flags == "RA"
        assert checksums_hold(answer)


def test_others_are_told_that_it_is_prohibited(node, net):
    node.judge_by(REJECT)
    for frame in (net.out(net.ping()), net.out(Raw(bytes(20)), **proto(net, 47))):
        (answer,) = node.core.feed(frame)
        assert error(net, answer)[:2] == ((3, 13) if net.family == 4 else (1, 1))


def proto(net, number: int) -> dict[str, int]:
    return {"proto" if net.family == 4 else "nh": number}


def test_a_long_packet_is_quoted_as_far_as_the_rfcs_say(node, net):
    node.judge_by(REJECT)
    sent = net.out(udp(payload=b"x" * 1401))
    (answer,) = node.core.feed(sent)
    assert len(answer) == 14 + (576 if net.family == 4 else 1280)
    assert error(net, answer)[2] == sent[14 : 14 + (548 if net.family == 4 else 1232)]


@pytest.mark.parametrize("payload", [b"", b"x", b"xy"])
def test_an_odd_length_has_a_checksum_too(node, net, payload):
    node.judge_by(REJECT)
    (answer,) = node.core.feed(net.out(udp(payload=payload)))
    error(net, answer)


def test_what_no_icmp_error_may_answer_is_dropped_silently(node, net):
    node.judge_by(REJECT)
    ip4 = net.family == 4
    group = packets.group_ip4 if ip4 else packets.group_ip6
    nobody = packets.unspecified_ip4 if ip4 else packets.unspecified_ip6
    silent = [
        net.out(net.unreachable(net.into(udp()))),
        net.out(net.pong()),
        net.out(udp(), peer=group),
        net.into(udp(), peer=nobody),
        b"\xff" * 6 + net.out(udp())[6:],
        *net.fragments(net.out(udp(payload=b"x" * 1500))),
    ]
    for frame in silent:
        assert node.core.feed(frame) == []


def test_a_service_is_answered_as_long_as_its_port_has_answers(node, net):
    node.judge_by(REJECT)
    answers = [len(node.core.feed(net.out(udp()))) for _ in range(102)]
    assert answers == [1] * 100 + [0, 0]
    assert set(node.core.ways().values()) == {2}


def test_a_flow_that_is_denied_alone_is_answered_a_few_times(node, net):
    """Then it is left to the kernel."""
    node.judge_by(REJECT)
    answers = [len(node.core.feed(net.out(udp(dport=67)))) for _ in range(MOST + 2)]
    assert answers == [1] * MOST + [0, 0]
    assert set(node.core.ways().values()) == {2}


def test_a_port_answers_at_a_bounded_pace(node, net):
    node.judge_by(REJECT)
    frames = [net.out(udp(sport=1000 + n)) for n in range(200)]
    assert sum(len(node.core.feed(frame)) for frame in frames) == 100
    node.core.advance(0.1)
    frames = [net.out(udp(sport=2000 + n)) for n in range(100)]
    assert sum(len(node.core.feed(frame)) for frame in frames) == 50


def test_modes_that_only_record_answer_nothing(node, net):
    for mode in (Mode.DISCOVER, Mode.MONITOR):
        node.judge_by(REJECT, mode=mode)
        assert node.core.passes(net.out(udp()))
        assert node.core.passes(Connection(net, EGRESS, sport=7).segment(0, "S"))


def test_a_copy_is_never_answered(node, net):
    """Its packet has gone on: an answer would be a lie."""
    node.judge_by(REJECT)
    copy = bytearray(net.out(udp()))
    copy[9] = 0x54
    assert node.core.feed(bytes(copy)) == []


def test_an_open_flow_that_becomes_rejected_is_told(node, net):
    node.judge_by(ALLOW)
    assert node.core.passes(net.out(udp()))
    connection = Connection(net, EGRESS, sport=7).established(node.core)
    node.judge_by(REJECT)
    (answer,) = node.core.feed(net.out(udp()))
    assert error(net, answer)[0] == (3 if net.family == 4 else 1)
    both = node.core.feed(connection.segment(0, "PA", b"more"))
    assert [parse(frame)[TCP].flags.R for frame in both] == [True, True]
    assert UDP not in parse(both[0])


def test_the_other_end_of_a_flow_that_was_open_is_told_too(node, net):
    """As both ends of a connection are reset: else a server would go on sending to nobody. The rule names
    the initiator's way alone, by its port."""
    ours, back = net.out(udp(sport=40000)), net.into(udp(sport=SERVICE, dport=40000))
    node.judge_by(ALLOW)
    assert node.core.passes(ours)
    assert node.core.passes(back)
    node.judge_by(OF_SERVICE)
    (answer,) = node.core.feed(back)
    assert ends(answer) == swapped(back)
    assert error(net, answer)[:2] == ((3, 3) if net.family == 4 else (1, 4))
    answers = [len(node.core.feed(each)) for each in [back, ours] * MOST]
    assert sum(answers) == MOST - 1


def test_the_other_end_of_a_flow_that_never_was_is_judged_by_itself(node, net):
    """Nobody asked for it: it is answered where a rule rejects what it would open."""
    ours, back = net.out(udp(sport=40000)), net.into(udp(sport=SERVICE, dport=40000))
    node.judge_by(OF_SERVICE)
    assert len(node.core.feed(ours)) == 1
    assert node.core.feed(back) == []
    node.judge_by(REJECT)
    assert len(node.core.feed(back)) == 1


def test_only_what_the_rule_names_is_rejected(node, net):
    node.judge_by(OF_SERVICE)
    assert len(node.core.feed(net.out(udp()))) == 1
    assert node.core.feed(net.out(udp(dport=SERVICE + 1))) == []
