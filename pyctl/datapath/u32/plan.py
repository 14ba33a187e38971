"""A port pair in the generator's words, and the kernel's filters as rules.

In: `model.PortPair`, names of links, filters as the kernel tells them. Out: `fallback_tc` values.
I/O: none.
On the ports a set of rules stands at one of two bases: HOME, or behind it ASIDE, where it waits
while HOME is another's (the eBPF filter has pref 10001) or is being rewritten. As the bases differ by
more than a set is wide, each filter belongs to one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_interface

from fallback_tc import dump
from fallback_tc.pair import (
    PREF_BASE,
    PREFS_ABOVE,
    PREFS_BELOW,
    Options,
    Pair,
    Steering,
)
from fallback_tc.plan import EBPF, GUARD_BOTH, GUARD_NONE, ruleset
from fallback_tc.rules import Held, Rule, normal
from pyctl import abi
from pyctl.model.workload import Mode, PortPair, Service
from pyctl.platform.tc.filters import Filter
from pyctl.platform.watch.filters import Touched

HOME, ASIDE = PREF_BASE, 2 * PREF_BASE
BRIDGE, VBR = "vbr-neuv", abi.constant("SEG_VBR_IFINDEX")
_FIRST = EBPF + 1
SLOTS = 1022
"""Behind the eBPF filter, in front of the guard. A hook takes u32 filters at 2047 prefs (seen on 6.1
and 6.18), and the guard has two of them. More ports than that share prefs, not rules: each knows its
own UCMAC alone, and a pref takes 4095 rules."""


def steering_of(mode: Mode) -> Steering:
    """Return the steering for a mode; modes that only record get copies (a tap)."""
    if mode is Mode.QUARANTINE:
        return Steering.QUARANTINE
    return Steering.FORWARD if mode is Mode.PROTECT else Steering.TAP


def bridge_prefs(port_id: int) -> tuple[int, int]:
    """Return the prefs of the port's rules on vbr: towards vin, towards vex."""
    first = _FIRST + 2 * (port_id % SLOTS)
    return first, first + 1


def is_of(pair: PortPair, touched: Touched) -> bool:
    """Return whether the port could have a rule at the touched place."""
    if touched.ifindex == VBR:
        return touched.pref in (0, *bridge_prefs(pair.port_id))
    return touched.ifindex in (pair.vex_ifindex, pair.vin_ifindex)


def is_guard(touched: Touched) -> bool:
    """Return whether a rule that all ports share could be at the touched place."""
    return touched.ifindex == VBR and touched.pref in (0, GUARD_BOTH, GUARD_NONE)


@dataclass(frozen=True)
class Plan:
    """The rules of one port, for either base."""

    port_id: int
    pair: Pair
    options: Options
    steering: Steering

    def port_rules(self, base: int) -> list[Rule]:
        """Return the rules of vex and vin, in the order of installation."""
        rules = ruleset(replace(self.pair, pref_base=base), self.steering, self.options)
        return [rule for rule in rules if rule.device != self.pair.bridge]

    def bridge_rules(self) -> list[Rule]:
        """Return the rules of vbr."""
        rules = ruleset(self.pair, self.steering, self.options)
        return [rule for rule in rules if rule.device == self.pair.bridge]


def plan(pair: PortPair, names: Mapping[int, str]) -> Plan:
    """Return the pair's plan. KeyError for links that do not exist."""
    # A tap judges nothing by itself.
    judged = pair.mode is Mode.PROTECT
    interfaces = [ip_interface(text) for text in pair.addresses]
    pref_ex, pref_in = bridge_prefs(pair.port_id)
    return Plan(
        pair.port_id,
        Pair(
            vex=names[pair.vex_ifindex],
            vin=names[pair.vin_ifindex],
            bridge=BRIDGE,
            mac=pair.mac,
            ucmac=abi.ucmac(pair.port_id).hex(":"),
            pref_ex=pref_ex,
            pref_in=pref_in,
            broadcasts=tuple(
                str(each.network.broadcast_address)
                for each in interfaces
                # RFC 3021: a /31 has none, and a /32 is one address.
                if each.version == 4 and each.network.prefixlen < 31
            ),
            addresses=None
            if pair.any_source
            else tuple(
                str(each.ip) for each in (*interfaces, *map(ip_interface, pair.spare))
            ),
            routes=Service.ROUTER in pair.serves,
        ),
        Options(drop_other=not pair.pass_other, drop_spoofed=judged, drop_stray=judged),
        steering_of(pair.mode),
    )


def held(filters: Iterable[Filter], names: Mapping[int, str]) -> list[Held]:
    """Return the u32 rules among the filters, in the order in which the kernel tries them."""
    bodies = [one.body for one in filters if one.kind == "u32"]
    return dump.held(bodies, lambda index: names.get(index, f"({index})"))


def at_base(rules: Iterable[Held], base: int) -> list[Held]:
    """Return the rules of the set at this base."""
    return [one for one in rules if in_range(one.rule.pref, base)]


def in_range(pref: int, base: int) -> bool:
    """Return whether a set at this base could have a rule at this pref."""
    return base - PREFS_BELOW <= pref <= base + PREFS_ABOVE


def is_ours(one: Filter) -> bool:
    """Return whether the filter has the kind and a pref of our sets; another's rule there is drift."""
    return one.kind == "u32" and any(in_range(one.pref, at) for at in (HOME, ASIDE))


def of_port(rules: Iterable[Held], asked: Iterable[Rule]) -> list[Held]:
    """Return the bridge's rules that have the same matches as one of the `asked` rules."""
    known = {normal(rule).matches for rule in asked}
    return [one for one in rules if one.rule.matches in known]


def ways_back(port_id: int) -> list[Rule]:
    """Return rules with the matches of the port's rules on vbr; their actions do not matter."""
    pref_ex, pref_in = bridge_prefs(port_id)
    anything = Pair(
        vex="vex",
        vin="vin",
        bridge=BRIDGE,
        mac="02:00:00:00:00:00",
        ucmac=abi.ucmac(port_id).hex(":"),
        pref_ex=pref_ex,
        pref_in=pref_in,
    )
    return Plan(port_id, anything, Options(), Steering.QUARANTINE).bridge_rules()
