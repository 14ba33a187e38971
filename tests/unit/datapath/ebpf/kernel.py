"""A kernel made of dictionaries: the pinned maps and the tc hooks that the eBPF driver asks for."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from pyctl import abi
from pyctl.datapath.pins import MAPS, PROGRAMS
from pyctl.errors import NotFoundError, SegctlError
from pyctl.platform.bpf.commands import BPF_MAP_TYPE_ARRAY, Descriptor
from pyctl.platform.bpf.tc import HANDLE, TCA_BPF_NAME
from pyctl.platform.netlink.raw import Message, attr, attr_text
from pyctl.platform.tc.filters import Filter
from pyctl.platform.tc.messages import (
    RTM_NEWTFILTER,
    TC_H_INGRESS_HOOK,
    TCA_KIND,
    TCA_OPTIONS,
    TCMSG,
)

VBR, VTH = abi.constant("SEG_VBR_IFINDEX"), abi.constant("SEG_VTH_IFINDEX")
ARRAYS = {
    name: layout.value_size
    for name, layout in MAPS.items()
    if layout.map_type == BPF_MAP_TYPE_ARRAY
}
"""A place of an array that nobody has written is zero, and none can be deleted."""


class Memory(bytearray):
    """What mmap gives."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """It stays, for the test to look at."""


class Map:
    """An open map; `room` is how many entries it takes, None: any number."""

    slot_bytes = abi.sizeof("seg_control")

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.kernel, self.name = kernel, name
        self.held = kernel.maps[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """A played map has no descriptor."""

    def lookup(self, key: bytes) -> bytes | None:
        found = self.held.get(key)
        empty = ARRAYS.get(self.name)
        return bytes(empty) if found is None and empty else found

    def lookup_percpu(self, key: bytes) -> list[bytes]:
        return [self.held[key]] * 2 if key in self.held else []

    def update(self, key: bytes, value: bytes) -> None:
        self.kernel.step("write", self.name)
        if len(self.held | {key: value}) > self.kernel.room.get(self.name, 1 << 20):
            raise SegctlError("no room", errno=errno.E2BIG)
        self.held[key] = value
        if not any(value) and self.name in ARRAYS:
            del self.held[key]

    def delete(self, key: bytes) -> bool:
        assert self.name not in ARRAYS, "places of an array stay"
        self.kernel.step("delete", self.name)
        return self.held.pop(key, None) is not None

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        yield from list(self.held.items())

    def entry_keys(self) -> list[bytes]:
        return list(self.held)

    def keys_from(self, head: bytes) -> list[bytes]:
        return [key for key in self.held if key.startswith(head)]

    def mmap(self, *, write: bool) -> Memory:
        assert write
        return self.kernel.control


class Kernel:
    """Maps, links and hooks. Each change is a step; the step numbered `refuse_at` is refused."""

    def __init__(self, pins: Path) -> None:
        self.pins = pins
        self.maps: dict[str, dict[bytes, bytes]] = {name: {} for name in MAPS}
        self.room: dict[str, int] = {}
        self.control = Memory(abi.sizeof("seg_control") * 2)
        self.links = {5: "vex", 6: "vin", 7: "vex2", 8: "vin2", VBR: "vbr", VTH: "vth"}
        self.hooks: dict[tuple[int, int], list[Filter]] = {}
        self.clsact: set[int] = set()
        self.steps: list[tuple[str, object]] = []
        self.refuse_at = 0
        self.no_netns = False
        self.programs: set[str] = set()
        """Those that were opened."""

    def load(self) -> None:
        """Pin all, as the loader does."""
        self.pins.mkdir(parents=True, exist_ok=True)
        for name in (*MAPS, *PROGRAMS):
            (self.pins / name).touch()

    def step(self, what: str, of: object) -> None:
        self.steps.append((what, of))
        if len(self.steps) == self.refuse_at:
            raise SegctlError(f"{what} is refused", errno=errno.EPERM)

    def state(self) -> tuple[Any, ...]:
        """All that a call may change."""
        maps = {name: dict(held) for name, held in self.maps.items()}
        hooks = {at: list(found) for at, found in self.hooks.items() if found}
        return maps, hooks, set(self.clsact)

    def names(self, ifindex: int) -> list[str]:
        """The programs on both hooks of a link."""
        found = [
            one for at, there in self.hooks.items() if at[0] == ifindex for one in there
        ]
        return [self._program(one) for one in found if one.kind == "bpf"]

    @staticmethod
    def _program(one: Filter) -> str:
        return one.body.partition(b"seg_")[2].partition(b"\0")[0].decode()

    # -- what the driver calls ------------------------------------------------------------

    def open_map(self, _instance: object, name: str) -> Map:
        if not (self.pins / name).exists():
            raise NotFoundError(f"the map {name} is not pinned")
        return Map(self, name)

    def open_program(self, path: Path) -> Descriptor:
        self.programs.add(path.name)
        if not path.exists():
            raise NotFoundError(f"opening the pin {path}")
        return Descriptor(os.open(os.devnull, os.O_RDONLY))

    @contextlib.contextmanager
    def tc(self, _netns: Path) -> Iterator[Kernel]:
        if self.no_netns:
            raise NotFoundError("the namespace is gone")
        yield self

    def name_of(self, ifindex: int) -> str | None:
        return self.links.get(ifindex)

    def add_clsact(self, ifindex: int) -> bool:
        self.step("clsact", ifindex)
        if ifindex not in self.links:
            raise NotFoundError(f"no link {ifindex}")
        new = ifindex not in self.clsact
        self.clsact.add(ifindex)
        return new

    def remove_clsact_if_empty(self, ifindex: int) -> None:
        if not any(found for at, found in self.hooks.items() if at[0] == ifindex):
            self.clsact.discard(ifindex)

    def filters(
        self, ifindex: int, pref: int = 0, hook: int = TC_H_INGRESS_HOOK
    ) -> list[Filter]:
        found = self.hooks.get((ifindex, hook), [])
        return [one for one in found if pref in (0, one.pref)]

    def set_program(
        self, ifindex: int, priority: int, _fd: int, name: str, side: int
    ) -> None:
        assert name in self.programs, "the program was not opened"
        self.step("hang", (ifindex, name))
        if ifindex not in self.clsact:
            raise SegctlError(f"{ifindex} has no clsact")
        self.remove_program(ifindex, priority, side)
        self.hooks.setdefault((ifindex, side), []).append(
            made("bpf", priority, name, HANDLE)
        )

    def send(self, _what: str, messages: list[Message]) -> None:
        """What RuleSets writes at once: programs hung, or taken down where they are."""
        for message in messages:
            _, ifindex, _, side, info = TCMSG.unpack_from(message.body)
            if message.kind == RTM_NEWTFILTER:
                name = "seg_" + self._program(Filter(info >> 16, "bpf", message.body))
                self.set_program(ifindex, info >> 16, -1, name, side)
            else:
                self.remove_program(ifindex, info >> 16, side)

    try_each = send

    def remove_program(
        self, ifindex: int, priority: int, side: int = TC_H_INGRESS_HOOK
    ) -> None:
        found = self.hooks.get((ifindex, side), [])
        ours = [one for one in found if (one.pref, one.handle) == (priority, HANDLE)]
        if ours:
            self.steps.append(("take down", (ifindex, side)))
        self.hooks[ifindex, side] = [one for one in found if one not in ours]


def made(kind: str, pref: int, name: str = "", handle: int = 1) -> Filter:
    """A filter as the kernel tells it."""
    options = attr(TCA_OPTIONS, attr_text(TCA_BPF_NAME, name))
    body = TCMSG.pack(0, 0, handle, 0, pref << 16) + attr_text(TCA_KIND, kind) + options
    return Filter(pref, kind, body)


def u32(value: int) -> bytes:
    return struct.pack("=I", value)
