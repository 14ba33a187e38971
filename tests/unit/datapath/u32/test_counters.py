"""What a u32 rule counts, from a filter's netlink body."""

from __future__ import annotations

import struct

import pytest

from fallback_tc.netlink import (
    TCA_ACT_KIND,
    TCA_OPTIONS,
    TCA_U32_ACT,
    TCMSG,
)
from fallback_tc.pair import PREF_BASE, Steering
from fallback_tc.plan import IPV4
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
