"""What engine or kernel refused is asked for again, until they take it.

In: whether the last refresh came to its end. Out: another one, at most every few seconds. Without it an
address that a workload has changed, or a policy half put back, would wait for the next change of any kind.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Protocol

_RETRY_S = 3.0
"""A host that refuses is not flooded with attempts, nor its log with their failures."""


class Refreshed(Protocol):
    """The part of Context that is needed here."""

    @property
    def stale(self) -> bool:
        """The last refresh failed, or is under way."""

    def refresh(self) -> int:
        """Make engine and driver follow."""


class CatchUp:
    """Call it in every round; what refresh raises comes through."""

    def __init__(
        self, context: Refreshed, lock: AbstractContextManager[object]
    ) -> None:
        self._context = context
        self._lock = lock
        self._not_before = 0.0

    def __call__(self) -> None:
        """Refresh, where the last one failed and it is time."""
        if not self._context.stale or time.monotonic() < self._not_before:
            return
        with self._lock:
            # Stale without the lock may have been one under way.
            if self._context.stale:
                self._not_before = time.monotonic() + _RETRY_S
                self._context.refresh()
