"""A kernel that is played: namespaces with interfaces, addresses and routes, which understands rtnetlink messages
as far as a splice sends them. Each change can be refused, and the process can be killed before each.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from pyctl.errors import NotFoundError
from pyctl.intercept import attach, live_state, recover, uninspected
from pyctl.intercept.restore import put_back
from pyctl.intercept.steps import ops
from pyctl.intercept.survey import peer, select
from pyctl.model.instance import Instance
from pyctl.model.workload import Port, ProcessRef
from pyctl.platform import memberships, netns, offloads, sysctl
from pyctl.platform.bpf import tcx, xdp
from pyctl.platform.iproute import client
from pyctl.platform.netfilter import nftables
from pyctl.platform.netlink import l3, links
from pyctl.platform.netlink.raw import RawNetlink
from pyctl.platform.sockets import protocols
from tests import packets
from tests.unit.intercept.iproute import PlayedSocket
from tests.unit.intercept.rtnetlink import Messages, Socket
from tests.unit.intercept.spaces import DEFAULTS, Device, Space, address

OFFLOADS = ("tx-checksum-ipv4", "tx-generic-segmentation", "tx-gso-list", "rx-checksum")


class Kernel(Messages):
    """A host with one pod: eth0 inside, with its peer at the host's side."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.place = place
        place.mkdir(exist_ok=True)
        self.instance = Instance("segt-played")
        self._cookies = iter(range(1000, 9999))
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
        return self._space_at(self.place / name)

    def _space_at(self, path: Path) -> Space:
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

    def play(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of the platform."""
        monkeypatch.setattr(Instance, "netns", self.place / "enforcer")
        monkeypatch.setattr(Instance, "run_dir", self.place / "run")
        parts: dict[Any, dict[str, object]] = {
            netns: {
                "entered": self._entered,
                "raw_in": self._netlink_in,
                "cookie": lambda fd: self.of(fd).cookie,
                "create": self._create,
                "remove": self._remove,
            },
            client: {
                "entered": self._entered,
                "_Socket": functools.partial(PlayedSocket, self),
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
            put_back: {"entered": self._entered},
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

    def socket(self, space: Space) -> RawNetlink:
        return cast("RawNetlink", Socket(self, space))

    @contextlib.contextmanager
    def _entered(self, fd: int) -> Iterator[None]:
        self._here.append(self.of(fd))
        try:
            yield
        finally:
            self._here.pop()

    def _netlink_in(self, fd: int, _groups: tuple[int, ...] = ()) -> RawNetlink:
        return self.socket(self.of(fd))

    def _create(self, path: Path, prepare: Callable[[], None]) -> None:
        if path.exists():
            return
        self.change("create")
        space = self._space_at(path)
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
        device = self.here.device(name)
        if wanted != device.offloads:
            self.change("request")
            device.offloads = wanted

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
