"""Allocates port ids and policy generations.

In: what is taken. Out: numbers. I/O: none.
A port id names a pair in MAC addresses, maps and sessions at once, so a fresh id is the one unused
for longest (round robin) and never one of which anything is left. Generations start from the clock
since boot: they never repeat while a pinned map may hold an old one, and need no file.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pyctl.errors import SegctlError

PORT_IDS = range(1, 65536)


class PortIds:
    """Allocator of port ids 1..65535. `last` is the id allocated most recently, 0 for none."""

    def __init__(self, last: int = 0) -> None:
        self.last = last

    def allocate(self, in_use: Callable[[int], bool]) -> int:
        """Return the next id for which `in_use` is false; raise SegctlError when all are taken."""
        for step in range(len(PORT_IDS)):
            candidate = (self.last + step) % len(PORT_IDS) + 1
            if not in_use(candidate):
                self.last = candidate
                return candidate
        raise SegctlError(
            "every one of the 65535 port ids is in use",
            advice="detach workloads that need no enforcement",
        )


class Generations:
    """Strictly increasing 64-bit numbers, also across restarts within one boot."""

    def __init__(self, clock: Callable[[], int] | None = None) -> None:
        self._clock = clock or (lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        self._last = 0

    def next(self) -> int:
        """Return a number that no policy had before."""
        self._last = max(self._last + 1, self._clock())
        return self._last
