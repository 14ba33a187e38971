"""SYN flood: what nobody completes, from one source to a workload."""

from __future__ import annotations

from scapy.layers.inet import TCP

from tests.unit.engine.core.harness import ALLOW, EGRESS, INGRESS, PORT, SECOND, Rule
from tests.unit.engine.core.threats import alert, drop, told
from tests.unit.engine.core.wire import SERVICE, Connection

OPEN = Rule(ALLOW)
MILLI = SECOND // 1000


def syns(core, net, number, *, gap=2 * MILLI, start=1024, way="into", **where):
    """The core's answers to as many SYNs, each of another port."""
    send = getattr(net, way)
    passed = 0
    for sport in range(start, start + number):
        core.now += gap
        passed += bool(
            core.feed(send(TCP(sport=sport, dport=SERVICE, flags="S"), **where))
        )
    return passed


def test_800_in_a_burst_are_a_flood_and_799_are_none(big_core, net):
    core = big_core
    core.set_policy(OPEN, threats=alert("syn_flood"))
    syns(core, net, 799, gap=MILLI // 10)
    core.now += SECOND // 2
    assert told(core) == []
    syns(core, net, 1100, start=3000)
    assert told(core)[0] == ("syn_flood", "none", 1)


def test_150_a_second_are_none(big_core, net):
    big_core.set_policy(OPEN, threats=alert("syn_flood"))
    syns(big_core, net, 2000, gap=SECOND // 150)
    assert told(big_core) == []


def test_what_the_workload_opens_is_none(big_core, net):
    big_core.set_policy(OPEN, threats=alert("syn_flood"))
    syns(big_core, net, 2000, way="out")
    assert told(big_core) == []


def test_two_sources_are_counted_apart(big_core, net):
    big_core.set_policy(OPEN, threats=alert("syn_flood"))
    syns(big_core, net, 700)
    syns(big_core, net, 700, peer=net.other)
    assert told(big_core) == []


def test_connections_that_are_completed_are_none(big_core, net):
    big_core.set_policy(OPEN, threats=alert("syn_flood"))
    for sport in range(1024, 3024):
        big_core.now += MILLI
        Connection(net, INGRESS, sport=sport).handshake(big_core)
    assert told(big_core) == []


def test_connections_that_the_kernel_completes_are_none(big_core, net):
    """Of these the engine sees the SYN alone: it looks into the flow map before it calls them a flood."""
    core = big_core
    core.set_policy(OPEN, threats=alert("syn_flood"))
    for sport in range(1024, 4024, 500):
        syns(core, net, 500, start=sport, gap=MILLI // 5)
        for way in (EGRESS, INGRESS):
            core.kernel_carries(2, way=way)
        core.now += SECOND // 5
    assert told(core) == []


def test_a_dropped_flood_spares_other_sources_and_ends(big_core, net):
    core = big_core
    core.set_policy(OPEN, threats=drop("syn_flood"))
    passed = syns(core, net, 3000)
    assert passed < 1800
    assert core.drops()["threat"] > 1000
    assert core.credits[PORT] == 0
    assert syns(core, net, 1, peer=net.other) == 1
    core.advance(6)
    assert syns(core, net, 1, start=9000) == 1
