"""What u32 rules have counted, by the reason that each stands for.

In: a port's filters as the kernel tells them. Out: Counter by reason. I/O: none.
Only where a rule has one meaning: what the last rule of a port drops (a foreign MAC, a foreign
ethertype, a tag) and what passes as the rest cannot be told apart, so those reasons are absent. A
super-frame counts as the packets it is made of. Counting starts anew when rules are re-installed.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Mapping

from fallback_tc.netlink import (
    TC_ACT_SHOT,
    TCA_ACT_KIND,
    TCA_ACT_OPTIONS,
    TCA_GACT_PARMS,
    TCA_OPTIONS,
    TCA_U32_ACT,
    TCMSG,
)
from fallback_tc.pair import Steering
from fallback_tc.plan import (
    FORGED,
    GROUP_IPV4,
    GROUP_IPV6,
    IPV4,
    IPV6,
    LEFT,
    NEIGHBOUR,
    OWN_ARP,
    REST_ARP,
)
from pyctl.model.workload import Counter
from pyctl.platform.netlink.raw import attrs, iter_attrs, text
from pyctl.platform.tc.filters import Filter

TCA_ACT_STATS, TCA_STATS_BASIC, TCA_STATS_PKT64 = 4, 1, 8
_BASIC = struct.Struct("=QI")
"""struct gnet_stats_basic: bytes, packets (the lower half; the whole stands beside it where it is more)."""
_ACTION_CONTROL = struct.Struct("=8xi")
"""The third field of tc_gen, its action."""
_ACROSS = {
    GROUP_IPV4: "to_engine",
    GROUP_IPV6: "to_engine",
    NEIGHBOUR: "neighbour_discovery",
    OWN_ARP: "arp",
    IPV4: "to_engine",
    IPV6: "to_engine",
    REST_ARP: "arp",
}
_DROPPED = {
    FORGED: "forged_ucmac",
    NEIGHBOUR: "nd_spoofed",
    OWN_ARP: "arp_spoofed",
    GROUP_IPV4: "l2_group_l3_unicast",
    GROUP_IPV6: "l2_group_l3_unicast",
}


def of_ports(
    filters: Iterable[Filter], base: int, steering: Steering
) -> dict[str, Counter]:
    """Return the counters of the rules of vex and vin at a base."""
    found: dict[str, Counter] = {}
    for one in filters:
        counted = _counted(one.body)
        if counted is None:
            continue
        drops, counter = counted
        distance = one.pref - base
        reason = (_DROPPED if drops else _ACROSS).get(distance)
        if steering is Steering.QUARANTINE and distance == LEFT:
            reason = "quarantine"
        if reason:
            _add(found, reason, counter)
    return found


def of_bridge(filters: Iterable[Filter], steering: Steering) -> dict[str, Counter]:
    """Return the counters of the port's rules on vbr."""
    found: dict[str, Counter] = {}
    reason = "quarantine" if steering is Steering.QUARANTINE else "from_engine"
    for one in filters:
        counted = _counted(one.body)
        if counted is not None:
            _add(found, reason, counted[1])
    return found


def summed(*parts: Mapping[str, Counter]) -> dict[str, Counter]:
    """Return the sum of several counter maps; reasons never met are absent."""
    found: dict[str, Counter] = {}
    for part in parts:
        for reason, counter in part.items():
            if counter.packets:
                _add(found, reason, counter)
    return found


def _add(found: dict[str, Counter], reason: str, more: Counter) -> None:
    former = found.get(reason, Counter())
    found[reason] = Counter(former.packets + more.packets, former.bytes + more.bytes)


def _counted(body: bytes) -> tuple[bool, Counter] | None:
    """Return (whether the last action drops, what it has counted); None if it is no rule."""
    options = attrs(attrs(body[TCMSG.size :]).get(TCA_OPTIONS, b""))
    actions = sorted(iter_attrs(options.get(TCA_U32_ACT, b"")))
    if not actions:
        return None
    last = attrs(actions[-1][1])
    stats = attrs(last.get(TCA_ACT_STATS, b""))
    if TCA_STATS_BASIC not in stats:
        return None
    size, packets = _BASIC.unpack_from(stats[TCA_STATS_BASIC])
    if TCA_STATS_PKT64 in stats:
        packets = int.from_bytes(stats[TCA_STATS_PKT64], sys.byteorder)
    drops = False
    if text(last.get(TCA_ACT_KIND)) == "gact":
        parameters = attrs(last.get(TCA_ACT_OPTIONS, b""))[TCA_GACT_PARMS]
        drops = _ACTION_CONTROL.unpack_from(parameters)[0] == TC_ACT_SHOT
    return drops, Counter(packets, size)
