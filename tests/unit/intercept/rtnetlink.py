"""What rtnetlink messages do to the namespaces of a kernel that is played, as far as a splice sends them."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Self

from pyctl.platform.netlink import l3, links, neighbours
from pyctl.platform.netlink.raw import (
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Message,
    NetlinkError,
    attr,
    attrs,
    iter_attrs,
    text,
    u32,
)
from tests import packets
from tests.unit.intercept.spaces import DEFAULTS, Device, Space, refused


class Killed(BaseException):
    """The process is gone: from now on it changes nothing."""


class Socket:
    """An rtnetlink socket in a namespace."""

    def __init__(self, kernel: Messages, space: Space) -> None:
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


class Messages:
    """The namespaces of a host, changed by messages. Each change can be refused, and the process be killed
    before it.
    """

    host: Space

    def __init__(self) -> None:
        self.changes: list[str] = []
        """All that was asked for."""
        self.fault: Callable[[int, str], BaseException | None] = lambda *_: None
        self._dead = False
        self._spaces: list[Space] = []
        self._here: list[Space] = []

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


def _index(body: bytes) -> int:
    index: int = struct.unpack_from("=i", body, 4)[0]
    return index


def _one(body: bytes) -> tuple[int, bytes, int]:
    return (*l3.address_raw(body), _index(body))


def _altnames(message: Message) -> list[str]:
    props = iter_attrs(attrs(message.body[16:])[links.IFLA_PROP_LIST])
    return [text(raw) for kind, raw in props if kind == links.IFLA_ALT_IFNAME]
