"""Waiting until every BPF program that was running has ended.

A program runs under rcu_read_lock, and MEMBARRIER_CMD_GLOBAL is a synchronize_rcu (membarrier(2)):
after it, no program goes on with what it read from a map before.
"""

from __future__ import annotations

import ctypes
import os

from pyctl.errors import NotCapableError

_SYS_MEMBARRIER = {"x86_64": 324, "aarch64": 283}
_MEMBARRIER_CMD_GLOBAL = 1


def wait_for_readers() -> None:
    """Return after a full RCU grace period; NotCapableError where the kernel has no membarrier."""
    libc = ctypes.CDLL(None, use_errno=True)
    machine = os.uname().machine
    number = _SYS_MEMBARRIER.get(machine)
    if number is None or libc.syscall(number, _MEMBARRIER_CMD_GLOBAL, 0, 0) != 0:
        error = ctypes.get_errno()
        raise NotCapableError(
            f"waiting for a grace period with membarrier(2) on {machine}",
            advice="use a kernel with CONFIG_MEMBARRIER",
            errno=error,
        )
