"""Waiting until every BPF program that was running has ended. I/O: membarrier(2), bpf(2).

Programs run under rcu_read_lock, and MEMBARRIER_CMD_GLOBAL is a synchronize_rcu. A kernel with
nohz_full CPUs refuses it (membarrier(2)); there an entry of a map of maps is replaced, which
the kernel ends with a synchronize_rcu as well (from Linux 4.20 on).
"""

from __future__ import annotations

import ctypes
import os
import struct

from pyctl.platform.bpf.commands import (
    BPF_ANY,
    BPF_MAP_CREATE,
    BPF_MAP_TYPE_ARRAY,
    BPF_MAP_UPDATE_ELEM,
    Descriptor,
    address,
    syscall,
)

_SYS_MEMBARRIER = {
    "x86_64": 324,
    "aarch64": 283,
    "riscv64": 283,
    "s390x": 356,
    "ppc64le": 365,
}
_MEMBARRIER_CMD_GLOBAL = 1
_BPF_MAP_TYPE_ARRAY_OF_MAPS = 12
_WHAT = "waiting until no program judges by the former values"


def wait_for_programs() -> None:
    """Wait until no running program uses what it read from a map before. SegctlError if the kernel has no way
    to wait.
    """
    if not _membarrier():
        _replace_inner_map()


def _membarrier() -> bool:
    """Wait with membarrier(2); return False if the kernel refuses (CONFIG_MEMBARRIER off, nohz_full CPUs)."""
    number = _SYS_MEMBARRIER.get(os.uname().machine)
    if number is None:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(number, _MEMBARRIER_CMD_GLOBAL, 0, 0)) == 0


def _replace_inner_map() -> None:
    with (
        _array(BPF_MAP_TYPE_ARRAY, 0) as inner,
        _array(_BPF_MAP_TYPE_ARRAY_OF_MAPS, inner.fd) as outer,
    ):
        key = ctypes.create_string_buffer(struct.pack("=I", 0), 4)
        value = ctypes.create_string_buffer(struct.pack("=I", inner.fd), 4)
        attr = struct.pack("=IIQQQ", outer.fd, 0, address(key), address(value), BPF_ANY)
        syscall(BPF_MAP_UPDATE_ELEM, attr, _WHAT)


def _array(kind: int, inner_fd: int) -> Descriptor:
    """Create an array with one entry of 4 bytes."""
    attr = struct.pack("=IIIIII", kind, 4, 4, 1, 0, inner_fd)
    return Descriptor(syscall(BPF_MAP_CREATE, attr, _WHAT)[0])
