"""Waiting for programs takes the way that the kernel has."""

from __future__ import annotations

import os
import struct
from types import SimpleNamespace

import pytest

from pyctl.errors import SegctlError
from pyctl.platform.bpf import commands, grace


class Kernel:
    """membarrier(2) and bpf(2)."""

    def __init__(self, membarrier: int) -> None:
        self.membarrier = membarrier
        self.barriers: list[tuple[int, int]] = []
        self.commands: list[tuple[int, bytes]] = []
        self.closed: list[int] = []

    def syscall(self, number: int, command: int, *_: int) -> int:
        self.barriers.append((number, command))
        return self.membarrier

    def bpf(self, command: int, attr: bytes, _what: str) -> tuple[int, None]:
        self.commands.append((command, attr))
        return 1000 + len(self.commands), None


def played(monkeypatch: pytest.MonkeyPatch, membarrier: int, machine: str) -> Kernel:
    kernel = Kernel(membarrier)
    monkeypatch.setattr(grace.ctypes, "CDLL", lambda *_, **__: kernel)
    monkeypatch.setattr(grace, "syscall", kernel.bpf)
    monkeypatch.setattr(grace.os, "uname", lambda: SimpleNamespace(machine=machine))
    monkeypatch.setattr(commands.os, "close", kernel.closed.append)
    return kernel


def test_a_barrier_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = played(monkeypatch, 0, "aarch64")
    grace.wait_for_programs()
    assert kernel.barriers == [(283, 1)]
    assert kernel.commands == []


@pytest.mark.parametrize(
    ("machine", "barriers"), [("x86_64", [(324, 1)]), ("sparc", [])]
)
def test_where_it_is_refused_an_inner_map_is_replaced(
    monkeypatch: pytest.MonkeyPatch, machine: str, barriers: list[tuple[int, int]]
) -> None:
    kernel = played(monkeypatch, -1, machine)
    grace.wait_for_programs()
    assert kernel.barriers == barriers
    (make, inner), (again, outer), (update, written) = kernel.commands
    assert make == again == commands.BPF_MAP_CREATE
    assert struct.unpack("=6I", inner)[0] == commands.BPF_MAP_TYPE_ARRAY
    # The outer map's layout is that of the inner one, which it names.
    assert struct.unpack("=6I", outer)[-1] == 1001
    assert update == commands.BPF_MAP_UPDATE_ELEM
    assert struct.unpack_from("=I", written)[0] == 1002
    assert sorted(kernel.closed) == [1001, 1002]


def test_a_kernel_that_has_no_way_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = played(monkeypatch, -1, os.uname().machine)

    def refused(_command: int, _attr: bytes, what: str) -> tuple[int, None]:
        raise SegctlError(what)

    monkeypatch.setattr(grace, "syscall", refused)
    with pytest.raises(SegctlError, match="former values"):
        grace.wait_for_programs()
    assert kernel.closed == []
