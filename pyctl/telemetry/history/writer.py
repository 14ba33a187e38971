"""The one thread that writes history: in batches of a second, never in anybody's way.

In: flow records and events, from any thread, which only append to a list. Out: rows, and a
state that `segctl agent status` shows. I/O: the database.
What goes wrong (a full disk, a broken file) stops the recording, is said once, and is tried again
every ten seconds; what came meanwhile is counted as not recorded. A broken file is moved aside.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from pyctl.telemetry.events import REPEATED, Event
from pyctl.telemetry.history.aggregation import (
    ATTEMPTS,
    EVENTS,
    FLOWS,
    aggregate,
    repeats_folded,
    trim,
)
from pyctl.telemetry.history.database import Database, Limits
from pyctl.telemetry.history.hits import Count
from pyctl.telemetry.history.values import FlowRecord

_log = structlog.get_logger()
BATCH_S = 1.0
RETRY_S = 10.0
MAX_PENDING = 20000
DENIED_FLOOD = 200
"""Denied flows of one batch that are stored one by one: anyone can make them without an answer."""
FLOOD = 2000
"""Flows that passed, and events, of one batch that are stored one by one."""
_BROKEN = {"SQLITE_CORRUPT", "SQLITE_NOTADB"}


@dataclass
class _Batch:
    flows: list[FlowRecord]
    events: list[Event]
    positions: dict[int, tuple[int, int]] = field(default_factory=dict)
    counts: dict[tuple[int, int, int], Count] = field(default_factory=dict)
    """By key, worker and epoch: a later count includes the earlier one."""

    def __len__(self) -> int:
        return len(self.flows) + len(self.events)

    def squeeze(self) -> int:
        """Make room, at the cost of whoever has most; return how many records are lost."""
        room = MAX_PENDING // 4
        self.flows = aggregate(repeats_folded(self.flows), FLOWS, room)
        self.events = aggregate(self.events, EVENTS, room)
        before = len(self)
        self.flows = trim(self.flows, FLOWS, room)
        self.events = trim(self.events, EVENTS, room)
        return before - len(self)


@dataclass(frozen=True)
class State:
    """The state of the recording."""

    recording: bool
    why_not: str | None
    bytes: int
    lost: int
    """Records that are not on disk since the agent started."""


class History:
    """The recorder of flows and events. Records wait before `start`; a thread writes until `stop`."""

    def __init__(
        self,
        path: Path,
        limits: Limits,
        tell: Callable[[str], None],
        *,
        retry_s: float = RETRY_S,
    ) -> None:
        self.path = path
        self._limits = limits
        self._tell = tell
        self._retry_s = retry_s
        self._pending = _Batch([], [])
        self._changed = threading.Condition()
        self._flushes = 0
        self._flushed = 0
        self._ending = False
        self._db: Database | None = None
        self._not_before = 0.0
        self._why_not: str | None = None
        self._broken = False
        self._bytes = 0
        self._lost = 0
        self._unrecorded = 0
        self.done: Mapping[int, tuple[int, int]] = {}
        """By worker: (epoch, number) of its engine's last event that need not be reported again."""
        self._flows, self._events = ATTEMPTS(), REPEATED()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self) -> None:
        """Open the file, to know where an earlier agent ended, and start to write."""
        self._write(_Batch([], []))
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end. Idempotent."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def record(
        self,
        flows: list[FlowRecord] | None = None,
        events: list[Event] | None = None,
        positions: Mapping[int, tuple[int, int]] | None = None,
        counts: Iterable[Count] = (),
    ) -> None:
        """Queue records, without waiting for the disk. Beyond MAX_PENDING, records of whoever has most are
        summed up, and if that is not enough, only counted.
        """
        with self._changed:
            self._pending.flows += flows or ()
            self._pending.events += events or ()
            if len(self._pending) > MAX_PENDING:
                self._lost += self._pending.squeeze()
            self._pending.positions |= positions or {}
            self._pending.counts.update(
                {(one.key, one.worker, one.epoch): one for one in counts}
            )

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; return whether all records are written, or cannot be."""
        with self._changed:
            self._flushes += 1
            mine = self._flushes
            self._changed.notify_all()
            return self._changed.wait_for(
                lambda: self._flushed >= mine or self._ending, timeout
            )

    def state(self) -> State:
        """Return the state of the recording."""
        return State(self._why_not is None, self._why_not, self._bytes, self._lost)

    def _run(self) -> None:
        ending = False
        while not ending:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._ending or self._flushes > self._flushed, BATCH_S
                )
                ending, asked = self._ending, self._flushes
                batch, self._pending = self._pending, _Batch([], [])
            self._write(batch)
            with self._changed:
                self._flushed = asked
                self._changed.notify_all()
        if self._db is not None:
            self._db.close()

    def _write(self, batch: _Batch) -> None:
        try:
            if self._ready():
                self._put(batch)
            else:
                self._give_up(batch)
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            self._give_up(batch)
        except Exception:  # noqa: BLE001  a fault of ours must not end the thread either
            _log.exception("recording failed")
            self._give_up(batch)
        if batch.positions:
            self.done = {**self.done, **batch.positions}

    def _ready(self) -> bool:
        if self._db is not None:
            return True
        if time.monotonic() < self._not_before:
            return False
        if self._broken:
            self._move_aside()
        self._db = Database(self.path, self._limits)
        stored = self._db.positions()
        self.done = {
            worker: max(self.done.get(worker, (0, 0)), stored.get(worker, (0, 0)))
            for worker in self.done.keys() | stored.keys()
        }
        return True

    def _put(self, batch: _Batch) -> None:
        assert self._db is not None  # noqa: S101  _ready has opened it
        told = repeats_folded(batch.flows)
        denied = [flow for flow in told if flow.verdict == "deny"]
        passed = [flow for flow in told if flow.verdict != "deny"]
        told = aggregate(passed, FLOWS, FLOOD)
        told += aggregate(denied, FLOWS, DENIED_FLOOD)
        flows = self._flows.take_all(told)
        events = self._events.take_all(aggregate(batch.events, EVENTS, FLOOD))
        if batch.positions or flows or events or batch.counts:
            counts = batch.counts.values()
            unfit = self._db.write(flows, events, batch.positions, counts)
            with self._changed:
                self._lost += unfit
            self._flows.forget(time.time())
            self._events.forget(time.time())
            self._db.prune()
        self._bytes = self._db.used_bytes()
        if self._why_not is not None:
            missed, self._unrecorded = self._unrecorded, 0
            self._why_not = None
            self._tell(f"flows and events are recorded again; not recorded: {missed}")

    def _failed(self, error: Exception) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
        self._db = None
        self._not_before = time.monotonic() + self._retry_s
        name = getattr(error, "sqlite_errorname", None) or ""
        self._broken = any(name.startswith(broken) for broken in _BROKEN)
        before, self._why_not = self._why_not, f"{self.path}: {error}"
        if before is None:
            self._tell(f"flows and events are not recorded: {self._why_not}")

    def _give_up(self, batch: _Batch) -> None:
        # Records that are not stored take no repeats.
        self._flows, self._events = ATTEMPTS(), REPEATED()
        self._unrecorded += len(batch)
        with self._changed:
            self._lost += len(batch)
            # Keep the counts: they are sums, and few.
            self._pending.counts = batch.counts | self._pending.counts

    def _move_aside(self) -> None:
        """Keep the broken file, one at most, for inspection."""
        self.path.replace(self.path.with_name(self.path.name + ".broken"))
        for journal in ("-wal", "-shm"):
            self.path.with_name(self.path.name + journal).unlink(missing_ok=True)
        self._broken = False
