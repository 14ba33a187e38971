"""Scans: many refused ports of one address, many refused addresses; what is allowed and answered is none."""

from __future__ import annotations

from scapy.layers.inet import TCP

from tests.unit.engine.core.harness import ALLOW, EGRESS, INGRESS, RST, Rule
from tests.unit.engine.core.threats import alert, drop, names
from tests.unit.engine.core.wire import NETS, Connection, udp

V4 = NETS[0]
BOTH = alert("port_scan", "address_scan")
WEB = Rule(ALLOW, proto=6, ports=(80, 80))


def syn(dport, sport=40000):
    return TCP(sport=sport, dport=dport, flags="S")


def test_sixty_denied_ports_are_a_scan_and_forty_none(core, net):
    core.set_policy(WEB, threats=BOTH)
    for port in range(1000, 1040):
        core.feed(net.into(syn(port)))
    assert names(core) == []
    for port in range(1040, 1060):
        core.feed(net.into(syn(port)))
    assert names(core) == ["port_scan"]


def test_one_port_again_and_again_is_none(core, net):
    core.set_policy(WEB, threats=BOTH)
    for sport in range(2000, 2200):
        core.feed(net.into(syn(443, sport)))
    assert names(core) == []


def test_allowed_ports_are_none(core, net):
    core.set_policy(Rule(ALLOW), threats=BOTH)
    for port in range(1000, 1200):
        core.feed(net.into(syn(port)))
    assert names(core) == []


def test_closed_ports_are_a_scan(core, net):
    core.set_policy(Rule(ALLOW), threats=BOTH)
    for port in range(1000, 1060):
        scan = Connection(net, INGRESS, dport=port)
        core.feed(scan.segment(0, "S"))
        core.feed(scan.segment(1, "RA"))
    assert names(core) == ["port_scan"]


def test_a_reset_after_the_handshake_is_no_closed_port(core, net):
    core.set_policy(Rule(ALLOW), threats=BOTH)
    for port in range(1000, 1060):
        flow = Connection(net, INGRESS, dport=port)
        flow.handshake(core)
        core.feed(flow.segment(1, "RA"))
    assert names(core) == []


def test_closed_ports_of_which_the_kernel_tells_are_a_scan(core, net):
    core.set_policy(Rule(ALLOW), threats=BOTH)
    for port in range(1000, 1060):
        core.feed(net.into(syn(port)))
        core.kernel_closes(EGRESS, RST)
        core.flows.clear()
    assert names(core) == ["port_scan"]


def test_unreachable_ports_of_udp_are_a_scan(core, net):
    core.set_policy(Rule(ALLOW), threats=BOTH)
    for port in range(1000, 1060):
        asked = net.into(udp(dport=port))
        core.feed(asked)
        core.feed(net.out(net.unreachable(asked)))
    assert names(core) == ["port_scan"]


def test_late_answers_of_a_service_are_none(core, net):
    core.set_policy(WEB, threats=BOTH)
    for port in range(40000, 40100):
        core.feed(net.into(udp(sport=53, dport=port)))
    assert names(core) == []
    for port in range(40000, 40060):
        core.feed(net.into(udp(sport=5300, dport=port)))
    assert names(core) == ["port_scan"]


def test_segments_of_connections_from_before_are_none(core, net):
    core.set_policy(WEB, threats=BOTH)
    for port in range(40000, 40100):
        core.feed(net.into(TCP(sport=443, dport=port, flags="A", seq=5, ack=7)))
    assert names(core) == []


def test_a_slow_scan_of_one_port_a_minute_is_none(core, net):
    core.set_policy(WEB, threats=BOTH)
    for port in range(1000, 1060):
        core.feed(net.into(syn(port)))
        core.advance(60)
    assert names(core) == []


def test_refused_addresses_are_a_scan_by_who_asks(core):
    core.set_policy(WEB, threats=BOTH)
    for host in range(1, 41):
        core.feed(V4.out(syn(22), peer=f"198.18.0.{host}"))
    assert names(core) == []
    for host in range(41, 61):
        core.feed(V4.out(syn(22), peer=f"198.18.0.{host}"))
    assert names(core) == ["address_scan"]


def test_what_monitor_would_deny_counts(core, net):
    core.set_policy(WEB, mode="monitor", threats=BOTH)
    for port in range(1000, 1060):
        assert core.passes(net.into(syn(port)))
    assert names(core) == ["port_scan"]


def test_a_dropped_scan_has_no_open_port_any_more(core, net):
    core.set_policy(WEB, threats=drop("port_scan"))
    assert core.passes(net.into(syn(80)))
    for port in range(1000, 1060):
        core.feed(net.into(syn(port)))
    assert core.feed(net.into(syn(80, 40001))) == []
    assert core.passes(net.into(syn(80, 40001), peer=net.other))
    core.advance(125)
    assert core.passes(net.into(syn(80, 40002)))
