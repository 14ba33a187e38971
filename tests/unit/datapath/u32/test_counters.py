"""What a u32 rule counts, from a filter's netlink body."""

from __future__ import annotations

import struct

import pytest

from fallback_tc.netlink import (
    TC_ACT_SHOT,
    TCA_ACT_KIND,
    TCA_ACT_OPTIONS,
    TCA_GACT_PARMS,
    TCA_OPTIONS,
    TCA_U32_ACT,
    TCMSG,
)
from fallback_tc.pair import PREF_BASE, Steering
from fallback_tc.plan import FORGED, GROUP_IPV4, IPV4, LEFT, NEIGHBOUR, OWN_ARP
from pyctl.datapath.u32 import counters as u32_counters
from pyctl.datapath.u32.counters import TCA_ACT_STATS, TCA_STATS_BASIC, TCA_STATS_PKT64
from pyctl.model.workload import Counter
from pyctl.platform.netlink.raw import attr, attr_text, nest
from pyctl.platform.tc.filters import Filter


def held(*stats: bytes) -> Filter:
    """A rule to the engine with these statistics."""
    action = nest(1, attr_text(TCA_ACT_KIND, "mirred"), nest(TCA_ACT_STATS, *stats))
    body = bytes(TCMSG.size) + nest(TCA_OPTIONS, nest(TCA_U32_ACT, action))
    return Filter(pref=PREF_BASE + IPV4, kind="u32", body=body)


def basic(size: int, packets: int) -> bytes:
    return attr(TCA_STATS_BASIC, struct.pack("=QI4x", size, packets & 0xFFFFFFFF))


@pytest.mark.parametrize("packets", [7, (1 << 32) + 7])
def test_packets_are_counted_beyond_32_bits(packets):
    whole = [attr(TCA_STATS_PKT64, struct.pack("=Q", packets))] * (packets >> 32)
    found = u32_counters.of_ports(
        [held(basic(4096, packets), *whole)], PREF_BASE, Steering.FORWARD
    )
    assert found == {"to_engine": Counter(packets, 4096)}


def test_a_rule_without_statistics_counts_nothing():
    assert u32_counters.of_ports([held()], PREF_BASE, Steering.FORWARD) == {}


def dropping(distance: int, action: int = TC_ACT_SHOT) -> Filter:
    """A rule whose last action is gact, with ten packets."""
    parms = attr(TCA_GACT_PARMS, struct.pack("=8xi8x", action))
    stats = nest(TCA_ACT_STATS, basic(1000, 10))
    edits = nest(1, attr_text(TCA_ACT_KIND, "pedit"), nest(TCA_ACT_STATS, basic(1, 99)))
    last = nest(2, attr_text(TCA_ACT_KIND, "gact"), nest(TCA_ACT_OPTIONS, parms), stats)
    body = bytes(TCMSG.size) + nest(TCA_OPTIONS, nest(TCA_U32_ACT, edits, last))
    return Filter(pref=PREF_BASE + distance, kind="u32", body=body)


@pytest.mark.parametrize(
    ("distance", "reason"),
    [
        (FORGED, "forged_ucmac"),
        (NEIGHBOUR, "nd_spoofed"),
        (OWN_ARP, "arp_spoofed"),
        (GROUP_IPV4, "l2_group_l3_unicast"),
    ],
)
def test_what_a_rule_drops_has_the_reason_of_its_place(distance, reason):
    found = u32_counters.of_ports([dropping(distance)], PREF_BASE, Steering.FORWARD)
    assert found == {reason: Counter(10, 1000)}


def test_what_has_several_meanings_has_no_reason():
    for steering, found in ((Steering.FORWARD, {}), (Steering.TAP, {})):
        assert u32_counters.of_ports([dropping(LEFT)], PREF_BASE, steering) == found
    quarantined = u32_counters.of_ports(
        [dropping(LEFT)], PREF_BASE, Steering.QUARANTINE
    )
    assert quarantined == {"quarantine": Counter(10, 1000)}
    passing = u32_counters.of_ports([dropping(FORGED, 0)], PREF_BASE, Steering.FORWARD)
    assert passing == {}


def test_both_ends_and_the_bridge_are_one_sum():
    rules = [held(basic(100, 1)), held(basic(200, 2))]
    assert u32_counters.of_bridge(rules, Steering.FORWARD) == {
        "from_engine": Counter(3, 300)
    }
    assert u32_counters.of_bridge(rules, Steering.QUARANTINE) == {
        "quarantine": Counter(3, 300)
    }
    parts = ({"arp": Counter(1, 60)}, {"arp": Counter(2, 120), "quarantine": Counter()})
    assert u32_counters.summed(*parts) == {"arp": Counter(3, 180)}


def test_a_classifier_without_rules_counts_nothing():
    empty = Filter(PREF_BASE, "u32", bytes(TCMSG.size))
    assert u32_counters.of_ports([empty], PREF_BASE, Steering.FORWARD) == {}
    assert u32_counters.of_bridge([empty], Steering.FORWARD) == {}
