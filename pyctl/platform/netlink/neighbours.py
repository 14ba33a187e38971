"""The neighbours that an interface knows: set ones as they are, learned ones to be confirmed.

In: a RawNetlink, message bodies. Out: message bodies, and two forms of each, as l3 has them. I/O: only
`dump_neighbours`.
"""

from __future__ import annotations

import socket
import struct

from pyctl.platform.netlink.l3 import RTN_UNICAST
from pyctl.platform.netlink.raw import (
    NLM_F_CREATE,
    NLM_F_REPLACE,
    Message,
    RawNetlink,
    attrs,
    packed,
    u32,
)

RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
NUD_NONE, NUD_STALE, NUD_NOARP, NUD_PERMANENT = 0x00, 0x04, 0x40, 0x80
NUD_VALID_DYNAMIC = 0x02 | 0x04 | 0x08 | 0x10
"""REACHABLE, STALE, DELAY, PROBE: the link-layer address is known."""
NTF_PROXY, NTF_EXT_LEARNED, NTF_EXT_MANAGED = 0x08, 0x10, 0x01
NDA_DST, NDA_LLADDR, NDA_CACHEINFO, NDA_PROBES, NDA_FLAGS_EXT = 1, 2, 3, 4, 15

_ND = struct.Struct("=BxxxiHBB")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def dump_neighbours(nl: RawNetlink, index: int) -> list[bytes]:
    """Return the interface's neighbours that are resolved or were set by somebody, and its proxy entries."""
    found = []
    for family in _FAMILIES:
        for asked in (0, NTF_PROXY):
            for body in nl.dump(RTM_GETNEIGH, _ND.pack(family, 0, 0, asked, 0)):
                _family, owner, state, _flags, _type = _ND.unpack_from(body)
                known = state & NUD_VALID_DYNAMIC or is_set(body)
                if owner == index and known:
                    found.append(body)
    return list(dict.fromkeys(found))


def is_set(body: bytes) -> bool:
    """Return whether somebody set the neighbour: it was not learned, nor made for a group's address."""
    _family, _index, state, flags, kind = _ND.unpack_from(body)
    return bool(
        state & NUD_PERMANENT
        or flags & (NTF_PROXY | NTF_EXT_LEARNED)
        or (state & NUD_NOARP and kind == RTN_UNICAST)
        or _is_managed(body)
    )


def _is_managed(body: bytes) -> bool:
    return bool(u32(attrs(body[12:]).get(NDA_FLAGS_EXT)) & NTF_EXT_MANAGED)


def neighbour_key(body: bytes) -> bytes:
    """Return a key that is equal for equal neighbours at any age; a managed one's MAC is left out."""
    sent = neighbour_message(body).body
    if not _is_managed(body):
        return sent
    family, index, _state, flags, kind = _ND.unpack_from(sent)
    found = attrs(sent[12:])
    found.pop(NDA_LLADDR, None)
    return _ND.pack(family, index, 0, flags, kind) + packed(found)


def neighbour_message(body: bytes) -> Message:
    """Return the message that restores the neighbour; a learned one becomes STALE, so that it is used at once
    and then confirmed.
    """
    family, index, state, flags, kind = _ND.unpack_from(body)
    found = attrs(body[12:])
    for volatile in (NDA_CACHEINFO, NDA_PROBES):
        found.pop(volatile, None)
    if _is_managed(body) or not is_set(body):
        known = NDA_LLADDR in found and state & NUD_VALID_DYNAMIC
        state = NUD_STALE if known else NUD_NONE
        if not known:
            found.pop(NDA_LLADDR, None)
    return Message(
        RTM_NEWNEIGH,
        _ND.pack(family, index, state, flags, kind) + packed(found),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
