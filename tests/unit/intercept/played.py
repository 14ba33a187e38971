"""A kernel that is played: namespaces with interfaces, addresses and routes, which understands rtnetlink messages
as far as a splice sends them. Each change can be refused, and the process can be killed before each.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

import pytest

from pyctl.errors import NotFoundError
from pyctl.intercept import attach, live_state, recover, uninspected
from pyctl.intercept.restore import refill
from pyctl.intercept.steps import ops
from pyctl.intercept.survey import peer, select
from pyctl.model.instance import Instance
from pyctl.model.workload import Port, ProcessRef
from pyctl.platform import memberships, netns, offloads, sysctl
from pyctl.platform.bpf import tcx, xdp
from pyctl.platform.netfilter import nftables
from pyctl.platform.netlink import l3, links, neighbours
from pyctl.platform.netlink.client import (
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Message,
    NetlinkError,
    NetlinkSocket,
    attr,
    attr_text,
    attr_u32,
    attrs,
    iter_attrs,
    nest,
    text,
    u32,
)
from pyctl.platform.sockets import protocols
from tests import packets

DEFAULTS = {"ipv4/conf/rp_filter": "0", "ipv4/conf/forwarding": "0"}
OFFLOADS = ("tx-checksum-ipv4", "tx-generic-segmentation", "tx-gso-list", "rx-checksum")
ON = (0b1111, 0, 0)
DYNAMIC = links.IFF_LOWER_UP | links.IFF_RUNNING


def address(text: str, length: int, scope: int = 0, index: int = 2) -> bytes:
    """A message body as a dump gives it."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    raw = socket.inet_pton(family, text)
    body = l3.host_address(family, raw, index, "eth0")
    return struct.pack("=BBBBi", family, length, 0, scope, index) + body[8:]


class Killed(BaseException):
    """The process is gone: from now on it changes nothing."""


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


class Socket:
    """An rtnetlink socket in a namespace."""

    def __init__(self, kernel: Kernel, space: Space) -> None:
        self._kernel = kernel
        self._space = space

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def batch(self, messages: Iterable[Message]) -> list[NetlinkError | None]:
        return [self._refusal(one) for one in messages]

    def _refusal(self, message: Message) -> NetlinkError | None:
        try:
            self._kernel.take(self._space, message)
        except NetlinkError as error:
            return error
        return None

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        self._kernel.take(self._space, Message(kind, body, flags))

    def get(self, kind: int, body: bytes) -> bytes:
        if kind == links.RTM_GETNSID:
            fd = u32(attrs(body[4:])[links.NETNSA_FD])
            number = self._space.number_of(self._kernel.of(fd))
            return bytes(4) + attr(links.NETNSA_NSID, struct.pack("=i", number))
        assert kind == links.RTM_GETLINK
        index = struct.unpack_from("=i", body, 4)[0]
        name = text(attrs(body[16:]).get(links.IFLA_IFNAME))
        for one in self._space.devices:
            if one.index == index or one.name == name or name in one.altnames:
                return one.body()
        raise refused(errno.ENODEV, "No such device")

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        space = self._space
        if kind == links.RTM_GETLINK:
            return [one.body() for one in space.devices]
        known = {
            l3.RTM_GETADDR: space.addresses,
            l3.RTM_GETROUTE: space.routes,
            neighbours.RTM_GETNEIGH: space.neighbours,
        }
        found = [one for one in known.get(kind, ()) if one[0] == body[0]]
        # The kernel puts a new IPv6 address before the others.
        newest_first = kind == l3.RTM_GETADDR and body[0] == socket.AF_INET6
        return found[::-1] if newest_first else found

    def filtered(self, kind: int, body: bytes) -> list[bytes]:
        found = self.dump(kind, body)
        if kind == l3.RTM_GETADDR:
            index = struct.unpack_from("=i", body, 4)[0]
            return [
                one for one in found if struct.unpack_from("=i", one, 4)[0] == index
            ]
        assert kind == l3.RTM_GETROUTE
        wish = attrs(body[12:])
        over, table = u32(wish.get(l3.RTA_OIF)), u32(wish.get(l3.RTA_TABLE))
        return [
            one
            for one in found
            if (over in l3.route_oifs(one) if over else l3.route_table(one) == table)
        ]

    def wait_event(self, done: Callable[[], bool], _seconds: float) -> bool:
        return done()


class Kernel:
    """A host with one pod: eth0 inside, with its peer at the host's side."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir(exist_ok=True)
        self.instance = Instance("segt-played")
        self.changes: list[str] = []
        """All that was asked for."""
        self.fault: Callable[[int, str], BaseException | None] = lambda *_: None
        self._dead = False
        self._cookies = iter(range(1000, 9999))
        self._spaces: list[Space] = []
        self._here: list[Space] = []
        self.host = self.space("host")
        self.pod = self.space("pod")
        self.ended: set[tuple[int, int]] = set()
        """Namespaces that no process lives in."""
        self.hooks: tuple[str, ...] = ()
        """nftables' hooks that do not come back."""
        self.protocols: tuple[str, ...] = ()
        self.packet_sockets = 0
        self.link_groups: list[str] = []
        self.process = self.process_in(self.pod, 77)
        self.eth0 = self.cable(self.pod, "eth0", 2)
        self.addresses(
            self.eth0,
            address(packets.pod_one_ip4, packets.prefix_ip4),
            address(packets.pod_one_ip6, packets.prefix_ip6),
        )
        self.pod.routes.append(l3.default_route(socket.AF_INET, 2, 100, 1500))
        self.eth0.sysctls["ipv4/conf/rp_filter"] = "2"
        self.eth0.altnames.append("uplink")

    def space(self, name: str) -> Space:
        path = self.place / name
        path.touch()
        space = Space(path, next(self._cookies))
        lo = Device(space, "lo", 1, "", flags=links.IFF_UP | links.IFF_LOOPBACK)
        space.devices.append(lo)
        self._spaces.append(space)
        return space

    def process_in(self, space: Space, pid: int) -> ProcessRef:
        return ProcessRef(pid, 5, space.identity, space.cookie)

    def cable(self, space: Space, name: str, index: int, *, up: bool = True) -> Device:
        """A veth whose other end is at the host."""
        flags = links.IFF_MULTICAST | (links.IFF_UP if up else 0)
        device = Device(space, name, index, flags=flags)
        far = Device(self.host, f"{name}-far", self.host.free_index(), flags=flags)
        far.mac, device.other, far.other = packets.gateway_mac, far, device
        space.devices.append(device)
        self.host.devices.append(far)
        return device

    def device(self, space: Space, name: str, kind: str, **more: Any) -> Device:
        """Another interface."""
        found = Device(space, name, space.free_index(), kind, **more)
        space.devices.append(found)
        return found

    def addresses(self, device: Device, *bodies: bytes) -> None:
        device.space.addresses += bodies

    @property
    def enforcer(self) -> Space:
        """The namespace that the ports live in."""
        path = self.instance.netns
        return next(one for one in self._spaces if one.path == path)

    def ports(self) -> list[str]:
        if not self.instance.netns.exists():
            return []
        return [one for one in self.enforcer.names() if one[:3] in ("vex", "vin")]

    def journals(self) -> list[Path]:
        return sorted(self.instance.journal_dir.glob("*"))

    def picture(self, space: Space | None = None) -> dict[str, object]:
        """What the pod has."""
        space = space or self.pod
        return {
            "devices": sorted(one.picture() for one in space.devices),
            "addresses": [
                l3.address_key(one) for one in sorted(space.addresses, key=_family)
            ],
            "routes": [l3.route_key(one) for one in space.routes],
            "neighbours": sorted(space.neighbours),
            "groups": {key: one for key, one in space.joined.items() if one},
        }

    def alive(self) -> None:
        """Another process goes on, and nothing is refused any more."""
        self._dead = False
        self.fault = lambda *_: None
        self._here.clear()

    def of(self, fd: int) -> Space:
        found = os.fstat(fd)
        for one in self._spaces:
            if one.path.exists() and one.identity == (found.st_dev, found.st_ino):
                return one
        raise refused(errno.EINVAL, "not a namespace")

    @property
    def here(self) -> Space:
        """The namespace of the calling thread."""
        return self._here[-1] if self._here else self.host

    def change(self, what: str) -> None:
        """Something is to be changed: may it be?"""
        if self._dead:
            raise Killed
        self.changes.append(what)
        error = self.fault(len(self.changes) - 1, what)
        if isinstance(error, Killed):
            self._dead = True
        if error is not None:
            raise error

    # --- what messages do

    def take(self, space: Space, message: Message) -> None:
        names = {
            links.RTM_NEWLINK: self._new_link,
            links.RTM_SETLINK: self._set_link,
            links.RTM_DELLINK: self._delete_link,
            links.RTM_NEWLINKPROP: self._add_names,
            links.RTM_DELLINKPROP: self._remove_names,
            l3.RTM_NEWADDR: self._new_address,
            l3.RTM_DELADDR: self._delete_address,
            l3.RTM_NEWROUTE: self._new_route,
            l3.RTM_DELROUTE: self._delete_route,
            neighbours.RTM_NEWNEIGH: self._new_neighbour,
        }
        act = names[message.kind]
        self.change(act.__name__)
        act(space, message)

    def _at(self, space: Space, index: int) -> Device:
        for one in space.devices:
            if one.index == index:
                return one
        raise refused(errno.ENODEV, "No such device")

    def _index_of(self, message: Message) -> int:
        index: int = struct.unpack_from("=i", message.body, 4)[0]
        return index

    def _new_link(self, space: Space, message: Message) -> None:
        info = attrs(attrs(message.body[16:])[links.IFLA_LINKINFO])
        data = attrs(info[links.IFLA_INFO_DATA])
        end = self._end(space, message.body)
        far = self._end(space, data[links.VETH_INFO_PEER])
        for one in (end, far):
            if any(one.name == other.name for other in one.space.devices):
                raise refused(errno.EEXIST, "File exists")
            if any(one.index == other.index for other in one.space.devices):
                raise refused(errno.EBUSY, "the index is taken")
        end.other, far.other = far, end
        end.space.devices.append(end)
        far.space.devices.append(far)

    def _end(self, space: Space, body: bytes) -> Device:
        found = attrs(body[16:])
        if links.IFLA_NET_NS_FD in found:
            space = self.of(u32(found[links.IFLA_NET_NS_FD]))
        index, value, mask = struct.unpack_from("=iII", body, 4)
        device = Device(
            space,
            text(found[links.IFLA_IFNAME]),
            index or space.free_index(),
            mtu=u32(found[links.IFLA_MTU]),
            mac=packets.pod_two_mac,
            txqlen=u32(found.get(links.IFLA_TXQLEN), 1000),
            queues=(
                u32(found.get(links.IFLA_NUM_TX_QUEUES), 1),
                u32(found.get(links.IFLA_NUM_RX_QUEUES), 1),
            ),
        )
        device.flags = (device.flags & ~mask) | (value & mask)
        if links.IFLA_ADDRESS in found:
            device.mac = links.mac_text(found[links.IFLA_ADDRESS])
        return device

    def _set_link(self, space: Space, message: Message) -> None:
        device = self._at(space, self._index_of(message))
        found = attrs(message.body[16:])
        name = text(found.get(links.IFLA_IFNAME)) or device.name
        if links.IFLA_NET_NS_FD in found:
            self._move(device, self.of(u32(found[links.IFLA_NET_NS_FD])), name, found)
        elif any(one.name == name for one in space.devices if one is not device):
            raise refused(errno.EEXIST, "File exists")
        device.name = name
        value, mask = struct.unpack_from("=II", message.body, 8)
        was_up = device.up
        device.flags = (device.flags & ~mask) | (value & mask)
        if was_up and not device.up:
            self._lose_routes(device)
        numbers = {
            links.IFLA_MTU: "mtu",
            links.IFLA_TXQLEN: "txqlen",
            links.IFLA_GROUP: "group",
            links.IFLA_MASTER: "master",
        }
        for kind, field_name in numbers.items():
            if kind in found:
                setattr(device, field_name, u32(found[kind]))
        if links.IFLA_ADDRESS in found:
            device.mac = links.mac_text(found[links.IFLA_ADDRESS])
        if links.IFLA_IFALIAS in found:
            device.alias = text(found[links.IFLA_IFALIAS])
        device.sizes |= {
            kind: u32(found[kind]) for kind in links.SIZES if kind in found
        }
        inet6 = attrs(
            attrs(found.get(links.IFLA_AF_SPEC, b"")).get(socket.AF_INET6, b"")
        )
        if links.IFLA_INET6_ADDR_GEN_MODE in inet6:
            device.addr_gen_mode = inet6[links.IFLA_INET6_ADDR_GEN_MODE][0]

    def _move(
        self, device: Device, there: Space, name: str, found: dict[int, bytes]
    ) -> None:
        taken = {one.index for one in there.devices}
        names = {
            one for other in there.devices for one in (other.name, *other.altnames)
        }
        if names & {name, *device.altnames}:
            raise refused(errno.EEXIST, "File exists")
        index = u32(found.get(links.IFLA_NEW_IFINDEX))
        if index in taken:
            raise refused(errno.EBUSY, "the index is taken")
        self._leave(device)
        device.flags &= ~links.IFF_UP
        device.index = index or (
            there.free_index() if device.index in taken else device.index
        )
        device.space, device.master = there, 0
        device.sysctls = dict(DEFAULTS)
        there.devices.append(device)

    def _leave(self, device: Device) -> None:
        """All that its namespace keeps of it goes with it."""
        space = device.space
        self._lose_routes(device)
        space.devices.remove(device)
        space.addresses = [
            one for one in space.addresses if _index(one) != device.index
        ]
        space.neighbours = [
            one for one in space.neighbours if _index(one) != device.index
        ]
        space.joined.pop(device.index, None)

    def _lose_routes(self, device: Device) -> None:
        space = device.space
        space.routes = [
            one for one in space.routes if device.index not in l3.route_oifs(one)
        ]

    def _delete_link(self, space: Space, message: Message) -> None:
        device = self._at(space, self._index_of(message))
        self.lose(device)

    def lose(self, device: Device) -> None:
        """The device goes, with its peer and what is on top of it."""
        self._leave(device)
        for space in self._spaces:
            for one in list(space.devices):
                if one.other is device and one in space.devices:
                    self.lose(one)

    def _add_names(self, space: Space, message: Message) -> None:
        device = self._at(space, self._index_of(message))
        device.altnames += _altnames(message)

    def _remove_names(self, space: Space, message: Message) -> None:
        device = self._at(space, self._index_of(message))
        gone = _altnames(message)
        device.altnames = [one for one in device.altnames if one not in gone]

    def _new_address(self, space: Space, message: Message) -> None:
        self._at(space, _index(message.body))
        same = [one for one in space.addresses if _one(one) == _one(message.body)]
        if same and message.flags & NLM_F_EXCL:
            raise refused(errno.EEXIST, "File exists")
        if same and message.flags & NLM_F_REPLACE:
            space.addresses[space.addresses.index(same[0])] = message.body
        else:
            space.addresses.append(message.body)

    def _delete_address(self, space: Space, message: Message) -> None:
        left = [one for one in space.addresses if _one(one) != _one(message.body)]
        if left == space.addresses:
            raise refused(errno.EADDRNOTAVAIL, "no such address")
        space.addresses = left

    def _new_route(self, space: Space, message: Message) -> None:
        for index in l3.route_oifs(message.body):
            if not self._at(space, index).up:
                raise refused(errno.ENETDOWN, "Network is down")
        keys = [l3.route_key(one) for one in space.routes]
        if l3.route_key(message.body) in keys:
            raise refused(errno.EEXIST, "File exists")
        space.routes.append(message.body)

    def _delete_route(self, space: Space, message: Message) -> None:
        key = l3.route_key(message.body)
        left = [one for one in space.routes if l3.route_key(one) != key]
        if left == space.routes:
            raise refused(errno.ESRCH, "no such route")
        space.routes = left

    def _new_neighbour(self, space: Space, message: Message) -> None:
        self._at(space, _index(message.body))
        if message.body not in space.neighbours:
            space.neighbours.append(message.body)

    # --- what other calls do

    def play(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of the platform."""
        monkeypatch.setattr(Instance, "netns", self.place / "enforcer")
        monkeypatch.setattr(Instance, "run_dir", self.place / "run")
        parts: dict[Any, dict[str, object]] = {
            netns: {
                "entered": self._entered,
                "netlink_in": self._netlink_in,
                "cookie": lambda fd: self.of(fd).cookie,
                "create": self._create,
                "remove": self._remove,
            },
            sysctl: {
                "read": lambda key: self.here.sysctls.get(key, ""),
                "write": self._write,
                "read_interface": lambda name: dict(self.here.device(name).sysctls),
                "read_defaults": lambda: dict(DEFAULTS),
                "write_interface": self._write_interface,
                "smaller_mtu6": lambda *_: {},
                "routes_multicast": lambda _: False,
            },
            offloads: {
                "requested": lambda name: self.here.device(name).offloads,
                "request": self._request,
                "names": lambda _: OFFLOADS,
            },
            memberships: {
                "joined": lambda index: tuple(self.here.joined.get(index, ())),
                "set_groups": lambda _: (),
                "set_again": lambda *_: list(self.link_groups),
                "join_again": self._join_again,
            },
            tcx: {
                "count_programs": lambda fd, index: self._at(self.of(fd), index).tcx,
                "take_off": self._tcx_off,
            },
            xdp: {"take_off": self._xdp_off},
            nftables: {"lost_hooks": lambda *_: self.hooks},
            protocols: {
                "routing_protocols": lambda: self.protocols,
                "packet_sockets": lambda _: self.packet_sockets,
            },
            ops: {"Translated": NothingTranslated, "entered": self._entered},
            refill: {"entered": self._entered},
            peer: {"_candidates": lambda: iter([self.host.path])},
            attach: {"netns_of": self._netns_of, "find": self._find},
            recover: {"find": self._find},
            live_state: {"netns_of": self._netns_of},
            uninspected: {"netns_of": self._netns_of},
            select: {"netns_of": self._netns_of},
        }
        for module, named in parts.items():
            for name, part in named.items():
                monkeypatch.setattr(module, name, part)

    def socket(self, space: Space) -> NetlinkSocket:
        return cast("NetlinkSocket", Socket(self, space))

    @contextlib.contextmanager
    def _entered(self, fd: int) -> Iterator[None]:
        self._here.append(self.of(fd))
        try:
            yield
        finally:
            self._here.pop()

    def _netlink_in(self, fd: int, _groups: tuple[int, ...] = ()) -> NetlinkSocket:
        return self.socket(self.of(fd))

    def _create(self, path: Path, prepare: Callable[[], None]) -> None:
        if path.exists():
            return
        self.change("create")
        space = self.space(path.name)
        self._here.append(space)
        try:
            prepare()
        finally:
            self._here.pop()

    def _remove(self, path: Path) -> None:
        self.change("remove")
        path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _netns_of(self, process: ProcessRef) -> Iterator[int]:
        if process.netns in self.ended:
            raise NotFoundError(f"there is no process {process.pid}")
        (path,) = (one.path for one in self._spaces if one.identity == process.netns)
        with netns.opened(path) as fd:
            yield fd

    def _find(self, wanted: tuple[int, int], cookie: int, _pid: int) -> int | None:
        for one in self._spaces:
            if (one.identity, one.cookie) == (wanted, cookie):
                return None if wanted in self.ended else os.open(one.path, os.O_RDONLY)
        return None

    def _write(self, key: str, value: str) -> None:
        self.change(f"write {key}")
        self.here.sysctls[key] = value

    def _write_interface(self, name: str, values: dict[str, str]) -> None:
        for key, value in values.items():
            self.change(f"write {key}")
            self.here.device(name).sysctls[key] = value

    def _request(self, name: str, wanted: tuple[int, ...]) -> None:
        self.change("request")
        self.here.device(name).offloads = wanted

    def _join_again(
        self, identity: tuple[int, int], index: int, groups: Iterable[bytes]
    ) -> None:
        self.change("join")
        (space,) = (one for one in self._spaces if one.identity == identity)
        space.joined.setdefault(index, []).extend(groups)

    def _tcx_off(self, fd: int, index: int) -> bool:
        self.change("tcx off")
        self._at(self.of(fd), index).tcx = 0
        return True

    def _xdp_off(self, nl: Socket, link: links.Link) -> bool:
        self.change("xdp off")
        self._at(nl._space, link.index).xdp = False
        return True


class NothingTranslated:
    """Connection tracking without a masqueraded connection."""

    left_out = 0

    def __init__(self, _fd: int) -> None: ...

    def put_back(self) -> None: ...


def _family(body: bytes) -> int:
    return body[0]


def _index(body: bytes) -> int:
    index: int = struct.unpack_from("=i", body, 4)[0]
    return index


def _one(body: bytes) -> tuple[int, bytes, int]:
    return (*l3.address_raw(body), _index(body))


def _altnames(message: Message) -> list[str]:
    props = iter_attrs(attrs(message.body[16:])[links.IFLA_PROP_LIST])
    return [text(raw) for kind, raw in props if kind == links.IFLA_ALT_IFNAME]


def at(number: int, error: BaseException) -> Callable[[int, str], BaseException | None]:
    """A fault: the change with this number fails."""
    return lambda this, _what: error if this == number else None


PORT_ID = 7


def splice(
    kernel: Kernel,
    interface: str = "eth0",
    *,
    ready: Callable[[Port], object] = lambda _port: None,
    port_id: int = PORT_ID,
    process: ProcessRef | None = None,
    **more: Any,
) -> tuple[Port, list[str]]:
    """Splice as the controller does; return the port and what was lost."""
    who = process or kernel.process
    with attach.prepare(kernel.instance, who, interface, port_id, **more) as steps:
        port = steps.cut(steps.port)
        ready(port)
        return port, steps.commit()
