"""Waiting until every BPF program that was running has ended. I/O: membarrier(2).

Programs run under rcu_read_lock, and MEMBARRIER_CMD_GLOBAL is a synchronize_rcu.
"""

from __future__ import annotations

import ctypes
import os

_SYS_MEMBARRIER = {"x86_64": 324, "aarch64": 283, "riscv64": 283}
_MEMBARRIER_CMD_GLOBAL = 1


def wait_for_programs() -> bool:
    """After it, no program goes on with what it read from a map before. False where the kernel
    has no such call (CONFIG_MEMBARRIER off, nohz_full CPUs): nothing was waited for.
    """
    number = _SYS_MEMBARRIER.get(os.uname().machine)
    if number is None:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(number, _MEMBARRIER_CMD_GLOBAL, 0, 0)) == 0
