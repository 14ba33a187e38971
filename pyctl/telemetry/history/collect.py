"""Takes the engine's events: each once, also across an agent that was killed.

In: the engine's numbered events. Out: events and flow records for the log and the history. I/O: the engine's
socket. The engine forgets an event when it is acknowledged, which is when it is on disk; the number is stored
in the same transaction. So an agent that dies loses nothing, and its successor records nothing twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pyctl.engine.supervisor import Supervisor
from pyctl.state.registry import Registry
from pyctl.telemetry.events import Event
from pyctl.telemetry.history.aggregation import EVENTS, aggregate
from pyctl.telemetry.history.convert import live, of_event, wall_clock
from pyctl.telemetry.history.hits import Count
from pyctl.telemetry.history.values import FlowRecord
from pyctl.telemetry.history.writer import History
from pyctl.telemetry.report import engine_event

_BATCH = 1000
_LOST_S = 60.0
FLOOD = 100
"""Events of one round that are logged one by one."""
_BATCHES = 12
"""The most batches of one call: more than the engine keeps."""


class Collector:
    """Takes what the engine reports, from any thread; `happened` gets each denial, or a sum of them."""

    def __init__(
        self,
        supervisor: Supervisor,
        registry: Registry,
        history: History,
        happened: Callable[[Event], None],
    ) -> None:
        self._supervisor = supervisor
        self._registry = registry
        self._history = history
        self._happened = happened
        self._names = registry.names
        self._lock = threading.Lock()
        self._epoch = 0
        self._number = 0
        self._kept = (0, 0)
        """Epoch and number up to which the history has the events."""
        self._counted = (0, 0)
        """Epoch and serial number of the last change of hits that was taken."""
        self._lost_told = 0
        self._lost_next = 0.0
        self.lost = 0
        """Events that neither engine nor agent had room for."""

    def collect(self) -> None:
        """Take all that the engine has to report; nothing while no engine answers."""
        with self._lock:
            self._names.refresh(self._registry.all())
            flows: list[FlowRecord] = []
            happenings: list[Event] = []
            try:
                for _ in range(_BATCHES):
                    if self._take(flows, happenings) < _BATCH:
                        break
            finally:
                self._keep(flows, happenings)
            self._take_hits()
            self._tell_lost()

    def _tell_lost(self) -> None:
        """Report lost records as an event, at most once a minute, so that readers know of the gap."""
        missed, now = self.lost - self._lost_told, time.monotonic()
        if missed and now >= self._lost_next:
            self._lost_told, self._lost_next = self.lost, now + _LOST_S
            told = f"{missed} flows and events were not recorded: the engine had no room for more"
            self._happened(Event("engine", told))

    def _keep(self, flows: list[FlowRecord], happenings: list[Event]) -> None:
        """Record what was taken together with its position: never the position first."""
        for shown in aggregate(happenings, EVENTS, FLOOD):
            self._happened(shown)
        position = (self._epoch, self._number)
        if position != self._kept:
            self._history.record(flows, position=position)
            self._kept = position

    def _take_hits(self) -> None:
        epoch, serial = self._counted
        batch = self._supervisor.hits(epoch, after=serial)
        if batch is None:
            return
        self._counted = (batch.epoch, batch.serial)
        self._history.record(
            counts=[
                Count(one.key, batch.epoch, one.hits, wall_clock(one.last_ns))
                for one in batch.hits
            ]
        )

    def _take(self, flows: list[FlowRecord], happenings: list[Event]) -> int:
        epoch, done = self._history.done
        ack = done if epoch == self._epoch else 0
        batch = self._supervisor.events(
            self._epoch, ack=ack, after=self._number, limit=_BATCH
        )
        if batch is None:
            return 0
        self.lost += batch.lost
        if batch.epoch != self._epoch:
            self._epoch = batch.epoch
            # An earlier agent recorded it, and had no time to acknowledge it.
            self._number = done if epoch == batch.epoch else 0
        for number, event in enumerate(batch.events, batch.first):
            if number <= self._number:
                continue
            self._number = number
            shown = engine_event(event, self._names)
            if shown is not None:
                happenings.append(shown)
            record = of_event(event, self._names)
            if record is not None:
                flows.append(record)
        return len(batch.events)

    def live(self, limit: int) -> tuple[list[FlowRecord], bool]:
        """Return the live flows of at most `limit` sessions, and whether those were all."""
        sessions = self._supervisor.sessions(limit)
        with self._lock:
            self._names.refresh(self._registry.all())
            return live(sessions, self._names), len(sessions) < limit

    def in_use(self, limit: int) -> dict[int, float]:
        """Return the rules of live flows by key, with the last time each was seen in use (epoch seconds)."""
        found: dict[int, float] = {}
        for session in self._supervisor.sessions(limit):
            last = wall_clock(session.last_seen_ns)
            for key in session.keys:
                found[key] = max(found.get(key, 0.0), last)
        return found
