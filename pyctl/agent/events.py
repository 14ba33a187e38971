"""What happened lately, bounded: for `segctl events` and the denials in `segctl show`.

In: Happening values from anywhere in the agent. Out: lists. I/O: none; thread-safe.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace

REPEAT_WINDOW_S = 10.0


@dataclass(frozen=True)
class Happening:
    """One event; fields that do not apply are None."""

    kind: str
    """denial, violation, staged, lifecycle, kernel-drop, policy or engine."""
    message: str
    time: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    workload: str | None = None
    port_id: int | None = None
    direction: str | None = None
    protocol: str | None = None
    source: str | None = None
    destination: str | None = None
    reason: str | None = None
    rule_id: int | None = None
    packets: int | None = None
    bytes: int | None = None

    def same_as(self, other: Happening) -> bool:
        """Whether the other differs at most in its time and counts."""
        return self.named == other.named

    @property
    def named(self) -> Happening:
        """Itself without time and counts: equal for repeats."""
        return replace(self, time=0.0, packets=None, bytes=None)

    def repeated(self, again: Happening) -> Happening:
        """The two as one. The kernel tells totals, the engine what came since."""
        if self.kind == "kernel-drop":
            return replace(self, packets=again.packets)
        return replace(
            self,
            packets=(self.packets or 0) + (again.packets or 1),
            bytes=(self.bytes or 0) + (again.bytes or 0),
        )


class EventLog:
    """The last `limit` happenings. A repeat of the newest few within ten seconds only counts."""

    def __init__(self, limit: int = 2000) -> None:
        self._kept: deque[Happening] = deque(maxlen=limit)
        self._lock = threading.Lock()
        self.lost = 0

    def add(self, happening: Happening) -> bool:
        """Record it; False where it was folded into an earlier one as a repeat."""
        with self._lock:
            for back in range(1, min(8, len(self._kept)) + 1):
                earlier = self._kept[-back]
                recent = happening.time - earlier.time < REPEAT_WINDOW_S
                if recent and earlier.packets and earlier.same_as(happening):
                    self._kept[-back] = earlier.repeated(happening)
                    return False
            if len(self._kept) == self._kept.maxlen:
                self.lost += 1
            self._kept.append(happening)
            return True

    def latest(
        self, limit: int, *, workload: str | None = None, kinds: tuple[str, ...] = ()
    ) -> list[Happening]:
        """At most `limit`, oldest first, of one workload and of these kinds where given."""
        with self._lock:
            chosen = [
                happening
                for happening in self._kept
                if workload in (None, happening.workload)
                and (not kinds or happening.kind in kinds)
            ]
        return chosen[-limit:]
