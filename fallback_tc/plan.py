"""Which rules steer a pair of ports, and which stand on the bridge for all pairs.

In: `Pair`, `Steering`, `Options`. Out: rules, in the order of installation, which on a port is the
order of prefs: so nothing is let by before what inspects is there. I/O: none. ValueError for
prefs that are taken.
The classic set lets by, uninspected, all that its first rule on a port does not match. The options
close that: each kind of frame is named, and what is not named is dropped. With them a rule that lets
by never matches what another inspects: a rule that is lost loses frames, not safety. Where what is no
IP passes, whatever it is, rules in front of that one take IP out of it: it takes the loss of two
rules to let IP by.

A port's prefs, from `Pair.pref_base` (10000) on:

    -5  forged detour MACs     drop
    -4  neighbour discovery    across; from the workload only in its own name, else drop
    -3  IPv4 to a group MAC    engine where its address is a group's too, else drop
    -2  IPv6 to a group MAC    likewise
    -1  ARP of the workload    across in its own name, else drop
     0  IPv6 unicast           engine
    +1  IPv4 unicast           engine   the classic first rule
    +2  the rest               across   the classic second rule; or, where others are dropped:
    +3  ARP                    across
    +4  IPv4 left              across   where strays or spoofed ones are not dropped; drop in front of +6
    +5  IPv6 left              across   likewise, or where IPv6 is not inspected; drop in front of +6
    +6  the rest               across   instead of +2, where all of IP is inspected or dropped before
    +9  what is left           drop
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from fallback_tc.pair import (
    BCMAC_HEAD,
    PREFS_ABOVE,
    PREFS_BELOW,
    TAPMAC_HEAD,
    UCMAC_HEAD,
    Options,
    Pair,
    Steering,
)
from fallback_tc.rules import (
    WORD,
    Action,
    Direction,
    Gact,
    Match,
    Mirred,
    Munge,
    MungeMac,
    Parent,
    Pedit,
    Rule,
    Side,
    Verdict,
    mac_bytes,
)

FORGED, NEIGHBOUR, GROUP_IPV4, GROUP_IPV6, OWN_ARP = -PREFS_BELOW, -4, -3, -2, -1
IPV6, IPV4, REST, REST_ARP, REST_IPV4, REST_IPV6, REST_NO_IP = 0, 1, 2, 3, 4, 5, 6
LEFT = PREFS_ABOVE
"""Distances from `Pair.pref_base`."""
GUARD_BOTH, EBPF, GUARD_NONE = 1, 10001, 65535
"""Prefs of the bridge that are no pair's: the guard's first and last, the eBPF datapath's."""

_DROP: tuple[Action, ...] = (Gact(Verdict.DROP),)
_CLASSIC_ANY = (Match(1, 0, 0),)
_ANY = (Match(1, 0, 0, -4),)
"""u32 reads whole words, and leaves a pref, all its filters, at the first word that is not in the
frame: `_CLASSIC_ANY`, which reads the payload's first, misses frames with less."""
_UNICAST = Match(1, 0, 1, Side.DST.offset)
_GROUP = Match(1, 1, 1, Side.DST.offset)
_ND = (Match(1, 58, 0xFF, 6), Match(1, 255, 0xFF, 7))
"""Next header ICMPv6, and hop limit 255: so from this link."""
_ASKS_ROUTER, _ASKS, _TELLS = (
    (*_ND, Match(1, kind, 0xFF, 40)) for kind in (133, 135, 136)
)
_ROUTES = tuple((*_ND, Match(1, kind, 0xFF, 40)) for kind in (134, 137))
"""A router's advertisements and redirects."""
_NEIGHBOUR = tuple(
    (*_ND, kind)
    for kind in (
        Match(1, 133, 0xFF, 40),
        Match(1, 134, 0xFE, 40),
        Match(1, 136, 0xFE, 40),
    )
)
"""The types 133 to 137."""
_IPV4_DESTINATION, _IPV6_SOURCE, _IPV6_DESTINATION, _ND_TARGET = 16, 8, 24, 48
_ARP = (Match(WORD, 0x00010800, 0xFFFFFFFF, 0), Match(2, 0x0604, 0xFFFF, 4))
"""ARP for Ethernet and IPv4."""
_ARP_MAC, _ARP_ADDRESS = 8, 14
_BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
_IPV4_GROUP = Match(1, 0xE0, 0xF0, _IPV4_DESTINATION)
_IPV6_GROUP = Match(1, 0xFF, 0xFF, _IPV6_DESTINATION)
_LIMITED_BROADCAST = "255.255.255.255"

Matches = tuple[Match, ...]


def ruleset(
    pair: Pair, steering: Steering = Steering.FORWARD, options: Options | None = None
) -> tuple[Rule, ...]:
    """Return the rules of one pair: vex, vin, bridge. `guard` returns those that all pairs share."""
    options = options or Options()
    taken = {GUARD_BOTH, GUARD_NONE} if options.loop_guard else set()
    if options.parent is Parent.CLSACT_INGRESS:
        taken.add(EBPF)
    if taken & {pair.pref_ex, pair.pref_in}:
        raise ValueError(f"{pair}: of a bridge's prefs, {sorted(taken)} are taken")
    if steering is Steering.QUARANTINE and not options.drop_quarantined:
        return ()
    ports = (
        _Port(pair, pair.vex, pair.vin, Side.DST, steering, options),
        _Port(pair, pair.vin, pair.vex, Side.SRC, steering, options),
    )
    return (
        *(rule for port in ports for rule in port.rules()),
        *(rule for port in ports for rule in port.ways_back()),
    )


def guard(bridge: str, options: Options | None = None) -> tuple[Rule, ...]:
    """Return the rules that a bridge has once, whatever its pairs."""
    options = options or Options()
    if not options.loop_guard:
        return ()
    both = _head(Side.DST, UCMAC_HEAD) + _head(Side.SRC, UCMAC_HEAD)
    return (
        Rule(bridge, options.parent, GUARD_BOTH, "all", both, _DROP),
        Rule(bridge, options.parent, GUARD_NONE, "all", _ANY, _DROP),
    )


@dataclass(frozen=True)
class _Port:
    """One port of the pair, with the rules for what enters there."""

    pair: Pair
    device: str
    other: str
    side: Side
    """The MAC, of a frame that enters here, that is the workload's."""
    steering: Steering
    options: Options

    def rules(self) -> Iterator[Rule]:
        if self.steering is Steering.QUARANTINE:
            yield self._rule(LEFT, "all", _ANY, _DROP)
            return
        if self.options.drop_forged:
            for side in Side:
                for matches in (_detour(side), _head(side, BCMAC_HEAD)):
                    yield self._rule(FORGED, "all", matches, _DROP)
        if self.options.ipv6:
            yield from self._neighbours()
        if self._drop_stray or self.options.groups:
            yield from self._group(GROUP_IPV4, "ip", self._ipv4_groups())
        if self._drop_stray or (self.options.groups and self.options.ipv6):
            yield from self._group(GROUP_IPV6, "ipv6", [_IPV6_GROUP])
        if self._speaks_for_itself:
            yield from self._own_arp()
        if self.options.ipv6:
            yield self._rule(IPV6, "ipv6", self._inspected, self._to_engine)
        yield self._rule(IPV4, "ip", self._inspected, self._to_engine)
        yield from self._rest()

    def ways_back(self) -> Iterator[Rule]:
        """Yield the bridge's rules for frames that come out of the engine and would have gone on from here.
        Group frames go to the broadcast MAC, because the detour MAC does not keep the group.
        """
        yield self._way_back(self.pair.ucmac, self.pair.mac)
        if self.side is Side.DST and self.options.groups:
            yield self._way_back(self.pair.bcmac, _BROADCAST_MAC)

    def _way_back(self, detour: str, mac: str) -> Rule:
        pref = self.pair.pref_ex if self.side is Side.DST else self.pair.pref_in
        actions = _DROP
        if self.steering is Steering.FORWARD or self._marks_copies:
            actions = (self._pedit(mac), *self._across)
        matches = _mac_matches(self.side, mac_bytes(detour))
        parent = self.options.parent
        return Rule(self.pair.bridge, parent, pref, "all", matches, actions)

    # -- what is asked for, as this port sees it ------------------------------------------

    @property
    def _judged(self) -> bool:
        # A mode that passes everything needs no rules that drop to protect the policy.
        return self.steering is Steering.FORWARD

    @property
    def _drop_stray(self) -> bool:
        return self._judged and self.options.drop_stray

    @property
    def _drop_not_own(self) -> bool:
        """Return whether frames must have the workload's MAC on the workload's side."""
        to_workload = self.side is Side.DST
        options = self.options
        wanted = options.drop_stray if to_workload else options.drop_spoofed
        return self._judged and wanted

    @property
    def _own(self) -> Matches:
        return _mac_matches(self.side, mac_bytes(self.pair.mac))

    @property
    def _inspected(self) -> Matches:
        return (_UNICAST, *self._own)

    @property
    def _across(self) -> tuple[Action, ...]:
        return (self._last(self.other),)

    @property
    def _to_engine(self) -> tuple[Action, ...]:
        return self._detour(self.pair.ucmac)

    @property
    def _group_to_engine(self) -> tuple[Action, ...]:
        to_workload = self.side is Side.DST
        return self._detour(self.pair.bcmac if to_workload else self.pair.ucmac)

    def _detour(self, held: str) -> tuple[Action, ...]:
        mac = self.pair.tapmac if self._marks_copies else held
        detour = (self._pedit(mac), self._last(self.pair.bridge))
        if self.steering is Steering.TAP:
            # The frame is sent on first, before any action changes it.
            return (Mirred(Direction.MIRROR, self.other), *detour)
        return detour

    @property
    def _marks_copies(self) -> bool:
        return self.steering is Steering.TAP and self.options.mark_copies

    def _last(self, device: str) -> Mirred:
        ends = self.options.redirect
        return Mirred(Direction.REDIRECT if ends else Direction.MIRROR, device)

    def _pedit(self, mac: str) -> Pedit:
        if self.options.whole_macs:
            return Pedit((MungeMac(self.side, mac),))
        return Pedit(
            tuple(
                Munge(len(part), int.from_bytes(part, "big"), offset)
                for part, offset in _cut(self.side, mac_bytes(mac))
            )
        )

    def _rule(
        self,
        distance: int,
        protocol: str,
        matches: Matches,
        actions: tuple[Action, ...],
    ) -> Rule:
        pref = self.pair.pref_base + distance
        return Rule(self.device, self.options.parent, pref, protocol, matches, actions)

    # -- groups, and what is left ---------------------------------------------------------

    def _ipv4_groups(self) -> list[Match]:
        broadcasts = (_LIMITED_BROADCAST, *self.pair.broadcasts)
        return [_IPV4_GROUP] + [
            Match(
                WORD, int(ipaddress.IPv4Address(address)), 0xFFFFFFFF, _IPV4_DESTINATION
            )
            for address in dict.fromkeys(broadcasts)
        ]

    def _group(
        self, distance: int, protocol: str, groups: list[Match]
    ) -> Iterator[Rule]:
        inspected = self.options.groups and (protocol == "ip" or self.options.ipv6)
        whose = self.side is Side.SRC and (self._drop_not_own or inspected)
        own = self._own if whose else ()
        for group in groups:
            matches = (_GROUP, *own, group)
            actions = self._group_to_engine if inspected else self._across
            yield self._rule(distance, protocol, matches, actions)
        if self._drop_stray:
            yield self._rule(distance, protocol, (_GROUP,), _DROP)

    # -- who speaks -----------------------------------------------------------------------

    @property
    def _speaks_for_itself(self) -> bool:
        """Return whether the workload may announce only its own addresses on its link."""
        known = self.side is Side.SRC and self.options.groups
        return known and self._judged and self.options.drop_spoofed

    def _neighbours(self) -> Iterator[Rule]:
        if not self._speaks_for_itself:
            for ends in self._neighbour_ends():
                for kind in _NEIGHBOUR:
                    matches = (*ends, *kind)
                    yield self._rule(NEIGHBOUR, "ipv6", matches, self._across)
            return
        own = self._words_of(6)
        for kind, at, known in (
            *((kind, 0, [b""] if self.pair.routes else []) for kind in _ROUTES),
            (_TELLS, _ND_TARGET, own),
            (_ASKS, _IPV6_SOURCE, [bytes(16), *own]),
            (_ASKS_ROUTER, _IPV6_SOURCE, [bytes(16), *own]),
        ):
            for address in known:
                matches = (*self._own, *kind, *_bytes_at(address, at))
                yield self._rule(NEIGHBOUR, "ipv6", matches, self._across)
            yield self._rule(NEIGHBOUR, "ipv6", kind, _DROP)

    def _neighbour_ends(self) -> list[Matches]:
        """Return the MAC matches of neighbour discovery that passes."""
        if not self.options.groups:
            return [self._inspected]
        own = self._own if self._owned_group else ()
        return [self._inspected, (_GROUP, *own, _IPV6_GROUP)]

    @property
    def _owned_group(self) -> bool:
        return self.side is Side.SRC and self._drop_not_own

    def _own_arp(self) -> Iterator[Rule]:
        mac = _bytes_at(mac_bytes(self.pair.mac), _ARP_MAC)
        for address in (bytes(4), *self._words_of(4)):
            matches = (*self._own, *_ARP, *mac, *_bytes_at(address, _ARP_ADDRESS))
            yield self._rule(OWN_ARP, "arp", matches, self._across)
        yield self._rule(OWN_ARP, "arp", _ANY, _DROP)

    def _words_of(self, version: int) -> list[bytes]:
        """Return the workload's addresses of one IP version as bytes; one empty value if it may use any."""
        if self.pair.addresses is None:
            return [b""]
        found = [ipaddress.ip_address(text) for text in self.pair.addresses]
        return [one.packed for one in dict.fromkeys(found) if one.version == version]

    def _rest(self) -> Iterator[Rule]:
        drop_other = self._judged and self.options.drop_other
        if drop_other:
            wanted = [
                (REST_ARP, "arp", self._passing()),
                (REST_IPV4, "ip", self._passing_ip(inspected=True)),
                (REST_IPV6, "ipv6", self._passing_ip(inspected=self.options.ipv6)),
            ]
        elif self._no_ip_left:
            yield self._rule(REST_IPV4, "ip", _ANY, _DROP)
            if self.options.ipv6:
                yield self._rule(REST_IPV6, "ipv6", _ANY, _DROP)
            wanted = [(REST_NO_IP, "all", self._passing())]
        else:
            wanted = [(REST, "all", self._passing())]
        for distance, protocol, sets in wanted:
            for matches in sets:
                yield self._rule(distance, protocol, matches, self._across)
        if self._drop_not_own or drop_other:
            yield self._rule(LEFT, "all", _ANY, _DROP)

    @property
    def _no_ip_left(self) -> bool:
        """Return whether rules of smaller prefs decide on every IP packet."""
        return self._drop_stray and self._drop_not_own

    def _passing(self) -> list[Matches]:
        """Return the match sets of frames with the right MACs to pass."""
        if not self._drop_not_own:
            return [_ANY if self.options.short_frames else _CLASSIC_ANY]
        return [(_GROUP,), self._own] if self.side is Side.DST else [self._own]

    def _passing_ip(self, *, inspected: bool) -> list[Matches]:
        """Return the match sets of passing frames of one IP version that no smaller pref matches."""
        if not self._drop_not_own:
            return self._passing()
        if not inspected:
            return [self._own]
        return [] if self._drop_stray else [(_GROUP, *self._own)]


def _cut(side: Side, mac: bytes) -> tuple[tuple[bytes, int], ...]:
    """Return (part, offset from the network header) for both parts of a MAC, cut at a word."""
    at = side.offset
    head = 2 if at % WORD else WORD
    return (mac[:head], at), (mac[head:], at + head)


def _bytes_at(data: bytes, offset: int) -> Matches:
    """Return the matches of these bytes, in pieces that lie as u32 wants them."""
    found = []
    while data:
        width = WORD if offset % WORD == 0 and len(data) >= WORD else 2
        value = int.from_bytes(data[:width], "big")
        found.append(Match(width, value, (1 << 8 * width) - 1, offset))
        data, offset = data[width:], offset + width
    return tuple(found)


def _mac_matches(side: Side, mac: bytes) -> Matches:
    return tuple(
        Match(len(part), int.from_bytes(part, "big"), (1 << 8 * len(part)) - 1, offset)
        for part, offset in _cut(side, mac)
    )


def _detour(side: Side) -> Matches:
    """Return the matches of a UCMAC or a TAPMAC, in one rule: their heads differ in one bit."""
    held, copied = (int.from_bytes(head, "big") for head in (UCMAC_HEAD, TAPMAC_HEAD))
    return _head(side, UCMAC_HEAD, 0xFFFFFFFF ^ held ^ copied)


def _head(side: Side, head: bytes, mask: int = 0xFFFFFFFF) -> Matches:
    """Return the matches of the first four bytes of a MAC."""
    at, value = side.offset, int.from_bytes(head, "big") & mask
    if at % WORD == 0:
        return (Match(WORD, value, mask, at),)
    return (
        Match(2, value >> 16, mask >> 16, at),
        Match(2, value & 0xFFFF, mask & 0xFFFF, at + 2),
    )
