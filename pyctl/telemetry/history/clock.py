"""The time by which records age: the clock's, unless it has just leapt ahead.

In: the clock, the time since boot, the newest record's time. Out: seconds since the epoch. I/O: clock_gettime(2).
A clock that is days ahead for a few seconds would make everything that is kept too old, and what is deleted does
not come back when the clock does. So a leap counts when it has held for an hour; until then time goes on from
where it was. A clock that is set back makes nothing older.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SLACK_S = 3600.0
"""Seconds ahead of the expected time; more is a leap."""
PATIENCE_S = 3600.0
"""Seconds that a leap must hold: whoever sets the clock has corrected it by then."""


def since_boot() -> float:
    """Return the seconds since boot, including suspend: nobody can set this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class AgeClock:
    """The clock by which records age; `newest` is the newest record's time, no future one, or None."""

    def __init__(
        self,
        newest: float | None,
        clock: Callable[[], float] = time.time,
        uptime: Callable[[], float] = since_boot,
    ) -> None:
        self._clock = clock
        self._uptime = uptime
        self._base = clock() if newest is None else newest
        self._base_at = uptime()
        self._leapt_at: float | None = None

    def now(self) -> float:
        """Return the time by which records age."""
        clock, uptime = self._clock(), self._uptime()
        expected = self._base + uptime - self._base_at
        if clock > expected + SLACK_S:
            if self._leapt_at is None:
                self._leapt_at = uptime
            if uptime - self._leapt_at < PATIENCE_S:
                return expected
        self._leapt_at = None
        self._base, self._base_at = clock, uptime
        return clock
