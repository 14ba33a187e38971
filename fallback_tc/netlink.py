"""Rules as rtnetlink messages, byte for byte as tc makes them.

In: rules, and a way from interface names to indexes. Out: message type, flags, body. I/O: none:
whoever has a socket puts the header before the body, adds NLM_F_REQUEST and NLM_F_ACK, and sends.
u32's and pedit's words are in network order, as they lie in the frame; all else is the host's.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

from fallback_tc.rules import (
    Action,
    Direction,
    Gact,
    Header,
    Match,
    Mirred,
    Parent,
    Pedit,
    Rule,
    Unknown,
    Verdict,
    normal,
    words,
)

RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLM_F_DUMP = 0x300
NLA_F_NESTED = 0x8000
TCA_KIND, TCA_OPTIONS = 1, 2
TCA_U32_SEL, TCA_U32_ACT = 5, 7
TCA_ACT_KIND, TCA_ACT_OPTIONS = 1, 2
TCA_PEDIT_PARMS, TCA_PEDIT_PARMS_EX = 2, 4
TCA_PEDIT_KEYS_EX, TCA_PEDIT_KEY_EX = 5, 6
TCA_PEDIT_KEY_EX_HTYPE, TCA_PEDIT_KEY_EX_CMD = 1, 2
TCA_PEDIT_KEY_EX_CMD_SET = 0
TCA_MIRRED_PARMS, TCA_GACT_PARMS = 2, 2
TCA_EGRESS_REDIR, TCA_EGRESS_MIRROR = 1, 2
TC_U32_TERMINAL = 1
TC_ACT_OK, TC_ACT_SHOT, TC_ACT_PIPE, TC_ACT_STOLEN = 0, 2, 3, 4

TCMSG = struct.Struct("=BxxxiIII")
"""struct tcmsg: family, ifindex, handle, parent, info."""
ATTR = struct.Struct("=HH")
SEL = struct.Struct("=BBBxHHhhI")
"""struct tc_u32_sel: flags, offshift, nkeys, offmask, off, offoff, hoff, hmask; keys follow."""
WORDS = struct.Struct(">II")
"""mask and value, the first two of struct tc_u32_key and of struct tc_pedit_key."""
U32_PLACE = struct.Struct("=ii")
"""The rest of struct tc_u32_key: off, offmask."""
PEDIT_PLACE = struct.Struct("=iIII")
"""The rest of struct tc_pedit_key: off, at, offmask, shift."""
GEN = struct.Struct("=IIiii")
"""tc_gen, the head of every action's parameters: index, capab, action, refcnt, bindcnt."""
PEDIT = struct.Struct("=BBxx")
"""The rest of struct tc_pedit_sel: nkeys, flags; keys follow."""
MIRRED = struct.Struct("=iI")
"""The rest of struct tc_mirred: eaction, ifindex."""

ETHERTYPES = {
    "all": 0x0003,
    "ip": 0x0800,
    "arp": 0x0806,
    "802.1Q": 0x8100,
    "ipv6": 0x86DD,
    "802.1ad": 0x88A8,
}
"""As tc spells them."""
HEADER_TYPES = {Header.NETWORK: 0, Header.ETH: 1}
"""enum pedit_header_type."""
EACTIONS = {
    Direction.MIRROR: (TCA_EGRESS_MIRROR, TC_ACT_PIPE),
    Direction.REDIRECT: (TCA_EGRESS_REDIR, TC_ACT_STOLEN),
}
"""What mirred is told, and the control that goes with it."""
VERDICTS = {Verdict.PASS: TC_ACT_OK, Verdict.DROP: TC_ACT_SHOT}

Ifindex = Callable[[str], int]
"""The index of the interface with a name. What it raises comes out of the functions here."""


class Message(NamedTuple):
    """An rtnetlink message without its header."""

    kind: int
    """RTM_*"""
    flags: int
    """NLM_F_* besides REQUEST and ACK."""
    body: bytes


def add(rule: Rule, ifindex: Ifindex) -> Message:
    """Return the message that adds a filter after those of the same place.

    The kernel answers ENOENT where a module is missing, EINVAL where the hook's qdisc is, or where
    the pref is taken by another protocol or kind.
    """
    body = _tcmsg(rule, ifindex, 0) + _filter(rule, ifindex)
    return Message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, body)


def replace(rule: Rule, ifindex: Ifindex, handle: int) -> Message:
    """Return the message that replaces the actions of the filter with this handle, in one step.

    The kernel keeps the filter's matches and does not look at those sent: `rule` must have the
    same ones. It answers ENOENT where no such filter is.
    """
    body = _tcmsg(rule, ifindex, handle) + _filter(rule, ifindex)
    return Message(RTM_NEWTFILTER, NLM_F_REPLACE, body)


def delete(rule: Rule, ifindex: Ifindex, handle: int = 0) -> Message:
    """Return the message that deletes the filter with this handle; 0: all of the rule's place.

    The kernel answers ENOENT or EINVAL where there is none, also where another kind's filter is
    at that pref.
    """
    body = _tcmsg(rule, ifindex, handle) + _text(TCA_KIND, "u32")
    return Message(RTM_DELTFILTER, 0, body)


def dump(device: str, parent: Parent, ifindex: Ifindex) -> Message:
    """Return the message that asks for all filters of a hook; `fallback_tc.dump` reads the answers."""
    body = TCMSG.pack(0, ifindex(device), 0, parent, 0)
    return Message(RTM_GETTFILTER, NLM_F_DUMP, body)


def _tcmsg(rule: Rule, ifindex: Ifindex, handle: int) -> bytes:
    number = ETHERTYPES.get(rule.protocol)
    if number is None:
        raise ValueError(f"protocol {rule.protocol!r} has no number here")
    info = rule.pref << 16 | socket.htons(number)
    return TCMSG.pack(0, ifindex(rule.device), handle, rule.parent, info)


def _filter(rule: Rule, ifindex: Ifindex) -> bytes:
    kept = normal(rule)
    actions = b"".join(
        _attr(order, _action(action, ifindex))
        for order, action in enumerate(kept.actions, start=1)
    )
    options = _attr(TCA_U32_ACT, actions) + _attr(TCA_U32_SEL, _sel(kept.matches))
    return _text(TCA_KIND, "u32") + _attr(TCA_OPTIONS, options)


def _sel(matches: tuple[Match, ...]) -> bytes:
    head = SEL.pack(TC_U32_TERMINAL, 0, len(matches), 0, 0, 0, 0, 0)
    return head + b"".join(
        WORDS.pack(match.mask, match.value) + U32_PLACE.pack(match.offset, 0)
        for match in matches
    )


def _action(action: Action, ifindex: Ifindex) -> bytes:
    match action:
        case Pedit():
            kind, parameters = "pedit", _pedit(action)
        case Mirred():
            eaction, control = EACTIONS[action.direction]
            kind = "mirred"
            parameters = _attr(
                TCA_MIRRED_PARMS,
                _gen(control) + MIRRED.pack(eaction, ifindex(action.device)),
            )
        case Gact():
            kind = "gact"
            parameters = _attr(TCA_GACT_PARMS, _gen(VERDICTS[action.verdict]))
        case Unknown():
            raise ValueError(f"no message is known for {action.text!r}")
    return _text(TCA_ACT_KIND, kind) + _nest(TCA_ACT_OPTIONS, parameters)


def _pedit(action: Pedit) -> bytes:
    munges = [word for munge in action.munges for word in words(munge)]
    parameters = _gen(TC_ACT_PIPE) + PEDIT.pack(len(munges), 0)
    for one in munges:
        parameters += WORDS.pack(one.keep, one.value)
        parameters += PEDIT_PLACE.pack(one.offset, 0, 0, 0)
    if not action.extended:
        return _attr(TCA_PEDIT_PARMS, parameters)
    keys = b"".join(
        _nest(
            TCA_PEDIT_KEY_EX,
            _u16(TCA_PEDIT_KEY_EX_HTYPE, HEADER_TYPES[one.header])
            + _u16(TCA_PEDIT_KEY_EX_CMD, TCA_PEDIT_KEY_EX_CMD_SET),
        )
        for one in munges
    )
    return _attr(TCA_PEDIT_PARMS_EX, parameters) + _nest(TCA_PEDIT_KEYS_EX, keys)


def _gen(control: int) -> bytes:
    return GEN.pack(0, 0, control, 0, 0)


def _attr(kind: int, payload: bytes) -> bytes:
    head = ATTR.pack(ATTR.size + len(payload), kind)
    return head + payload + bytes(-len(payload) % 4)


def _nest(kind: int, payload: bytes) -> bytes:
    return _attr(kind | NLA_F_NESTED, payload)


def _text(kind: int, value: str) -> bytes:
    return _attr(kind, value.encode(errors="surrogateescape") + b"\0")


def _u16(kind: int, value: int) -> bytes:
    return _attr(kind, struct.pack("=H", value))
