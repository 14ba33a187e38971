"""tcx programs: counted on both hooks, taken off whoever holds them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import struct
from types import SimpleNamespace

import pytest

from pyctl.errors import SegctlError
from pyctl.platform.bpf import links, tcx
from pyctl.platform.bpf.tcx import BPF_TCX_EGRESS, BPF_TCX_INGRESS

LINK, ALONE = 70, 71
"""A program that a BPF link holds, and one that stands by itself."""


class Interface:
    """The programs of interface 5, by hook."""

    def __init__(self) -> None:
        self.hooks = {BPF_TCX_INGRESS: [LINK, ALONE], BPF_TCX_EGRESS: [ALONE]}
        self.refusal = 0
        self.stubborn = False
        self.open: list[int] = []

    def syscall(self, command: int, attr: bytes, what: str) -> tuple[int, object]:
        first, second = struct.unpack_from("=II", attr)
        if command == tcx.BPF_PROG_QUERY:
            return self._query(attr, what)
        if command == tcx.BPF_PROG_GET_FD_BY_ID:
            self.open.append(first)
            return first, None
        assert command == tcx.BPF_PROG_DETACH
        (hook,) = struct.unpack_from("=I", attr, 8)
        assert first == 5
        if not self.stubborn:
            self.hooks[hook].remove(second)
        return 0, None

    def _query(self, attr: bytes, what: str) -> tuple[int, object]:
        ifindex, hook, _, _, where, room = struct.unpack_from("=IIIIQQ", attr)
        if self.refusal:
            raise SegctlError(what, errno=self.refusal)
        found = self.hooks[hook] if ifindex == 5 else []
        assert len(found) <= room
        ctypes.memmove(where, struct.pack(f"={len(found)}I", *found), 4 * len(found))
        return 0, SimpleNamespace(raw=bytes(24) + struct.pack("=I", len(found)))

    def detach(self, kind: int, ifindex: int, programs: tuple[int, ...]) -> None:
        assert (kind, ifindex) == (links.BPF_LINK_TYPE_TCX, 5)
        for hook in self.hooks.values():
            if LINK in hook and LINK in programs:
                hook.remove(LINK)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Interface:
    made = Interface()
    monkeypatch.setattr(tcx, "entered", contextlib.nullcontext)
    monkeypatch.setattr(tcx, "syscall", made.syscall)
    monkeypatch.setattr(tcx.bpf_links, "detach", made.detach)
    monkeypatch.setattr(tcx.os, "close", made.open.remove)
    return made


def test_both_hooks_count(there: Interface) -> None:
    assert tcx.count_programs(3, 5) == 3
    assert tcx.count_programs(3, 6) == 0


@pytest.mark.parametrize(
    "number", [errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP, errno.EPERM]
)
def test_a_kernel_without_tcx_has_none(there: Interface, number: int) -> None:
    there.refusal = number
    assert tcx.count_programs(3, 5) == 0


def test_any_other_refusal_is_told(there: Interface) -> None:
    there.refusal = errno.ENOMEM
    with pytest.raises(SegctlError):
        tcx.count_programs(3, 5)


def test_all_are_taken_off_and_no_descriptor_stays(there: Interface) -> None:
    assert tcx.take_off(3, 5)
    assert there.hooks == {BPF_TCX_INGRESS: [], BPF_TCX_EGRESS: []}
    assert there.open == []
    assert tcx.take_off(3, 5)


def test_one_that_stays_is_told(there: Interface) -> None:
    there.stubborn = True
    assert not tcx.take_off(3, 5)
