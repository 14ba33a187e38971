"""Pairs, rules and a kernel's dump for tests of the classic ruleset."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable, Iterator, Sequence

from hypothesis import strategies as st

from fallback_tc import netlink
from fallback_tc.pair import Pair
from fallback_tc.rules import (
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
    normal,
)
from tests import packets

LINKS = {"vexbe87-eth0": 7, "vinbe87-eth0": 8, "vbr-neuv": 10000000}
NAMES = {index: name for name, index in LINKS.items()}

PAIR = Pair(
    vex="vexbe87-eth0",
    vin="vinbe87-eth0",
    bridge="vbr-neuv",
    mac=packets.seed_mac,
    ucmac=packets.seed_ucmac,
    pref_ex=39,
    pref_in=40,
    broadcasts=(packets.subnet_broadcast_ip4,),
)


def dumped(rules: Sequence[Rule], links: dict[str, int] = LINKS) -> list[bytes]:
    """The bodies of a kernel's dump of these rules: each classifier, its table, its filters."""
    bodies: list[bytes] = []
    tables: dict[tuple[str, Parent, int, str], list[int]] = {}
    chain = netlink._attr(11, struct.pack("=I", 0))
    kind = netlink._text(netlink.TCA_KIND, "u32")
    for rule in sorted(rules, key=lambda one: one.pref):
        head, filters = _split(netlink.add(rule, links.__getitem__).body)
        table = tables.get(rule.place)
        if table is None:
            table = tables[rule.place] = [0x80000000 + (len(tables) << 20), 0x800]
            bodies.append(_tcmsg(head, 0) + kind + chain)
            divisor = netlink._attr(4, struct.pack("=I", 1))
            options = netlink._attr(netlink.TCA_OPTIONS, divisor)
            bodies.append(_tcmsg(head, table[0]) + kind + chain + options)
        extra = netlink._attr(2, struct.pack("=I", table[0])) + netlink._attr(
            11, struct.pack("=I", 8)
        )
        filters = _as_told(filters, PEDIT_KEYS)
        options = netlink._attr(netlink.TCA_OPTIONS, filters + extra)
        bodies.append(_tcmsg(head, table[0] | table[1]) + kind + chain + options)
        table[1] += 1
    return bodies


PEDIT_KEYS = (
    *(netlink.TCA_U32_ACT, None, netlink.TCA_ACT_OPTIONS),
    *(netlink.TCA_PEDIT_KEYS_EX, netlink.TCA_PEDIT_KEY_EX),
)
"""Where pedit's keys are, from the options of a filter on; None: each action's number."""


def _as_told(attrs: bytes, path: tuple[int | None, ...]) -> bytes:
    """The kernel gives pedit's keys without the flag that they are given to it with."""
    found = b""
    for kind, payload in _attrs_of(attrs):
        plain = kind & ~netlink.NLA_F_NESTED
        if path and path[0] in (None, plain):
            told = plain if path in (PEDIT_KEYS[-1:], PEDIT_KEYS[-2:]) else kind
            found += netlink._attr(told, _as_told(payload, path[1:]))
        else:
            found += netlink._attr(kind, payload)
    return found


def _attrs_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type with its flags, payload) of each attribute."""
    while data:
        size, kind = netlink.ATTR.unpack_from(data)
        yield kind, data[netlink.ATTR.size : size]
        data = data[(size + 3) & ~3 :]


def _split(body: bytes) -> tuple[bytes, bytes]:
    size = netlink.TCMSG.size
    # TCA_KIND takes eight bytes, the head of TCA_OPTIONS four.
    return body[:size], body[size + 12 :]


def _tcmsg(head: bytes, handle: int) -> bytes:
    family, ifindex, _, parent, info = netlink.TCMSG.unpack(head)
    return netlink.TCMSG.pack(family, ifindex, handle, parent, info)


def on(rules: Iterable[Rule], device: str) -> list[Rule]:
    """Those of one device."""
    return [rule for rule in rules if rule.device == device]


def _fields(width: int) -> st.SearchStrategy[tuple[int, int]]:
    """(offset, a number of that width): aligned as tc wants it."""
    top = (1 << 8 * width) - 1
    offsets = st.integers(-16 // width, 60 // width).map(lambda n: n * width)
    return st.tuples(offsets, st.integers(0, top))


@st.composite
def matches(draw: st.DrawFn) -> tuple[Match, ...]:
    """One to four, of any width and mask, that do not contradict each other."""
    made: list[Match] = []
    for _ in range(draw(st.integers(1, 4))):
        width = draw(st.sampled_from([1, 2, 4]))
        offset, mask = draw(_fields(width))
        value = draw(st.integers(0, (1 << 8 * width) - 1)) & mask
        one = Match(width, value, mask, offset)
        with contextlib.suppress(ValueError):
            normal(Rule("lo", Parent.INGRESS, 1, "all", (*made, one), ()))
            made.append(one)
    return tuple(made)


@st.composite
def munges(draw: st.DrawFn) -> Munge:
    """With bits that are kept, or none."""
    width = draw(st.sampled_from([1, 2, 4]))
    offset, value = draw(_fields(width))
    keep = draw(st.sampled_from([0, 0, 1, (1 << 8 * width) - 1])) & ~value
    return Munge(width, value, offset, keep)


MACS = st.binary(min_size=6, max_size=6).map(lambda mac: mac.hex(":"))
ACTIONS = st.one_of(
    st.builds(
        Mirred, st.sampled_from(Direction), st.sampled_from([PAIR.vin, PAIR.bridge])
    ),
    st.builds(Gact, st.sampled_from(Verdict)),
    st.builds(Pedit, st.lists(munges(), min_size=1, max_size=3).map(tuple)),
    st.builds(
        Pedit,
        st.lists(
            st.builds(MungeMac, st.sampled_from(Side), MACS), min_size=1, max_size=2
        ).map(tuple),
    ),
)
RULES = st.builds(
    Rule,
    st.just(PAIR.vex),
    st.just(Parent.CLSACT_INGRESS),
    st.integers(1, 65535),
    st.sampled_from(sorted(netlink.ETHERTYPES)),
    matches(),
    st.lists(ACTIONS, min_size=1, max_size=3).map(tuple),
)
"""Any rule that tc can be told."""
