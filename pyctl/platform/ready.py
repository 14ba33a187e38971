"""Waiting for a descriptor to become readable.

In: anything with a fileno. Out: whether it is. I/O: poll(2).
Not select(2), which refuses descriptors from 1024 on: an agent holds some for each workload.
"""

from __future__ import annotations

import select
from typing import Protocol


class HasFileno(Protocol):
    """An object with a descriptor: a socket, a file."""

    def fileno(self) -> int:
        """Return the object's descriptor."""


def readable(one: int | HasFileno, seconds: float) -> bool:
    """Return whether it becomes readable (or its other end closes) within so many seconds; below 0: now."""
    poller = select.poll()
    poller.register(one, select.POLLIN)
    return bool(poller.poll(max(0.0, seconds) * 1000))
