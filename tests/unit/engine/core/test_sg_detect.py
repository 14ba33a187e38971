"""Threats that one packet is, and floods of ICMP; each with what is nearly one."""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP

from tests.unit.engine.core.harness import ALLOW, EGRESS, INGRESS, SECOND, Rule
from tests.unit.engine.core.threats import alert, drop, names
from tests.unit.engine.core.wire import SERVICE, Connection

OPEN = Rule(ALLOW)


def syn(**fields):
    return TCP(sport=40000, dport=SERVICE, flags="S", **fields)


@pytest.mark.parametrize(
    ("options", "threats"),
    [
        ([("MSS", 255)], ["small_mss"]),
        ([("MSS", 0)], ["small_mss"]),
        ([("NOP", None), ("MSS", 64), ("NOP", None)], ["small_mss"]),
        ([("MSS", 256)], []),
        ([("MSS", 1460), ("SAckOK", b"")], []),
        ([("WScale", 7)], []),
        ([], []),
    ],
)
def test_the_mss_of_a_syn(core, net, options, threats):
    core.set_policy(OPEN, threats=alert("small_mss"))
    core.feed(net.into(syn(options=options)))
    assert names(core) == threats


def test_the_mss_of_a_segment_that_is_no_syn_means_nothing(core, net):
    core.set_policy(OPEN, threats=alert("small_mss"))
    flow = Connection(net, INGRESS)
    flow.handshake(core)
    core.feed(net.into(TCP(sport=1, dport=SERVICE, flags="A", options=[("MSS", 64)])))
    assert names(core) == []


def test_no_program_opens_what_has_its_threat_in_its_options(core, net):
    for threat, services in (("small_mss", 0), ("land", 1)):
        core.set_policy(OPEN, threats=alert(threat))
        core.services.clear()
        core.feed(net.into(syn()))
        assert len(core.services) <= services


def test_data_in_a_syn(core, net):
    core.set_policy(OPEN, threats=alert("syn_data"))
    core.feed(net.into(syn()))
    assert names(core) == []
    core.feed(net.into(TCP(sport=1, dport=SERVICE, flags="S") / b"x"))
    assert names(core) == ["syn_data"]


def test_a_split_handshake(core, net):
    core.set_policy(OPEN, threats=alert("split_handshake"))
    flow = Connection(net, EGRESS)
    core.feed(flow.segment(0, "S"))
    core.feed(flow.segment(0, "S"))
    assert names(core) == []
    core.feed(flow.segment(1, "S"))
    assert names(core) == ["split_handshake"]


def test_a_usual_handshake_is_none_and_a_new_one_of_the_server_neither(core, net):
    core.set_policy(OPEN, threats=alert("split_handshake"))
    flow = Connection(net, EGRESS)
    flow.established(core)
    core.feed(flow.segment(1, "S"))
    assert names(core) == []


def ping(net, size: int):
    layer = net.ping()
    layer = layer.copy()
    if net.family == 4:
        layer.remove_payload()
        return layer / bytes(size)
    layer.data = bytes(size)
    return layer


@pytest.mark.parametrize(
    ("size", "threats"), [(32001, ["ping_of_death"]), (32000, []), (1400, [])]
)
def test_a_ping_of_death(core, net, size, threats):
    core.set_policy(OPEN, threats=drop("ping_of_death"))
    sent = []
    for piece in net.fragments(net.into(ping(net, size)), size=1200):
        sent += core.feed(piece)
    assert names(core) == threats
    assert bool(sent) == (not threats)


def test_101_packets_of_icmp_in_a_second_are_a_flood(core, net):
    core.set_policy(OPEN, threats=alert("icmp_flood"))
    for at in range(100):
        core.feed(net.into(net.ping(seq=at)))
    assert names(core) == []
    core.feed(net.into(net.ping(seq=100)))
    assert names(core) == ["icmp_flood"]


def test_pings_of_a_second_and_their_answers_are_none(core, net):
    core.set_policy(OPEN, threats=alert("icmp_flood"))
    for at in range(400):
        core.now += SECOND // 49
        core.feed(net.into(net.ping(seq=at)))
        core.feed(net.out(net.pong(seq=at)))
    assert names(core) == []


def test_pings_stay_with_the_engine_while_a_flood_is_looked_for(core, net):
    core.set_policy(OPEN, threats=alert("icmp_flood"))
    core.feed(net.into(net.ping()))
    assert core.flows == {}
    core.set_policy(OPEN)
    core.feed(net.into(net.ping()))
    assert len(core.flows) == 1


def test_2000_connections_in_a_second_are_over_the_limit(big_core, net):
    core = big_core
    core.set_policy(OPEN, threats=alert("session_limit"))
    for sport in range(1024, 1024 + 1999):
        core.feed(net.into(TCP(sport=sport, dport=SERVICE, flags="S")))
    assert names(core) == []
    core.feed(net.into(TCP(sport=5000, dport=SERVICE, flags="S")))
    assert names(core) == ["session_limit"]


def test_1900_connections_a_second_are_not(big_core, net):
    core = big_core
    core.set_policy(OPEN, threats=alert("session_limit"))
    for sport in range(1024, 1024 + 4000):
        core.now += SECOND // 1900
        core.feed(net.into(TCP(sport=sport, dport=SERVICE, flags="S")))
    assert names(core) == []
