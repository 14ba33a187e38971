"""Nexthop objects (`ip nexthop`): read, compared, put back.

In: a RawNetlink, message bodies (struct nhmsg and its attributes). Out: the same; see pyctl.platform.netlink.l3. I/O:
`dump` only.
"""

from __future__ import annotations

import errno
import struct

from pyctl.platform.netlink.l3 import RTNH_F_ONLINK
from pyctl.platform.netlink.raw import (
    NLA_F_NESTED,
    NLM_F_CREATE,
    NLM_F_REPLACE,
    Message,
    NetlinkError,
    RawNetlink,
    attr,
    attrs,
    u32,
)

RTM_NEWNEXTHOP, RTM_GETNEXTHOP = 104, 106
NHA_ID, NHA_GROUP, NHA_OIF, NHA_GATEWAY = 1, 2, 5, 6
NHA_ENCAP, NHA_RES_GROUP = 8, 12
NHA_RES_GROUP_UNBALANCED_TIME = 4
_ANSWERS = frozenset({14, 15, 17})
"""NHA_OP_FLAGS, NHA_GROUP_STATS, NHA_HW_STATS_USED: the kernel says them, never hears
them.
"""


def dump(nl: RawNetlink) -> list[bytes]:
    """Return every nexthop object, groups last; none on a kernel without them."""
    try:
        bodies = nl.dump(RTM_GETNEXTHOP, b"\0" * 8)
    except NetlinkError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
            return []
        raise
    return sorted(bodies, key=lambda body: NHA_GROUP in attrs(body[8:]))


def key(body: bytes) -> bytes:
    """Return a key that is equal for equal nexthop objects."""
    flags = struct.unpack_from("=I", body, 4)[0] & RTNH_F_ONLINK
    found = {k: v for k, v in attrs(body[8:]).items() if k not in _ANSWERS}
    if NHA_RES_GROUP in found:
        wishes = attrs(found[NHA_RES_GROUP])
        # This is a clock: how long its buckets have been uneven.
        wishes.pop(NHA_RES_GROUP_UNBALANCED_TIME, None)
        found[NHA_RES_GROUP] = _packed(wishes)
    return body[:4] + struct.pack("=I", flags) + _packed(found)


def _packed(found: dict[int, bytes]) -> bytes:
    # For nexthops the kernel wants NLA_F_NESTED on every nest.
    nests = {NHA_ENCAP: NLA_F_NESTED, NHA_RES_GROUP: NLA_F_NESTED}
    return b"".join(
        attr(kind | nests.get(kind, 0), found[kind]) for kind in sorted(found)
    )


def message(body: bytes) -> Message:
    """Return the message that restores the nexthop; a group that lost members gets them again."""
    body = key(body)
    family_scope_protocol = bytes([body[0], 0, body[2], 0])
    body = family_scope_protocol + body[4:]
    return Message(RTM_NEWNEXTHOP, body, NLM_F_CREATE | NLM_F_REPLACE)


def gateways(body: bytes) -> set[tuple[int, bytes, int]]:
    """Return (family, address, interface) of its gateway; empty for a group."""
    found = attrs(body[8:])
    if NHA_GATEWAY not in found:
        return set()
    return {(body[0], found[NHA_GATEWAY], u32(found.get(NHA_OIF)))}


def oif(body: bytes) -> int:
    """Return the interface that the nexthop leads over; 0 for none and for a group."""
    return u32(attrs(body[8:]).get(NHA_OIF))
