"""The bounded log of recent events, for `segctl events` and the denials in `segctl show`.

In: Event values from anywhere in the agent. Out: lists. I/O: none; thread-safe.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from pyctl.model.records import EventKind
from pyctl.model.text import harmless
from pyctl.telemetry.repeats import Kept, Repeats

_UNCOUNTED: EventKind = "kernel-drop"
_CHOSEN = ("message", "workload", "source", "destination")


@dataclass(frozen=True)
class Event:
    """One event; fields that do not apply are None."""

    kind: EventKind
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

    def __post_init__(self) -> None:
        """Make harmless what a workload may have chosen: its name, its interfaces' in the message."""
        for field_name in _CHOSEN:
            text = getattr(self, field_name)
            if text is not None and not text.isascii():
                object.__setattr__(self, field_name, harmless(text))

    @property
    def named(self) -> tuple[object, ...]:
        """Return all but time and counts: equal for repeats."""
        ends = self.direction, self.protocol, self.source, self.destination
        why = self.kind, self.message, self.reason, self.rule_id
        return (self.workload, self.port_id, *ends, *why)

    def repeated(self, *again: Event) -> Event:
        """Return all these events as one. The kernel does not tell how many packets of a flow it dropped."""
        if self.kind == _UNCOUNTED:
            return self
        return replace(
            self,
            packets=(self.packets or 0) + sum(one.packets or 1 for one in again),
            bytes=sum(one.bytes or 0 for one in (self, *again)),
        )


REPEATED = partial(
    Repeats[Event],
    # Other events without a packet count happened once and never repeat.
    name=lambda one: one.named if one.packets or one.kind == _UNCOUNTED else None,
    time=lambda one: one.time,
    both=Event.repeated,
    window_s=10.0,
)
_Numbered = tuple[int, Kept[Event]]


class EventLog:
    """The last `limit` events. A repeat within ten seconds is only counted; when full, the workload with the
    most events loses its oldest.
    """

    def __init__(self, limit: int = 2000) -> None:
        self._limit = limit
        self._kept: dict[str | None, deque[_Numbered]] = {}
        self._repeats = REPEATED()
        self._numbers = itertools.count()
        self._size = 0
        self._lock = threading.Lock()
        self.lost = 0

    def add(self, event: Event) -> bool:
        """Record the event; return False where it was folded into an earlier one as a repeat."""
        with self._lock:
            kept = self._repeats.take(event)
            if kept.record is not event:
                return False
            of_workload = self._kept.setdefault(event.workload, deque())
            of_workload.append((next(self._numbers), kept))
            self._size += 1
            if self._size > self._limit:
                self._forget_one()
            return True

    def _forget_one(self) -> None:
        whose, most = max(self._kept.items(), key=lambda of: len(of[1]))
        self._repeats.drop(most.popleft()[1])
        if not most:
            del self._kept[whose]
        self._size -= 1
        self.lost += 1

    def latest(
        self,
        limit: int,
        *,
        workload: str | None = None,
        kinds: tuple[EventKind, ...] = (),
    ) -> list[Event]:
        """Return at most `limit` events, oldest first; of one workload and of these kinds where given."""
        with self._lock:
            found = [kept.record for _, kept in self._of(workload)]
        chosen = [one for one in found if not kinds or one.kind in kinds]
        return chosen[-limit:]

    def _of(self, workload: str | None) -> Iterator[_Numbered]:
        if workload is not None:
            return iter(self._kept.get(workload, ()))
        return heapq.merge(*self._kept.values(), key=lambda one: one[0])
