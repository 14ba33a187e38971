"""Waiting for a descriptor to become readable.

In: anything with a fileno. Out: whether it is. I/O: poll(2).
Not select(2), which refuses descriptors from 1024 on: an agent holds some for each workload.
"""

from __future__ import annotations

import select
from typing import Protocol


class HasFileno(Protocol):
    """A socket, a file."""

    def fileno(self) -> int:
        """Its descriptor."""


def readable(one: int | HasFileno, seconds: float) -> bool:
    """Whether it is (or its other end has gone) within so many seconds; below none: now."""
    poller = select.poll()
    poller.register(one, select.POLLIN)
    return bool(poller.poll(max(0.0, seconds) * 1000))
