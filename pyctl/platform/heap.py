"""The C library's heap, kept small in a process of many threads that mostly waits.

In: nothing. Out: nothing. I/O: mallopt(3), malloc_trim(3); nothing where the C library is not glibc.
"""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
_ARENAS = 2
"""glibc gives each new thread a heap of its own, up to eight for each core. Our threads share the GIL."""


def limit_malloc_arenas() -> None:
    """Limit the number of malloc arenas. Call it before the threads are made."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Give free heap memory back to the kernel."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
