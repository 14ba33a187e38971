"""How many lines of the log each workload may have: what is beyond them is counted, and told once a minute.

In: events as they happen. Out: whether an event gets a line of its own, and events that say how many did not.
I/O: the clock. For several threads.
A workload makes as many events as it likes, 400 denied packets in a second among them; lines for all of them
would be gigabytes in a day, on a file system in memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pyctl.model.records import EventKind
from pyctl.telemetry.events import Event

BURST = 10
"""The most lines at once of one kind of event and one workload."""
REFILL_S = 6.0
"""Seconds until one more line is allowed."""
INTERVAL_S = 60.0
"""Seconds between two sums of events without a line."""


@dataclass
class _Account:
    lines: float
    seen: float
    """When `lines` were counted."""
    events: int = 0
    """Events without a line since the last sum; `packets` counts their packets."""
    packets: int = 0
    since: float = 0.0
    """When the first of these events came."""


class LogBudget:
    """The budget of log lines for events; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[tuple[str | None, EventKind], _Account] = {}

    def admits(self, event: Event) -> bool:
        """Return whether the event gets a line; count it where not."""
        now = self._clock()
        with self._lock:
            account = self._account(event, now)
            if account.lines >= 1.0:
                account.lines -= 1.0
                return True
            self._count(account, event, now)
            return False

    def repeats(self, event: Event) -> None:
        """Count an event that gets no line because it is a repeat."""
        now = self._clock()
        with self._lock:
            self._count(self._account(event, now), event, now)

    def sums(self) -> list[Event]:
        """Return one event for each account whose events have gone without a line for long enough."""
        now = self._clock()
        found = []
        with self._lock:
            for (workload, kind), account in list(self._accounts.items()):
                if account.events and now - account.since >= INTERVAL_S:
                    told = f"{account.events} more events of this kind in {now - account.since:.0f} s, not told one by one"
                    packets = account.packets or None
                    found.append(Event(kind, told, workload=workload, packets=packets))
                    account.events = account.packets = 0
                elif not account.events and self._lines(account, now) >= BURST:
                    del self._accounts[workload, kind]
        return found

    def _account(self, event: Event, now: float) -> _Account:
        key = event.workload, event.kind
        account = self._accounts.setdefault(key, _Account(float(BURST), now))
        account.lines, account.seen = self._lines(account, now), now
        return account

    @staticmethod
    def _lines(account: _Account, now: float) -> float:
        return min(float(BURST), account.lines + (now - account.seen) / REFILL_S)

    @staticmethod
    def _count(account: _Account, event: Event, now: float) -> None:
        if not account.events:
            account.since = now
        account.events += 1
        account.packets += event.packets or 0
