"""What an interface carries: addresses, routes, rules (its neighbours and nexthops have modules of their own).

In: RawNetlinks, message bodies. Out: message bodies as the kernel dumped them, and
two forms of each: `*_key`, for comparing (the kernel's own state masked away), and
`*_message`, for putting it back. I/O: only the `dump_*` functions.

Bodies stay bytes, so an attribute that this code does not know is put back like any
other.
"""

from __future__ import annotations

import errno
import re
import socket
import struct
from collections.abc import Collection

from pyctl.platform.netlink.raw import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Message,
    NetlinkError,
    RawNetlink,
    attr_u32,
    attrs,
    nest,
    packed,
    u32,
)

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_GETRULE = 34
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_CACHEINFO, IFA_FLAGS = 1, 2, 3, 6, 8
IFA_F_SECONDARY, IFA_F_NODAD, IFA_F_DADFAILED = 0x01, 0x02, 0x08
IFA_F_TENTATIVE = 0x40
IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR = 0x10, 0x100
IFA_F_NOPREFIXROUTE, IFA_F_MCAUTOJOIN = 0x200, 0x400
IFA_F_SET = (
    IFA_F_NODAD
    | IFA_F_HOMEADDRESS
    | IFA_F_MANAGETEMPADDR
    | IFA_F_NOPREFIXROUTE
    | IFA_F_MCAUTOJOIN
)
"""The flags that a user can set."""
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_MULTIPATH = 1, 4, 5, 6, 9
RTA_METRICS, RTAX_MTU = 8, 2
RTA_CACHEINFO, RTA_TABLE, RTA_VIA, RTA_ENCAP_TYPE, RTA_ENCAP = 12, 15, 18, 21, 22
RTA_EXPIRES, RTA_NH_ID = 23, 30
_SLOT = frozenset({RTA_DST, RTA_PRIORITY, RTA_TABLE})
RTN_UNICAST, RTN_BROADCAST = 1, 3
RTPROT_KERNEL, RTPROT_BOOT, RTPROT_STATIC, RTPROT_RA = 2, 3, 4, 9
RT_TABLE_MAIN, RT_TABLE_LOCAL = 254, 255
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
RTNH_F_ONLINK = 0x4
INFINITE = 0xFFFFFFFF
USER_HZ = 100

_IFADDR = struct.Struct("=BBBBi")
_RT = struct.Struct("=BBBBBBBBI")
_NEXTHOP = struct.Struct("=HBBi")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


_PLAIN_ROUTE = re.compile(
    b"\\x02.{7}\\0{4}(?:\\x08\\0[\\x01\\x04\\x05\\x06\\x07\\x0f]\\0.{4})*", re.DOTALL
)
"""An IPv4 route without flags that has none but RTA_DST, OIF, GATEWAY, PRIORITY, PREFSRC and TABLE. A routing
table of a hundred thousand is made of these, and nothing of them has to be taken apart.
"""


# --- addresses -----------------------------------------------------------------------------------


def dump_addresses(nl: RawNetlink, index: int) -> list[bytes]:
    """Return the interface's addresses, in an order in which adding them gives the same order.

    The kernel lists IPv4 oldest first and puts a new IPv6 address before the others. It is asked for this
    interface's alone: a namespace may have thousands of others.
    """
    wishes = (_IFADDR.pack(family, 0, 0, 0, index) for family in _FAMILIES)
    try:
        ip4, ip6 = (nl.filtered(RTM_GETADDR, wish) for wish in wishes)
    except NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise
        return []
    return [*ip4, *reversed(ip6)]


def dump_all_addresses(nl: RawNetlink) -> list[tuple[int, bytes]]:
    """Return (interface's index, address) for a whole namespace."""
    return [
        (_IFADDR.unpack_from(body)[4], body)
        for family in _FAMILIES
        for body in nl.dump(RTM_GETADDR, _IFADDR.pack(family, 0, 0, 0, 0))
    ]


def address_index(body: bytes) -> int:
    """Return the index of the address's interface."""
    return int(_IFADDR.unpack_from(body)[4])


def address_text(body: bytes) -> str:
    """Return the address as `a.b.c.d/len`."""
    family, length, *_ = _IFADDR.unpack_from(body)
    found = attrs(body[8:])
    raw = found.get(IFA_LOCAL) or found[IFA_ADDRESS]
    return f"{socket.inet_ntop(family, raw)}/{length}"


def address_scope(body: bytes) -> int:
    """Return the address's scope, RT_SCOPE_*."""
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
    """Return a key equal for equal addresses, without clocks and results of duplicate detection."""
    # The bit of IPv4's "secondary" means "temporary" in IPv6, and cannot be set there.
    secondary = IFA_F_SECONDARY if body[0] == socket.AF_INET else 0
    head, found = _address_parts(body, IFA_F_SET | secondary)
    finite = bytes(time != INFINITE for time in _lifetimes(found))
    found[IFA_CACHEINFO] = finite
    return _IFADDR.pack(*head) + packed(found)


def address_messages(body: bytes) -> list[Message]:
    """Return the messages that restore the address, usable at once if it was.

    An IPv6 address is added as NODAD, then replaced without the flag: so it never is
    tentative and ends with the flags that it had. One that may be another's is looked for again.
    """
    head, found = _address_parts(body, IFA_F_SET)
    if IFA_CACHEINFO in found:
        found[IFA_CACHEINFO] = struct.pack("=IIII", *_lifetimes(found), 0, 0)
    wanted = Message(RTM_NEWADDR, _IFADDR.pack(*head) + packed(found))
    if head[0] == socket.AF_INET:
        return [Message(wanted.kind, wanted.body, NLM_F_CREATE | NLM_F_EXCL)]
    flags = u32(found[IFA_FLAGS])
    if flags & IFA_F_NODAD or in_doubt(body):
        return [Message(wanted.kind, wanted.body, NLM_F_CREATE | NLM_F_REPLACE)]
    quick = dict(found)
    quick[IFA_FLAGS] = struct.pack("=I", flags | IFA_F_NODAD)
    head = (*head[:2], head[2] | IFA_F_NODAD, *head[3:])
    return [
        Message(
            RTM_NEWADDR,
            _IFADDR.pack(*head) + packed(quick),
            NLM_F_CREATE | NLM_F_REPLACE,
        ),
        Message(wanted.kind, wanted.body, NLM_F_REPLACE),
    ]


def in_doubt(body: bytes) -> bool:
    """Return whether duplicate detection has found another owner or is unfinished: nobody may use it yet."""
    if body[0] != socket.AF_INET6:
        return False
    flags = u32(attrs(body[8:]).get(IFA_FLAGS), body[2])
    return bool(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED))


def is_duplicate(body: bytes) -> bool:
    """Return whether another on the link has the address."""
    if body[0] != socket.AF_INET6:
        return False
    flags = u32(attrs(body[8:]).get(IFA_FLAGS), body[2])
    return bool(flags & IFA_F_DADFAILED)


def address_joins(body: bytes) -> bool:
    """Return whether the kernel is in a multicast group because of this address."""
    return bool(u32(attrs(body[8:]).get(IFA_FLAGS)) & IFA_F_MCAUTOJOIN)


def makes_addresses(body: bytes) -> bool:
    """Return whether adding the address may make the kernel add a temporary one."""
    return bool(u32(attrs(body[8:]).get(IFA_FLAGS)) & IFA_F_MANAGETEMPADDR)


def address_is_lasting(body: bytes) -> bool:
    """Return whether others can use the address to reach us, and it has no end of validity."""
    found = attrs(body[8:])
    family, raw = address_raw(body)
    group = raw[0] & 0xF0 == 0xE0 if family == socket.AF_INET else raw[0] == 0xFF
    return not (group or in_doubt(body)) and _lifetimes(found)[1] == INFINITE


def delete_address(body: bytes) -> Message:
    """Return the message that deletes the address."""
    head, found = _address_parts(body, 0)
    for volatile in (IFA_CACHEINFO, IFA_FLAGS):
        found.pop(volatile, None)
    return Message(RTM_DELADDR, _IFADDR.pack(*head) + packed(found))


def host_address(family: int, raw: bytes, index: int, label: str) -> bytes:
    """Return the body of a /32 or /128 that makes no route."""
    flags = IFA_F_NOPREFIXROUTE | (IFA_F_NODAD if family == socket.AF_INET6 else 0)
    found = {IFA_ADDRESS: raw, IFA_LOCAL: raw, IFA_FLAGS: struct.pack("=I", flags)}
    if family == socket.AF_INET:
        found[IFA_LABEL] = label.encode() + b"\0"
    return _IFADDR.pack(family, len(raw) * 8, flags & 0xFF, 0, index) + packed(found)


def address_raw(body: bytes) -> tuple[int, bytes]:
    """Return (family, address in network order)."""
    found = attrs(body[8:])
    return body[0], found.get(IFA_LOCAL) or found[IFA_ADDRESS]


# --- routes --------------------------------------------------------------------------------------


def dump_routes(nl: RawNetlink) -> list[bytes]:
    """Return every route of every table of the namespace, in the kernel's order."""
    return [
        body
        for family in _FAMILIES
        for body in nl.dump(RTM_GETROUTE, _RT.pack(family, *(0,) * 8))
    ]


def dump_routes_over(nl: RawNetlink, index: int) -> list[bytes]:
    """Return the routes that lead over one interface, alone or among others."""
    return _filtered_routes(nl, attr_u32(RTA_OIF, index))


def dump_local_routes(nl: RawNetlink) -> list[bytes]:
    """Return the routes of the local table."""
    return _filtered_routes(nl, attr_u32(RTA_TABLE, RT_TABLE_LOCAL))


def _filtered_routes(nl: RawNetlink, wish: bytes) -> list[bytes]:
    return [
        body
        for family in _FAMILIES
        for body in nl.filtered(RTM_GETROUTE, _RT.pack(family, *(0,) * 8) + wish)
    ]


def route_table(body: bytes) -> int:
    """Return the route's table, RT_TABLE_*."""
    return u32(attrs(body[12:]).get(RTA_TABLE), body[4])


def route_oifs(body: bytes) -> set[int]:
    """Return the interfaces that the route leads over."""
    if _PLAIN_ROUTE.fullmatch(body):
        return {
            u32(body[at + 4 : at + 8])
            for at in range(12, len(body), 8)
            if body[at + 2] == RTA_OIF
        }
    found = attrs(body[12:])
    over = {u32(found[RTA_OIF])} if RTA_OIF in found else set()
    return over | {
        index for _flags, _weight, index, _rest in hops(found.get(RTA_MULTIPATH, b""))
    }


def route_slot(body: bytes) -> bytes:
    """Return the route's slot: routes with equal slots replace or follow each other."""
    if _PLAIN_ROUTE.fullmatch(body):
        return body[:4] + b"".join(
            sorted(
                body[at : at + 8]
                for at in range(12, len(body), 8)
                if body[at + 2] in _SLOT
            )
        )
    found = attrs(body[12:])
    return body[:4] + packed({kind: found[kind] for kind in _SLOT & found.keys()})


def made_by_kernel(body: bytes) -> bool:
    """Return whether it is a local table entry, which comes and goes with its address or device."""
    return body[5] == RTPROT_KERNEL and route_table(body) == RT_TABLE_LOCAL


def comes_along(body: bytes) -> bool:
    """Return whether the kernel makes the route with an address, but does not need it."""
    return (
        made_by_kernel(body) and body[0] == socket.AF_INET and body[7] == RTN_BROADCAST
    )


def made_by_daemon(body: bytes) -> bool:
    """Return whether a routing daemon or a DHCP client keeps the route, and may change it at any time."""
    return body[5] > RTPROT_STATIC and body[5] != RTPROT_RA


def made_by_advertisement(body: bytes) -> bool:
    """Return whether the route came from a router's advertisement, through the kernel or a daemon."""
    return body[0] == socket.AF_INET6 and body[5] == RTPROT_RA


def prefix_length(body: bytes) -> int:
    """Return the length of the route's prefix."""
    return body[1]


def is_default(body: bytes) -> bool:
    """Return whether the route is a default route."""
    return body[1] == 0 and RTA_DST not in attrs(body[12:])


def needs_gateway(body: bytes) -> bool:
    """Return whether the route resolves only after the route to its gateway exists."""
    if _PLAIN_ROUTE.fullmatch(body):
        return RTA_GATEWAY in body[14::8]
    found = attrs(body[12:])
    return any(
        kind in found for kind in (RTA_GATEWAY, RTA_VIA, RTA_MULTIPATH, RTA_NH_ID)
    )


def gateways(body: bytes) -> set[tuple[int, bytes, int]]:
    """Return (family, address, interface) of all gateways of a route."""
    found = attrs(body[12:])
    own = (found, u32(found.get(RTA_OIF)))
    each = hops(found.get(RTA_MULTIPATH, b""))
    ends = set()
    for said, index in (own, *((attrs(rest), index) for _, _, index, rest in each)):
        if RTA_GATEWAY in said:
            ends.add((body[0], said[RTA_GATEWAY], index))
        elif RTA_VIA in said:
            via = said[RTA_VIA]
            ends.add((struct.unpack_from("=H", via)[0], via[2:], index))
    return ends


def host_route(family: int, address: bytes, index: int) -> bytes:
    """Return the body of an on-link route to one address."""
    scope = RT_SCOPE_LINK if family == socket.AF_INET else RT_SCOPE_UNIVERSE
    head = (family, len(address) * 8, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope)
    found = {RTA_DST: address, RTA_OIF: struct.pack("=I", index)}
    return _RT.pack(*head, RTN_UNICAST, 0) + packed(found)


def hops(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Return (flags, weight - 1, interface, attributes) of each nexthop of RTA_MULTIPATH."""
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
    found.pop(RTA_CACHEINFO, None)
    if expires := route_expiry(body):
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
        for hop_flags, weight, index, rest in hops(found[RTA_MULTIPATH]):
            length = 8 + len(rest)
            packed += _NEXTHOP.pack(length, hop_flags & RTNH_F_ONLINK, weight, index)
            packed += rest + b"\0" * (-length % 4)
        found[RTA_MULTIPATH] = packed
    return (*head, flags & RTNH_F_ONLINK), found


def route_expiry(body: bytes) -> int:
    """Return in how many ticks the route expires, at least one; 0: never."""
    cache = attrs(body[12:]).get(RTA_CACHEINFO, b"")
    if body[0] != socket.AF_INET6 or len(cache) < 12:
        return 0
    ticks = int(struct.unpack_from("=i", cache, 8)[0])
    return max(1, ticks) if ticks else 0


def route_key(body: bytes) -> bytes:
    """Return a key that is equal for equal routes; of an expiry only its presence counts."""
    head, found = _route_parts(body)
    if RTA_EXPIRES in found:
        found[RTA_EXPIRES] = b""
    return _RT.pack(*head) + packed(found)


def route_message(body: bytes) -> Message:
    """Return the message that restores the route after equal ones."""
    if _PLAIN_ROUTE.fullmatch(body):
        return Message(RTM_NEWROUTE, body, NLM_F_CREATE | NLM_F_APPEND)
    return _appended(*_route_parts(body))


def _appended(head: tuple[int, ...], found: dict[int, bytes]) -> Message:
    flags = NLM_F_CREATE | NLM_F_APPEND
    return Message(RTM_NEWROUTE, _RT.pack(*head) + packed(found), flags)


def onlink_message(body: bytes, own: Collection[bytes]) -> Message | None:
    """Return the message that restores the route with onlink gateways (except `own` ones), or None."""
    ways = {address for _family, address, _index in gateways(body)}
    if not ways:
        return None
    found = attrs(body[12:])
    found.pop(RTA_NH_ID, None)
    flags = 0 if ways.issubset(own) else RTNH_F_ONLINK
    if RTA_MULTIPATH in found:
        flags = 0
        found[RTA_MULTIPATH] = b"".join(
            _NEXTHOP.pack(
                8 + len(rest),
                0 if attrs(rest).get(RTA_GATEWAY) in own else RTNH_F_ONLINK,
                weight,
                index,
            )
            + rest
            for _flags, weight, index, rest in hops(found[RTA_MULTIPATH])
        )
    shown = body[:8] + struct.pack("=I", flags) + packed(found)
    return _appended(*_route_parts(shown))


def delete_route(body: bytes) -> Message:
    """Return the message that deletes the route."""
    head, found = _route_parts(body)
    found.pop(RTA_EXPIRES, None)
    return Message(RTM_DELROUTE, _RT.pack(*head) + packed(found))


def default_route(family: int, index: int, priority: int, mtu: int) -> bytes:
    """Return the body of an on-link default route."""
    scope = RT_SCOPE_LINK if family == socket.AF_INET else RT_SCOPE_UNIVERSE
    head = _RT.pack(family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST, 0)
    metrics = nest(RTA_METRICS, attr_u32(RTAX_MTU, mtu))
    return head + attr_u32(RTA_OIF, index) + attr_u32(RTA_PRIORITY, priority) + metrics


def dump_rules(nl: RawNetlink) -> list[bytes]:
    """Return every policy routing rule. The kernel itself ties them to interfaces, by name."""
    return [
        body
        for family in _FAMILIES
        for body in nl.dump(RTM_GETRULE, _RT.pack(family, *(0,) * 8))
    ]
