"""What engine or kernel refused is asked for again, until they take it.

In: whether something is left to do, and what does it. Out: that, at most every few seconds, and more rarely the
longer it is refused. Without it an address that a workload has changed, a policy half put back, or a port that
could not be steered would wait for the next change of any kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

_RETRY_S, _RETRY_MAX_S = 3.0, 30.0
"""A host that refuses is not flooded with attempts, nor its log with their failures."""


class CatchUp:
    """Call it in every round; what `again` raises comes through. `behind`: there is something to do, or it is
    under way, by whoever holds the lock.
    """

    def __init__(
        self,
        behind: Callable[[], bool],
        again: Callable[[], object],
        lock: AbstractContextManager[object],
    ) -> None:
        self._behind = behind
        self._again = again
        self._lock = lock
        self._not_before = 0.0
        self._pause = _RETRY_S

    def __call__(self) -> None:
        """Try again, where something is left and it is time."""
        if not self._behind():
            self._pause = _RETRY_S
            return
        if time.monotonic() < self._not_before:
            return
        with self._lock:
            # Behind without the lock may have been one under way.
            if self._behind():
                self._not_before = time.monotonic() + self._pause
                self._pause = min(_RETRY_MAX_S, 2 * self._pause)
                self._again()
