"""A kernel's filters, from the messages of its dump.

In: message bodies (struct tcmsg and attributes), and a way from interface indexes to names. Out:
`Held` rules. I/O: none.
What our rules never have (links, other actions, other controls) becomes `Unknown`: such a filter
is shown, and differs from all that is asked for. Filters of other kinds are left out: they are
somebody else's.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable, Iterator

from fallback_tc.netlink import (
    ATTR,
    EACTIONS,
    ETHERTYPES,
    GEN,
    HEADER_TYPES,
    MIRRED,
    PEDIT,
    PEDIT_PLACE,
    SEL,
    TC_ACT_PIPE,
    TC_U32_TERMINAL,
    TCA_ACT_KIND,
    TCA_ACT_OPTIONS,
    TCA_GACT_PARMS,
    TCA_KIND,
    TCA_MIRRED_PARMS,
    TCA_OPTIONS,
    TCA_PEDIT_KEY_EX_CMD,
    TCA_PEDIT_KEY_EX_CMD_SET,
    TCA_PEDIT_KEY_EX_HTYPE,
    TCA_PEDIT_KEYS_EX,
    TCA_PEDIT_PARMS,
    TCA_PEDIT_PARMS_EX,
    TCA_U32_ACT,
    TCA_U32_SEL,
    TCMSG,
    U32_PLACE,
    VERDICTS,
    WORDS,
)
from fallback_tc.rules import (
    WORD,
    Action,
    Gact,
    Header,
    Held,
    Match,
    Mirred,
    Munge,
    Parent,
    Pedit,
    Rule,
    Unknown,
)

NLA_TYPE_MASK = 0x3FFF
TCA_CHAIN = 11
TCA_GACT_PROB = 3
TCA_U32_CLASSID, TCA_U32_LINK, TCA_U32_POLICE, TCA_U32_INDEV = 1, 3, 6, 8
TCA_U32_MARK = 10
_CHANGES = {
    TCA_U32_CLASSID: "classid",
    TCA_U32_LINK: "link",
    TCA_U32_POLICE: "police",
    TCA_U32_INDEV: "indev",
    TCA_U32_MARK: "mark",
}
"""Attributes that make a filter do something else."""
_PROTOCOLS = {number: name for name, number in ETHERTYPES.items()}
_HEADERS = {number: header for header, number in HEADER_TYPES.items()}
_DIRECTIONS = {numbers: direction for direction, numbers in EACTIONS.items()}
_CONTROLS = {number: verdict for verdict, number in VERDICTS.items()}
_WORDLESS = Match(WORD, 0, 0)

Name = Callable[[int], str]
"""The name of the interface with an index. What it raises comes out of `held`."""


def held(bodies: Iterable[bytes], name: Name) -> list[Held]:
    """Return the u32 filters of a dump, in the order in which the kernel tries them.

    ValueError for bodies that are no such message, and for another hook than `Parent` knows.
    """
    try:
        found = [one for body in bodies for one in _filter(body, name)]
    except (struct.error, KeyError) as error:
        raise ValueError(f"no filter as the kernel tells one: {error!r}") from error
    return sorted(found, key=lambda one: (one.rule.pref, one.handle))


def _filter(body: bytes, name: Name) -> Iterator[Held]:
    _, ifindex, handle, parent, info = TCMSG.unpack_from(body)
    outer = _attrs(body[TCMSG.size :])
    if _text(outer.get(TCA_KIND)) != "u32":
        return
    options = _attrs(outer.get(TCA_OPTIONS, b""))
    sel = options.get(TCA_U32_SEL)
    if sel is None:
        # This is the classifier itself, or a table of it.
        return
    extra = [Unknown(word) for number, word in _CHANGES.items() if number in options]
    if any(outer.get(TCA_CHAIN, b"")):
        extra.append(Unknown("a chain of its own"))
    matches, odd = _sel(sel)
    number = socket.ntohs(info & 0xFFFF)
    rule = Rule(
        name(ifindex),
        Parent(parent),
        info >> 16,
        _PROTOCOLS.get(number, f"[{number}]"),
        matches,
        (*_actions(options.get(TCA_U32_ACT, b""), name), *odd, *extra),
    )
    yield Held(rule, handle)


def _sel(data: bytes) -> tuple[tuple[Match, ...], list[Unknown]]:
    flags, _, count, *_, hmask = SEL.unpack_from(data)
    matches, odd = [], []
    if flags != TC_U32_TERMINAL or hmask:
        odd.append(Unknown(f"selector flags {flags:#x}, hash mask {hmask:#x}"))
    for index in range(count):
        at = SEL.size + index * (WORDS.size + U32_PLACE.size)
        mask, value = WORDS.unpack_from(data, at)
        offset, offmask = U32_PLACE.unpack_from(data, at + WORDS.size)
        if offmask or offset % WORD or value & ~mask:
            odd.append(Unknown(f"match {value:08x}/{mask:08x} at {offset}+{offmask}"))
        else:
            matches.append(Match(WORD, value, mask, offset))
    return tuple(matches) or (_WORDLESS,), odd


def _actions(data: bytes, name: Name) -> Iterator[Action]:
    for _, action in sorted(_attrs(data).items()):
        parts = _attrs(action)
        kind = _text(parts.get(TCA_ACT_KIND))
        options = _attrs(parts.get(TCA_ACT_OPTIONS, b""))
        yield _action(kind, options, name) or Unknown(f"another {kind} than ours")


def _action(kind: str, options: dict[int, bytes], name: Name) -> Action | None:
    if kind == "pedit":
        return _pedit(options)
    if kind == "mirred":
        data = options[TCA_MIRRED_PARMS]
        eaction, ifindex = MIRRED.unpack_from(data, GEN.size)
        direction = _DIRECTIONS.get((eaction, _control(data)))
        return Mirred(direction, name(ifindex)) if direction else None
    if kind == "gact" and TCA_GACT_PROB not in options:
        verdict = _CONTROLS.get(_control(options[TCA_GACT_PARMS]))
        return Gact(verdict) if verdict else None
    return None


def _pedit(options: dict[int, bytes]) -> Pedit | None:
    data = options.get(TCA_PEDIT_PARMS_EX) or options[TCA_PEDIT_PARMS]
    count, _ = PEDIT.unpack_from(data, GEN.size)
    headers = list(_headers(options.get(TCA_PEDIT_KEYS_EX, b"")))
    headers = headers or [Header.NETWORK] * count
    if _control(data) != TC_ACT_PIPE or len(headers) != count:
        return None
    munges = []
    for index, header in enumerate(headers):
        at = GEN.size + PEDIT.size + index * (WORDS.size + PEDIT_PLACE.size)
        keep, value = WORDS.unpack_from(data, at)
        offset, _, offmask, _ = PEDIT_PLACE.unpack_from(data, at + WORDS.size)
        if header is None or offmask or offset % WORD or value & keep:
            return None
        munges.append(Munge(WORD, value, offset, keep, header))
    if len(set(headers)) != 1:
        return None
    return Pedit(tuple(munges))


def _headers(data: bytes) -> Iterator[Header | None]:
    for _, key in _iter_attrs(data):
        parts = _attrs(key)
        (kind,) = struct.unpack_from("=H", parts[TCA_PEDIT_KEY_EX_HTYPE])
        (command,) = struct.unpack_from("=H", parts[TCA_PEDIT_KEY_EX_CMD])
        plain = command == TCA_PEDIT_KEY_EX_CMD_SET
        yield _HEADERS.get(kind) if plain else None


def _control(parameters: bytes) -> int:
    return int(GEN.unpack_from(parameters)[2])


def _iter_attrs(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        length, kind = ATTR.unpack_from(data, at)
        if length < ATTR.size or at + length > len(data):
            raise ValueError(f"an attribute of {length} bytes at {at} of {len(data)}")
        yield kind & NLA_TYPE_MASK, data[at + ATTR.size : at + length]
        at += length + -length % 4


def _attrs(data: bytes) -> dict[int, bytes]:
    return dict(_iter_attrs(data))


def _text(data: bytes | None) -> str:
    return (data or b"").split(b"\0")[0].decode(errors="replace")
