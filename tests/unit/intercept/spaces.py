"""Namespaces and interfaces of a kernel that is played, as its dumps show them."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

from pyctl.platform.netlink import l3, links
from pyctl.platform.netlink.raw import (
    NetlinkError,
    attr,
    attr_text,
    attr_u32,
    nest,
)
from tests import packets

DEFAULTS = {"ipv4/conf/rp_filter": "0", "ipv4/conf/forwarding": "0"}
"""The sysctls of a new interface."""
ON = (0b1111, 0)
"""The offloads of a new interface."""
DYNAMIC = links.IFF_LOWER_UP | links.IFF_RUNNING


def address(text: str, length: int, scope: int = 0, index: int = 2) -> bytes:
    """A message body as a dump gives it."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    raw = socket.inet_pton(family, text)
    body = l3.host_address(family, raw, index, "eth0")
    return struct.pack("=BBBBi", family, length, 0, scope, index) + body[8:]


def refused(code: int, why: str = "refused") -> NetlinkError:
    return NetlinkError(code, why)


@dataclass(eq=False)
class Space:
    """A network namespace."""

    path: Path
    cookie: int
    devices: list[Device] = field(default_factory=list)
    addresses: list[bytes] = field(default_factory=list)
    routes: list[bytes] = field(default_factory=list)
    neighbours: list[bytes] = field(default_factory=list)
    numbers: dict[Space, int] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    joined: dict[int, list[bytes]] = field(default_factory=dict)
    """Multicast groups of sockets, by interface."""

    @property
    def identity(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino

    def number_of(self, other: Space) -> int:
        return self.numbers.setdefault(other, len(self.numbers))

    def free_index(self) -> int:
        return max((one.index for one in self.devices), default=0) + 1

    def device(self, name: str) -> Device:
        return next(one for one in self.devices if one.name == name)

    def names(self) -> list[str]:
        return sorted(one.name for one in self.devices)


@dataclass(eq=False)
class Device:
    """An interface."""

    space: Space
    name: str
    index: int
    kind: str = links.VETH
    mac: str = packets.pod_one_mac
    mtu: int = 1500
    flags: int = links.IFF_MULTICAST
    txqlen: int = 1000
    group: int = 0
    alias: str = ""
    master: int = 0
    other: Device | None = None
    """A veth's peer, or what the device is on top of."""
    queues: tuple[int, int] = (1, 1)
    sizes: dict[int, int] = field(
        default_factory=lambda: {links.IFLA_GSO_MAX_SIZE: 65536}
    )
    addr_gen_mode: int = 0
    altnames: list[str] = field(default_factory=list)
    xdp: bool = False
    tcx: int = 0
    sysctls: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS))
    offloads: tuple[int, ...] = ON

    @property
    def up(self) -> bool:
        return bool(self.flags & links.IFF_UP)

    @property
    def carrier(self) -> bool:
        return self.up and (self.other is None or self.other.up)

    def body(self) -> bytes:
        """As a dump in its namespace shows it."""
        flags = self.flags | (DYNAMIC if self.carrier else 0)
        parts = [
            links.ifinfo(self.index, flags),
            attr_text(links.IFLA_IFNAME, self.name),
            attr(links.IFLA_ADDRESS, links.mac_bytes(self.mac)),
            attr_u32(links.IFLA_MTU, self.mtu),
            attr_u32(links.IFLA_TXQLEN, self.txqlen),
            attr_u32(links.IFLA_GROUP, self.group),
            attr_text(links.IFLA_IFALIAS, self.alias),
            attr_u32(links.IFLA_NUM_TX_QUEUES, self.queues[0]),
            attr_u32(links.IFLA_NUM_RX_QUEUES, self.queues[1]),
            nest(links.IFLA_LINKINFO, attr_text(links.IFLA_INFO_KIND, self.kind)),
            nest(
                links.IFLA_AF_SPEC,
                nest(
                    socket.AF_INET6,
                    attr(links.IFLA_INET6_ADDR_GEN_MODE, bytes([self.addr_gen_mode])),
                ),
            ),
            *(attr_u32(kind, size) for kind, size in self.sizes.items()),
        ]
        if self.master:
            parts.append(attr_u32(links.IFLA_MASTER, self.master))
        if self.other is not None:
            parts.append(attr_u32(links.IFLA_LINK, self.other.index))
            if self.other.space is not self.space:
                number = struct.pack("=i", self.space.number_of(self.other.space))
                parts.append(attr(links.IFLA_LINK_NETNSID, number))
        if self.altnames:
            named = (attr_text(links.IFLA_ALT_IFNAME, one) for one in self.altnames)
            parts.append(nest(links.IFLA_PROP_LIST, *named))
        if self.xdp:
            parts.append(nest(links.IFLA_XDP, attr(links.IFLA_XDP_ATTACHED, b"\2")))
        return b"".join(parts)

    def picture(self) -> tuple[object, ...]:
        """All that its owner sees of it; who is at the other end is not his business."""
        return (
            *(self.index, self.name, self.kind, self.mac, self.mtu, self.flags),
            *(self.txqlen, self.group, self.alias, self.master, self.queues),
            *(sorted(self.sizes.items()), self.addr_gen_mode, tuple(self.altnames)),
            *(sorted(self.sysctls.items()), self.offloads),
        )
