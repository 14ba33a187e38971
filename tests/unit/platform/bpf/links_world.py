"""A played bpf(2): the BPF links of a host, by id."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import NamedTuple

from pyctl.errors import NotFoundError, SegctlError
from pyctl.platform.bpf import links

FD = 500


class BpfLink(NamedTuple):
    """What struct bpf_link_info says of one."""

    kind: int
    program: int
    ifindex: int
    ended: bool = False


class Host:
    """The links of a host; descriptors are FD and the id."""

    def __init__(self, **found: BpfLink) -> None:
        self.links = {int(name[1:]): one for name, one in found.items()}
        self.detached: list[int] = []
        self.open: set[int] = set()

    def syscall(self, command: int, attr: bytes, what: str) -> tuple[int, object]:
        (first,) = struct.unpack_from("=I", attr)
        if command == links.BPF_LINK_GET_NEXT_ID:
            later = [number for number in sorted(self.links) if number > first]
            if not later:
                raise NotFoundError(what)
            return 0, SimpleNamespace(raw=struct.pack("=II", first, later[0]))
        if command == links.BPF_LINK_GET_FD_BY_ID:
            if self.links[first].ended:
                raise SegctlError(what)
            self.open.add(FD + first)
            return FD + first, None
        assert command == links.BPF_LINK_DETACH
        assert first in self.open
        self.detached.append(first - FD)
        return 0, None

    def obj_info(self, fd: int, size: int, _what: str) -> bytes:
        one = self.links[fd - FD]
        told = struct.pack("=IIIII", one.kind, fd - FD, one.program, 0, one.ifindex)
        return told.ljust(size, b"\0")
