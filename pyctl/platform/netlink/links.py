"""Interfaces: read, create as veth pairs, change, move between namespaces, delete.

In: RawNetlinks, names, indexes. Out: frozen Link values. I/O: rtnetlink, through the
socket given. Errors: NetlinkError as the kernel gave it; absence is None or False where
it says so.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass

from pyctl.platform.netlink.raw import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    NetlinkError,
    RawNetlink,
    attr,
    attr_text,
    attr_u32,
    attrs,
    iter_attrs,
    nest,
    text,
    u32,
)

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_GETNSID = 90
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_TXQLEN, IFLA_LINKINFO, IFLA_IFALIAS = 13, 18, 20
IFLA_AF_SPEC, IFLA_GROUP, IFLA_NET_NS_FD, IFLA_EXT_MASK = 26, 27, 28, 29
IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES, IFLA_LINK_NETNSID = 31, 32, 37
IFLA_GSO_MAX_SEGS, IFLA_GSO_MAX_SIZE, IFLA_XDP = 40, 41, 43
IFLA_NEW_IFINDEX, IFLA_PROP_LIST, IFLA_ALT_IFNAME = 49, 52, 53
IFLA_GRO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE = 58, 63, 64
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
VETH_INFO_PEER = 1
IFLA_VXLAN_LINK = 3
IFLA_XDP_ATTACHED = 2
IFLA_XDP_PROGRAMS = (4, 5, 6, 7)
"""IFLA_XDP_PROG_ID, and those of each mode where there is more than one."""
IFLA_INET6_TOKEN, IFLA_INET6_ADDR_GEN_MODE = 7, 8
IN6_ADDR_GEN_MODE_NONE = 1
RTEXT_FILTER_SKIP_STATS = 8
NETNSA_NSID, NETNSA_FD = 1, 3
IFF_UP, IFF_LOOPBACK, IFF_NOARP, IFF_PROMISC = 0x1, 0x8, 0x80, 0x100
IFF_ALLMULTI, IFF_MULTICAST = 0x200, 0x1000
IFF_RUNNING, IFF_LOWER_UP = 0x40, 0x10000
SETTABLE_FLAGS = IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST
"""The flags that belong to the user, besides IFF_UP."""
SIZES = (
    IFLA_GSO_MAX_SEGS,
    IFLA_GSO_MAX_SIZE,
    IFLA_GRO_MAX_SIZE,
    IFLA_GSO_IPV4_MAX_SIZE,
    IFLA_GRO_IPV4_MAX_SIZE,
)
VETH = "veth"
"""Link.kind of what `add_veth` makes."""

_IFINFO = struct.Struct("=BxHiII")


@dataclass(frozen=True)
class Link:
    """An interface as the kernel shows it."""

    index: int
    name: str
    flags: int
    kind: str
    """"" for a device that no rtnl_link_ops made."""
    mac: str
    mtu: int
    txqlen: int
    group: int
    alias: str
    master: int
    link: int
    """Index of the peer (veth) or the lower device (macvlan, vxlan), 0: none."""
    link_nsid: int | None
    """The nsid of that link's namespace; None: this namespace."""
    queues: tuple[int, int]
    """(transmit, receive)."""
    sizes: tuple[tuple[int, int], ...]
    """(IFLA_G[SR]O_*, value): the offload limits."""
    addr_gen_mode: int | None
    """IN6_ADDR_GEN_MODE_*; None without IPv6."""
    token: str
    """IFLA_INET6_TOKEN as hex, "" when unset."""
    altnames: tuple[str, ...]
    xdp: bool

    @property
    def up(self) -> bool:
        """Return whether the interface is administratively up."""
        return bool(self.flags & IFF_UP)

    @property
    def carrier(self) -> bool:
        """Return whether the interface is up and its other side is too."""
        return bool(self.flags & IFF_LOWER_UP)


def mac_text(raw: bytes) -> str:
    """Return the MAC as `aa:bb:…`."""
    return ":".join(f"{byte:02x}" for byte in raw)


def mac_bytes(mac: str) -> bytes:
    """Return the bytes of a MAC that mac_text wrote."""
    return bytes.fromhex(mac.replace(":", ""))


def ifinfo(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    """Return the bytes of struct ifinfomsg."""
    return _IFINFO.pack(socket.AF_UNSPEC, 0, index, flags, change)


def parse(body: bytes) -> Link:
    """Parse the body of a RTM_NEWLINK."""
    _family, _type, index, flags, _change = _IFINFO.unpack_from(body)
    found = attrs(body[16:])
    info = attrs(found.get(IFLA_LINKINFO, b""))
    inet6 = attrs(attrs(found.get(IFLA_AF_SPEC, b"")).get(socket.AF_INET6, b""))
    token = inet6.get(IFLA_INET6_TOKEN, b"")
    props = iter_attrs(found.get(IFLA_PROP_LIST, b""))
    nsid = found.get(IFLA_LINK_NETNSID)
    mode = inet6.get(IFLA_INET6_ADDR_GEN_MODE)
    return Link(
        index=index,
        name=text(found.get(IFLA_IFNAME)),
        flags=flags,
        kind=text(info.get(IFLA_INFO_KIND)),
        mac=mac_text(found.get(IFLA_ADDRESS, b"")),
        mtu=u32(found.get(IFLA_MTU)),
        txqlen=u32(found.get(IFLA_TXQLEN)),
        group=u32(found.get(IFLA_GROUP)),
        alias=text(found.get(IFLA_IFALIAS)),
        master=u32(found.get(IFLA_MASTER)),
        link=u32(found.get(IFLA_LINK, _vxlan_lower(info))),
        link_nsid=None if nsid is None else struct.unpack("=i", nsid)[0],
        queues=(
            u32(found.get(IFLA_NUM_TX_QUEUES), 1),
            u32(found.get(IFLA_NUM_RX_QUEUES), 1),
        ),
        sizes=tuple((kind, u32(found[kind])) for kind in SIZES if kind in found),
        addr_gen_mode=mode[0] if mode else None,
        token=token.hex() if any(token) else "",
        altnames=tuple(text(raw) for kind, raw in props if kind == IFLA_ALT_IFNAME),
        xdp=any(attrs(found.get(IFLA_XDP, b"")).get(IFLA_XDP_ATTACHED, b"")),
    )


def _vxlan_lower(info: dict[int, bytes]) -> bytes | None:
    """Return the index of a vxlan's lower device, which only its own data names."""
    if text(info.get(IFLA_INFO_KIND)) != "vxlan":
        return None
    return attrs(info.get(IFLA_INFO_DATA, b"")).get(IFLA_VXLAN_LINK)


def dump(nl: RawNetlink) -> list[Link]:
    """Return every interface of the namespace."""
    wish = ifinfo() + attr_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
    return [parse(body) for body in nl.dump(RTM_GETLINK, wish)]


def naming(nl: RawNetlink, index: int) -> list[Link]:
    """Return the interfaces that may refer to this index: all that do, and a few others."""
    wish = ifinfo() + attr_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
    number = struct.pack("=I", index)
    return [parse(body) for body in nl.dump(RTM_GETLINK, wish) if number in body[16:]]


def _get(nl: RawNetlink, body: bytes) -> Link | None:
    try:
        found = nl.get(
            RTM_GETLINK, body + attr_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
        )
    except NetlinkError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return parse(found)


def by_name(nl: RawNetlink, name: str) -> Link | None:
    """Return the interface with that name, or None."""
    return _get(nl, ifinfo() + attr_text(IFLA_IFNAME, name))


def by_index(nl: RawNetlink, index: int) -> Link | None:
    """Return the interface with that index, or None."""
    return _get(nl, ifinfo(index))


def xdp_programs(nl: RawNetlink, index: int) -> frozenset[int]:
    """Return the ids of the XDP programs on an interface, of all modes."""
    body = nl.get(RTM_GETLINK, ifinfo(index))
    told = attrs(attrs(body[16:]).get(IFLA_XDP, b""))
    return frozenset(u32(told[key]) for key in IFLA_XDP_PROGRAMS if key in told) - {0}


def flag_change(up: bool | None, flags: int | None) -> tuple[int, int]:
    """Return (flags, which of them change) for what is given; of `flags` only SETTABLE_FLAGS count."""
    value = mask = 0
    if up is not None:
        value, mask = (IFF_UP if up else 0), IFF_UP
    if flags is not None:
        value, mask = value | (flags & SETTABLE_FLAGS), mask | SETTABLE_FLAGS
    return value, mask


def set_message(
    index: int,
    *,
    up: bool | None = None,
    flags: int | None = None,
    mtu: int | None = None,
    mac: str | None = None,
    txqlen: int | None = None,
    group: int | None = None,
    master: int | None = None,
    alias: str | None = None,
    addr_gen_mode: int | None = None,
    token: str | None = None,
    sizes: tuple[tuple[int, int], ...] = (),
    rename: str | None = None,
    netns_fd: int | None = None,
    new_index: int | None = None,
) -> Message:
    """Return a RTM_SETLINK for what is given. `flags`: the wanted SETTABLE_FLAGS; others are cleared."""
    body = [ifinfo(index, *flag_change(up, flags))]
    numbers = {IFLA_MTU: mtu, IFLA_TXQLEN: txqlen, IFLA_GROUP: group}
    numbers |= {IFLA_MASTER: master}
    numbers |= {IFLA_NET_NS_FD: netns_fd, IFLA_NEW_IFINDEX: new_index, **dict(sizes)}
    body += [
        attr_u32(kind, number) for kind, number in numbers.items() if number is not None
    ]
    if mac is not None:
        body.append(attr(IFLA_ADDRESS, mac_bytes(mac)))
    if alias is not None:
        body.append(attr(IFLA_IFALIAS, alias.encode(errors="surrogateescape")))
    if rename is not None:
        body.append(attr_text(IFLA_IFNAME, rename))
    for kind, raw in (
        (IFLA_INET6_TOKEN, bytes.fromhex(token or "")),
        (
            IFLA_INET6_ADDR_GEN_MODE,
            bytes(0 if addr_gen_mode is None else (addr_gen_mode,)),
        ),
    ):
        if raw:
            body.append(nest(IFLA_AF_SPEC, nest(socket.AF_INET6, attr(kind, raw))))
    return Message(RTM_SETLINK, b"".join(body))


def set_link(nl: RawNetlink, index: int, **changes: object) -> None:
    """Send a set_message by itself. NetlinkError if it is refused."""
    message = set_message(index, **changes)  # type: ignore[arg-type]
    nl.request(message.kind, message.body)


@dataclass(frozen=True)
class VethEnd:
    """The settings of one end of a new veth pair; index 0 and mac "" let the kernel choose."""

    name: str
    index: int = 0
    mac: str = ""
    mtu: int = 1500
    txqlen: int | None = None
    queues: tuple[int, int] | None = None
    flags: int | None = None
    netns_fd: int | None = None
    alias: str = ""


def _veth_end(end: VethEnd) -> bytes:
    body = ifinfo(end.index, *flag_change(None, end.flags))
    body += attr_text(IFLA_IFNAME, end.name) + attr_u32(IFLA_MTU, end.mtu)
    if end.mac:
        body += attr(IFLA_ADDRESS, mac_bytes(end.mac))
    if end.txqlen is not None:
        body += attr_u32(IFLA_TXQLEN, end.txqlen)
    if end.queues is not None:
        body += attr_u32(IFLA_NUM_TX_QUEUES, end.queues[0])
        body += attr_u32(IFLA_NUM_RX_QUEUES, end.queues[1])
    if end.netns_fd is not None:
        body += attr_u32(IFLA_NET_NS_FD, end.netns_fd)
    return body


def add_veth(nl: RawNetlink, end: VethEnd, peer: VethEnd) -> None:
    """Create both ends, down, in one request. NetlinkError EEXIST if a name is taken."""
    # VETH_INFO_PEER starts with an ifinfomsg, so it is no plain nest.
    data = nest(IFLA_INFO_DATA, attr(VETH_INFO_PEER, _veth_end(peer)))
    info = nest(IFLA_LINKINFO, attr_text(IFLA_INFO_KIND, VETH), data)
    nl.request(RTM_NEWLINK, _veth_end(end) + info, NLM_F_CREATE | NLM_F_EXCL)


def delete(nl: RawNetlink, index: int) -> bool:
    """Delete the interface; return False if it was gone."""
    try:
        nl.request(RTM_DELLINK, ifinfo(index))
    except NetlinkError as error:
        if error.errno == errno.ENODEV:
            return False
        raise
    return True


def altname_message(index: int, names: tuple[str, ...], *, add: bool) -> Message:
    """Return a RTM_NEWLINKPROP or RTM_DELLINKPROP for alternative names."""
    props = nest(IFLA_PROP_LIST, *(attr_text(IFLA_ALT_IFNAME, name) for name in names))
    kind = RTM_NEWLINKPROP if add else RTM_DELLINKPROP
    flags = NLM_F_CREATE | NLM_F_EXCL if add else 0
    return Message(kind, ifinfo(index) + props, flags)


def nsid(nl: RawNetlink, netns_fd: int) -> int | None:
    """Return the nsid that nl's namespace has for another one; None if it has none."""
    body = b"\0\0\0\0" + attr_u32(NETNSA_FD, netns_fd)
    found = attrs(nl.get(RTM_GETNSID, body)[4:]).get(NETNSA_NSID)
    number = struct.unpack("=i", found)[0] if found else -1
    return None if number < 0 else number
