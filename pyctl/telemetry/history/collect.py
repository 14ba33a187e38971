"""Takes the engine's events: each once, also across an agent that was killed.

In: each engine's numbered events. Out: events and flow records for the log and the history. I/O: the engines'
sockets. An engine forgets an event when it is acknowledged, which is when it is on disk; the number is stored
in the same transaction. So an agent that dies loses nothing, and its successor records nothing twice.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pyctl.engine import records
from pyctl.engine.supervisor import Supervisor
from pyctl.engine.workers import Workers
from pyctl.state.registry import Registry
from pyctl.telemetry.events import Event
from pyctl.telemetry.history.aggregation import EVENTS, aggregate, fair_share
from pyctl.telemetry.history.convert import live, of_event, wall_clock
from pyctl.telemetry.history.hits import Count
from pyctl.telemetry.history.values import LiveRecord
from pyctl.telemetry.history.writer import FLOOD as FLOWS_FLOOD
from pyctl.telemetry.history.writer import History
from pyctl.telemetry.looked_up import names_of_peers
from pyctl.telemetry.report import engine_event, threat_name

_BATCH = 4000
_LOST_S = 60.0
FLOOD = 100
"""Events of one round that are logged one by one."""
_BATCHES = 9
"""The most batches of one call: more than the engine keeps."""


@dataclass
class _Taken:
    """How far what one engine reports was taken."""

    epoch: int = 0
    number: int = 0
    counted: tuple[int, int] = (0, 0)
    """Epoch and serial number of the last change of hits."""


class Collector:
    """Takes what the engines report, from any thread; `happened` gets each denial, or a sum of them."""

    def __init__(
        self,
        engines: Workers,
        registry: Registry,
        history: History,
        happened: Callable[[Event], None],
    ) -> None:
        self._engines = engines
        self._registry = registry
        self._history = history
        self._happened = happened
        self._names = registry.names
        self._lock = threading.Lock()
        self._taken = {one.worker.number: _Taken() for one in engines.each}
        self._kept: dict[int, tuple[int, int]] = {}
        """By worker: epoch and number up to which the history has the events."""
        self._lost_told = 0
        self._lost_next = 0.0
        self.ended: Counter[tuple[str | None, bool]] = Counter()
        """Flows that ended since the agent started, by application and whether that is a guess."""
        self.threats: Counter[tuple[str | None, str, bool]] = Counter()
        """Threats since the agent started, by workload, name and whether they were dropped."""
        self.sensors: Counter[tuple[str | None, str, str, bool]] = Counter()
        """Hits of sensors since the agent started, by workload, sensor, pattern and whether the flow was ended."""
        self.lost = 0
        """Events that neither engine nor agent had room for."""

    def collect(self) -> None:
        """Take all that the engines have to report; nothing of those that do not answer."""
        with self._lock:
            self._names.refresh(self._registry.all())
            taken: list[bytes] = []
            try:
                for engine in self._engines.each:
                    for _ in range(_BATCHES):
                        if self._take(engine, taken) < _BATCH:
                            break
            finally:
                self._keep(b"".join(taken))
            for engine in self._engines.each:
                self._take_hits(engine)
            self._tell_lost()

    def _tell_lost(self) -> None:
        """Report lost records as an event, at most once a minute, so that readers know of the gap."""
        missed, now = self.lost - self._lost_told, time.monotonic()
        if missed and now >= self._lost_next:
            self._lost_told, self._lost_next = self.lost, now + _LOST_S
            told = f"{missed} flows and events were not recorded: the engine had no room for more"
            self._happened(Event("engine", told))

    def _keep(self, taken: bytes) -> None:
        """Record what was taken together with its position: never the position first."""
        events = records.events(self._fold(taken))
        for event in events:
            if event.kind == "flow_end":
                self.ended[event.app, event.app_guessed] += event.flows
            elif event.kind == "threat":
                self._count_threat(event)
            elif event.hit:
                self._count_hit(event, event.hit)
        self._names.learn(names_of_peers(self._engines, events))
        happenings = [engine_event(event, self._names) for event in events]
        shown = [one for one in happenings if one is not None]
        for happening in aggregate(shown, EVENTS, FLOOD):
            self._happened(happening)
        ended = [of_event(event, self._names) for event in events]
        flows = [one for one in ended if one is not None]
        positions = {
            worker: (taken.epoch, taken.number)
            for worker, taken in self._taken.items()
            if taken.epoch
        }
        if positions != self._kept:
            self._history.record(flows, positions=positions)
            self._kept = positions

    def _count_threat(self, event: records.EngineEvent) -> None:
        name = self._names.of_port(event.port_id)
        dropped = event.reason != "none"
        key = name, threat_name(event.threat), dropped
        self.threats[key] += max(1, sum(event.packets))

    def _count_hit(self, event: records.EngineEvent, hit: records.SensorHit) -> None:
        name = self._names.of_port(event.port_id)
        key = name, hit.sensor, hit.pattern, event.reason != "none"
        self.sensors[key] += max(1, sum(event.packets))

    def _fold(self, taken: bytes) -> bytes:
        """Return the events with a flood summed up already: a flow by itself costs a hundred times as much."""
        if len(taken) <= FLOWS_FLOOD * records.EVENT_BYTES:
            return taken
        ports = records.events_per_port(taken)
        owner = {one: self._names.of_port(one) or one for one in ports}
        counts: Counter[object] = Counter()
        for port_id, count in ports.items():
            counts[owner[port_id]] += count
        share = fair_share(counts.values(), FLOWS_FLOOD)
        return records.folded(
            taken, (one for one in ports if counts[owner[one]] > share)
        )

    def _take_hits(self, engine: Supervisor) -> None:
        worker = engine.worker.number
        epoch, serial = self._taken[worker].counted
        batch = engine.hits(epoch, after=serial)
        if batch is None:
            return
        self._taken[worker].counted = (batch.epoch, batch.serial)
        self._history.record(
            counts=[
                Count(one.key, batch.epoch, one.hits, wall_clock(one.last_ns), worker)
                for one in batch.hits
            ]
        )

    def _take(self, engine: Supervisor, into: list[bytes]) -> int:
        taken = self._taken[engine.worker.number]
        epoch, done = self._history.done.get(engine.worker.number, (0, 0))
        ack = done if epoch == taken.epoch else 0
        batch = engine.events(taken.epoch, ack=ack, after=taken.number, limit=_BATCH)
        if batch is None:
            return 0
        self.lost += batch.lost
        if batch.epoch != taken.epoch:
            taken.epoch = batch.epoch
            # An earlier agent recorded it, and had no time to acknowledge it.
            taken.number = done if epoch == batch.epoch else 0
        known = max(0, taken.number + 1 - batch.first)
        into.append(batch.blob[known * records.EVENT_BYTES :])
        taken.number = max(taken.number, batch.first + len(batch) - 1)
        return len(batch)

    def live(self, limit: int) -> tuple[list[LiveRecord], bool]:
        """Return the live flows of at most `limit` sessions, and whether those were all."""
        sessions = self._engines.sessions(limit)
        with self._lock:
            self._names.refresh(self._registry.all())
            self._names.learn(names_of_peers(self._engines, sessions))
            return live(sessions, self._names), len(sessions) < limit

    def in_use(self, limit: int) -> dict[int, float]:
        """Return the rules of live flows by key, with the last time each was seen in use (epoch seconds)."""
        found: dict[int, float] = {}
        for session in self._engines.sessions(limit):
            last = wall_clock(session.last_seen_ns)
            for key in session.keys:
                found[key] = max(found.get(key, 0.0), last)
        return found
