"""What an interface carries: addresses, routes, nexthops, rules, permanent neighbours.

In: NetlinkSockets, message bodies. Out: message bodies as the kernel dumped them, and
two forms of each: `*_key`, for comparing (the kernel's own state masked away), and
`*_message`, for putting it back. I/O: only the `dump_*` functions.

Bodies stay bytes, so an attribute that this code does not know is put back like any
other.
"""

from __future__ import annotations

import errno
import socket
import struct

from pyctl.platform.netlink import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Message,
    NetlinkError,
    NetlinkSocket,
    attr,
    attr_u32,
    attrs,
    nest,
    u32,
)

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
RTM_GETRULE = 34
RTM_NEWNEXTHOP, RTM_GETNEXTHOP = 104, 106
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_CACHEINFO, IFA_FLAGS = 1, 2, 3, 6, 8
IFA_F_SECONDARY, IFA_F_NODAD = 0x01, 0x02
IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR = 0x10, 0x100
IFA_F_NOPREFIXROUTE, IFA_F_MCAUTOJOIN = 0x200, 0x400
IFA_F_SET = (
    IFA_F_NODAD
    | IFA_F_HOMEADDRESS
    | IFA_F_MANAGETEMPADDR
    | IFA_F_NOPREFIXROUTE
    | IFA_F_MCAUTOJOIN
)
"""What a user can set."""
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_MULTIPATH = 1, 4, 5, 6, 9
RTA_METRICS, RTAX_MTU = 8, 2
RTA_CACHEINFO, RTA_TABLE, RTA_VIA, RTA_ENCAP_TYPE, RTA_ENCAP = 12, 15, 18, 21, 22
RTA_EXPIRES, RTA_NH_ID = 23, 30
RTN_UNICAST = 1
RTPROT_KERNEL, RTPROT_BOOT = 2, 3
RT_TABLE_MAIN, RT_TABLE_LOCAL = 254, 255
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
RTNH_F_ONLINK = 0x4
NUD_STALE, NUD_PERMANENT = 0x04, 0x80
NUD_VALID_DYNAMIC = 0x02 | 0x04 | 0x08 | 0x10
"""REACHABLE, STALE, DELAY, PROBE: the link-layer address is known."""
NTF_PROXY, NTF_EXT_LEARNED = 0x08, 0x10
NDA_DST, NDA_CACHEINFO, NDA_PROBES = 1, 3, 4
NHA_GROUP, NHA_OIF, NHA_GATEWAY = 2, 5, 6
_NHA_ANSWERS = frozenset({14, 15, 17})
"""NHA_OP_FLAGS, NHA_GROUP_STATS, NHA_HW_STATS_USED: the kernel says them, never hears
them.
"""
INFINITE = 0xFFFFFFFF
USER_HZ = 100

_IFADDR = struct.Struct("=BBBBi")
_RT = struct.Struct("=BBBBBBBBI")
_NEXTHOP = struct.Struct("=HBBi")
_ND = struct.Struct("=BxxxiHBB")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def _packed(found: dict[int, bytes]) -> bytes:
    return b"".join(attr(kind, found[kind]) for kind in sorted(found))


# --- addresses -----------------------------------------------------------------------------------


def dump_addresses(nl: NetlinkSocket, index: int) -> list[bytes]:
    """The interface's addresses, in an order in which adding them gives the same order
    again.

    The kernel lists IPv4 oldest first and puts a new IPv6 address before the others.
    """
    found: list[bytes] = []
    for family in _FAMILIES:
        bodies = nl.dump(RTM_GETADDR, _IFADDR.pack(family, 0, 0, 0, 0))
        mine = [body for body in bodies if _IFADDR.unpack_from(body)[4] == index]
        found += mine if family == socket.AF_INET else reversed(mine)
    return found


def address_text(body: bytes) -> str:
    """`a.b.c.d/len`"""
    family, length, *_ = _IFADDR.unpack_from(body)
    found = attrs(body[8:])
    raw = found.get(IFA_LOCAL) or found[IFA_ADDRESS]
    return f"{socket.inet_ntop(family, raw)}/{length}"


def address_scope(body: bytes) -> int:
    """RT_SCOPE_*"""
    return int(_IFADDR.unpack_from(body)[3])


def _lifetimes(found: dict[int, bytes]) -> tuple[int, int]:
    if IFA_CACHEINFO not in found:
        return INFINITE, INFINITE
    preferred, valid = struct.unpack_from("=II", found[IFA_CACHEINFO])
    return preferred, valid


def _address_parts(body: bytes, keep: int) -> tuple[tuple[int, ...], dict[int, bytes]]:
    family, length, flags, scope, index = _IFADDR.unpack_from(body)
    found = attrs(body[8:])
    flags = u32(found.get(IFA_FLAGS), flags) & keep
    found[IFA_FLAGS] = struct.pack("=I", flags)
    return (family, length, flags & 0xFF, scope, index), found


def address_key(body: bytes) -> bytes:
    """Equal for equal addresses: the clocks and what duplicate detection says are left
    out.
    """
    # The bit of IPv4's "secondary" means "temporary" in IPv6, and cannot be set there.
    secondary = IFA_F_SECONDARY if body[0] == socket.AF_INET else 0
    head, found = _address_parts(body, IFA_F_SET | secondary)
    finite = bytes(time != INFINITE for time in _lifetimes(found))
    found[IFA_CACHEINFO] = finite
    return _IFADDR.pack(*head) + _packed(found)


def address_messages(body: bytes) -> list[Message]:
    """Put it back, usable at once.

    An IPv6 address is added as NODAD, then replaced without the flag: so it never is
    tentative and ends with the flags that it had.
    """
    head, found = _address_parts(body, IFA_F_SET)
    if IFA_CACHEINFO in found:
        found[IFA_CACHEINFO] = struct.pack("=IIII", *_lifetimes(found), 0, 0)
    wanted = Message(RTM_NEWADDR, _IFADDR.pack(*head) + _packed(found))
    if head[0] == socket.AF_INET:
        return [Message(wanted.kind, wanted.body, NLM_F_CREATE | NLM_F_EXCL)]
    flags = u32(found[IFA_FLAGS])
    if flags & IFA_F_NODAD:
        return [Message(wanted.kind, wanted.body, NLM_F_CREATE | NLM_F_REPLACE)]
    quick = dict(found)
    quick[IFA_FLAGS] = struct.pack("=I", flags | IFA_F_NODAD)
    head = (*head[:2], head[2] | IFA_F_NODAD, *head[3:])
    return [
        Message(
            RTM_NEWADDR,
            _IFADDR.pack(*head) + _packed(quick),
            NLM_F_CREATE | NLM_F_REPLACE,
        ),
        Message(wanted.kind, wanted.body, NLM_F_REPLACE),
    ]


def makes_addresses(body: bytes) -> bool:
    """Adding it may make the kernel add a temporary one."""
    return bool(u32(attrs(body[8:]).get(IFA_FLAGS)) & IFA_F_MANAGETEMPADDR)


def delete_address(body: bytes) -> Message:
    """Take it away."""
    head, found = _address_parts(body, 0)
    for volatile in (IFA_CACHEINFO, IFA_FLAGS):
        found.pop(volatile, None)
    return Message(RTM_DELADDR, _IFADDR.pack(*head) + _packed(found))


def host_address(family: int, raw: bytes, index: int, label: str) -> bytes:
    """The body of a /32 or /128 that makes no route."""
    flags = IFA_F_NOPREFIXROUTE | (IFA_F_NODAD if family == socket.AF_INET6 else 0)
    found = {IFA_ADDRESS: raw, IFA_LOCAL: raw, IFA_FLAGS: struct.pack("=I", flags)}
    if family == socket.AF_INET:
        found[IFA_LABEL] = label.encode() + b"\0"
    return _IFADDR.pack(family, len(raw) * 8, flags & 0xFF, 0, index) + _packed(found)


def address_raw(body: bytes) -> tuple[int, bytes]:
    """(family, the address in network order)."""
    found = attrs(body[8:])
    return body[0], found.get(IFA_LOCAL) or found[IFA_ADDRESS]


# --- routes --------------------------------------------------------------------------------------


def dump_routes(nl: NetlinkSocket) -> list[bytes]:
    """Every route of every table of the namespace, in the kernel's order."""
    return [
        body
        for family in _FAMILIES
        for body in nl.dump(RTM_GETROUTE, _RT.pack(family, *(0,) * 8))
    ]


def route_table(body: bytes) -> int:
    """RT_TABLE_*"""
    return u32(attrs(body[12:]).get(RTA_TABLE), body[4])


def route_oifs(body: bytes) -> set[int]:
    """The interfaces it leads over."""
    found = attrs(body[12:])
    over = {u32(found[RTA_OIF])} if RTA_OIF in found else set()
    return over | {
        index for _flags, _hops, index, _rest in _hops(found.get(RTA_MULTIPATH, b""))
    }


def route_slot(body: bytes) -> tuple[object, ...]:
    """Two routes with one slot replace or follow each other."""
    head = _RT.unpack_from(body)
    found = attrs(body[12:])
    where = (found.get(RTA_DST, b""), u32(found.get(RTA_PRIORITY)), route_table(body))
    return (head[0], head[1], head[2], head[3], *where)


def made_by_kernel(body: bytes) -> bool:
    """The local table's entries come and go with their addresses and devices."""
    return (
        route_table(body) == RT_TABLE_LOCAL
        and _RT.unpack_from(body)[5] == RTPROT_KERNEL
    )


def needs_gateway(body: bytes) -> bool:
    """It resolves only once the route to its gateway stands."""
    found = attrs(body[12:])
    return any(
        kind in found for kind in (RTA_GATEWAY, RTA_VIA, RTA_MULTIPATH, RTA_NH_ID)
    )


def gateways(body: bytes) -> set[tuple[int, bytes, int]]:
    """(family, address, interface) of all that a route leads over."""
    found = attrs(body[12:])
    own = (found, u32(found.get(RTA_OIF)))
    hops = _hops(found.get(RTA_MULTIPATH, b""))
    ends = set()
    for said, index in (own, *((attrs(rest), index) for _, _, index, rest in hops)):
        if RTA_GATEWAY in said:
            ends.add((body[0], said[RTA_GATEWAY], index))
        elif RTA_VIA in said:
            via = said[RTA_VIA]
            ends.add((struct.unpack_from("=H", via)[0], via[2:], index))
    return ends


def nexthop_gateways(body: bytes) -> set[tuple[int, bytes, int]]:
    """Likewise of a nexthop object."""
    found = attrs(body[8:])
    if NHA_GATEWAY not in found:
        return set()
    return {(body[0], found[NHA_GATEWAY], u32(found.get(NHA_OIF)))}


def host_route(family: int, address: bytes, index: int) -> bytes:
    """The body of an on-link route to one address."""
    scope = RT_SCOPE_LINK if family == socket.AF_INET else RT_SCOPE_UNIVERSE
    head = (family, len(address) * 8, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope)
    found = {RTA_DST: address, RTA_OIF: struct.pack("=I", index)}
    return _RT.pack(*head, RTN_UNICAST, 0) + _packed(found)


def _hops(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """(flags, weight - 1, interface, attributes) of each nexthop of RTA_MULTIPATH."""
    found, at = [], 0
    while at + 8 <= len(data):
        length, flags, hops, index = _NEXTHOP.unpack_from(data, at)
        if length < 8:
            break
        found.append((flags, hops, index, data[at + 8 : at + length]))
        at += (length + 3) & ~3
    return found


def _route_parts(body: bytes) -> tuple[tuple[int, ...], dict[int, bytes]]:
    *head, flags = _RT.unpack_from(body)
    found = attrs(body[12:])
    cache = found.pop(RTA_CACHEINFO, b"")
    if body[0] == socket.AF_INET6 and len(cache) >= 12:
        expires = struct.unpack_from("=i", cache, 8)[0]
        if expires > 0:
            found[RTA_EXPIRES] = struct.pack("=I", max(1, expires // USER_HZ))
    if RTA_NH_ID in found:
        # The kernel shows what the nexthop object stands for, and takes only its number.
        for shown in (
            RTA_OIF,
            RTA_GATEWAY,
            RTA_VIA,
            RTA_MULTIPATH,
            RTA_ENCAP,
            RTA_ENCAP_TYPE,
        ):
            found.pop(shown, None)
        flags = 0
    if RTA_MULTIPATH in found:
        packed = b""
        for hop_flags, weight, index, rest in _hops(found[RTA_MULTIPATH]):
            length = 8 + len(rest)
            packed += _NEXTHOP.pack(length, hop_flags & RTNH_F_ONLINK, weight, index)
            packed += rest + b"\0" * (-length % 4)
        found[RTA_MULTIPATH] = packed
    return (*head, flags & RTNH_F_ONLINK), found


def route_key(body: bytes) -> bytes:
    """Equal for equal routes; a running expiry counts only as being there."""
    head, found = _route_parts(body)
    if RTA_EXPIRES in found:
        found[RTA_EXPIRES] = b""
    return _RT.pack(*head) + _packed(found)


def route_message(body: bytes) -> Message:
    """Put it back behind equal ones."""
    head, found = _route_parts(body)
    return Message(
        RTM_NEWROUTE, _RT.pack(*head) + _packed(found), NLM_F_CREATE | NLM_F_APPEND
    )


def delete_route(body: bytes) -> Message:
    """Take it away."""
    head, found = _route_parts(body)
    found.pop(RTA_EXPIRES, None)
    return Message(RTM_DELROUTE, _RT.pack(*head) + _packed(found))


def default_route(family: int, index: int, priority: int, mtu: int) -> bytes:
    """The body of an on-link default route."""
    scope = RT_SCOPE_LINK if family == socket.AF_INET else RT_SCOPE_UNIVERSE
    head = _RT.pack(family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST, 0)
    metrics = nest(RTA_METRICS, attr_u32(RTAX_MTU, mtu))
    return head + attr_u32(RTA_OIF, index) + attr_u32(RTA_PRIORITY, priority) + metrics


def dump_nexthops(nl: NetlinkSocket) -> list[bytes]:
    """Every nexthop object, groups last; none on a kernel without them."""
    try:
        bodies = nl.dump(RTM_GETNEXTHOP, b"\0" * 8)
    except NetlinkError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
            return []
        raise
    return sorted(bodies, key=lambda body: NHA_GROUP in attrs(body[8:]))


def nexthop_key(body: bytes) -> bytes:
    """Equal for equal nexthop objects."""
    flags = struct.unpack_from("=I", body, 4)[0] & RTNH_F_ONLINK
    found = {k: v for k, v in attrs(body[8:]).items() if k not in _NHA_ANSWERS}
    return body[:4] + struct.pack("=I", flags) + _packed(found)


def nexthop_message(body: bytes) -> Message:
    """Put it back; a group that lost members gets them again."""
    body = nexthop_key(body)
    family_scope_protocol = bytes([body[0], 0, body[2], 0])
    body = family_scope_protocol + body[4:]
    return Message(RTM_NEWNEXTHOP, body, NLM_F_CREATE | NLM_F_REPLACE)


def dump_rules(nl: NetlinkSocket) -> list[bytes]:
    """Every policy routing rule. The kernel itself ties them to interfaces, by name."""
    return [
        body
        for family in _FAMILIES
        for body in nl.dump(RTM_GETRULE, _RT.pack(family, *(0,) * 8))
    ]


# --- neighbours ----------------------------------------------------------------------------------


def dump_neighbours(nl: NetlinkSocket, index: int) -> list[bytes]:
    """The interface's neighbours whose address is known, and its proxy entries."""
    found = []
    for family in _FAMILIES:
        for asked in (0, NTF_PROXY):
            for body in nl.dump(RTM_GETNEIGH, _ND.pack(family, 0, 0, asked, 0)):
                _family, owner, state, flags, _type = _ND.unpack_from(body)
                wanted = (
                    state & (NUD_PERMANENT | NUD_VALID_DYNAMIC) or flags & NTF_PROXY
                )
                if owner == index and wanted:
                    found.append(body)
    return list(dict.fromkeys(found))


def neighbour_is_permanent(body: bytes) -> bool:
    """Somebody set it, as opposed to learned by asking."""
    _family, _index, state, flags, _type = _ND.unpack_from(body)
    return bool(state & NUD_PERMANENT or flags & (NTF_PROXY | NTF_EXT_LEARNED))


def neighbour_key(body: bytes) -> bytes:
    """Equal for equal neighbours, whatever their age."""
    return neighbour_message(body).body


def neighbour_message(body: bytes) -> Message:
    """Put it back; a learned one as STALE, so that it is used at once and then
    confirmed.
    """
    family, index, state, flags, kind = _ND.unpack_from(body)
    found = attrs(body[12:])
    for volatile in (NDA_CACHEINFO, NDA_PROBES):
        found.pop(volatile, None)
    if not neighbour_is_permanent(body):
        state = NUD_STALE
    return Message(
        RTM_NEWNEIGH,
        _ND.pack(family, index, state, flags, kind) + _packed(found),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
