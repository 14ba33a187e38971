"""Reading history: what was asked for, newest last, both ends of a flow as one.

In: filters. Out: flows and events. I/O: the database, through a connection of its own that only
reads; the engine, for the flows that go on. While recording is off, the flows are those that can be read from
the file, and the events those in memory; otherwise a partial answer is an error.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyctl.errors import SegctlError
from pyctl.model.records import EventKind, Verdict
from pyctl.telemetry.events import Event, EventLog
from pyctl.telemetry.history import hits
from pyctl.telemetry.history.collect import Collector
from pyctl.telemetry.history.database import EVENT_COLUMNS, FLOW_COLUMNS
from pyctl.telemetry.history.hits import Hits
from pyctl.telemetry.history.values import Flow, FlowRecord, Joined
from pyctl.telemetry.history.writer import History

FLUSH_S = 5.0
"""Seconds that a query waits for the engine's reports to be in the file."""
MAX_LIVE = 10000
"""Sessions looked at for one answer."""
MAX_READ = 100000
"""Rows looked at for one answer."""
_ENDS = "? IN (workload, source_name, destination_name)"
Value = str | float | int


@dataclass(frozen=True)
class FlowQuery:
    """A query for flows or events; None: any."""

    limit: int
    workload: str | None = None
    """Its name: at either end of a flow."""
    since: float | None = None
    """Seconds since the epoch."""
    after: int | None = None
    """Only what was stored after this position; of flows, only those that have ended."""
    app: str | None = None
    """Of flows: the application, certain or guessed, by its name in model.apps."""


@dataclass(frozen=True)
class FlowsFound:
    """The flows found, oldest first; `position` is the `after` of the next query."""

    flows: list[Flow]
    position: int
    complete: bool = True
    """False: there are more than were looked at, or written so far."""


@dataclass(frozen=True)
class EventsFound:
    """The events found, oldest first; `position` is the `after` of the next query."""

    events: list[Event]
    position: int


class Reader:
    """Answers queries from any thread."""

    def __init__(self, history: History, collector: Collector, log: EventLog) -> None:
        self._history = history
        self._collector = collector
        self._log = log

    def flows(self, wanted: FlowQuery, verdict: Verdict | None = None) -> FlowsFound:
        """Return the newest `limit` flows. `verdict` and the application are the flow's, not one end's."""
        # Ask for sessions first: one that ends now will be among the stored flows.
        going_on: Sequence[FlowRecord] = ()
        complete = True
        if wanted.after is None:
            going_on, complete = self._collector.live(MAX_LIVE)
        complete &= self._fresh()
        joined = Joined()
        tests: list[tuple[str, Value]] = []
        if wanted.workload is not None:
            tests.append((_ENDS, wanted.workload))
        if wanted.since is not None:
            tests.append(("last >= ?", wanted.since))
        position = wanted.after or 0
        rows = self._rows("flows", FLOW_COLUMNS, tests, wanted.after)
        for number, (row, values) in enumerate(rows):
            if number == MAX_READ:
                complete = False
                break
            position = max(position, row)
            joined.add(FlowRecord(*values))
            # Read as many as asked for, and the other ends of the last of them.
            if verdict is wanted.app is None and len(joined.flows) > wanted.limit + 64:
                break
        joined.add_all((one for one in going_on if _is_wanted(one, wanted)), live=True)
        found = [
            flow
            for flow in joined.flows
            if verdict in (None, flow.decisive.verdict)
            and wanted.app in (None, flow.app[0])
        ]
        found.sort(key=lambda flow: flow.last)
        return FlowsFound(found[-wanted.limit :], position, complete)

    def events(
        self, wanted: FlowQuery, kinds: tuple[EventKind, ...] = ()
    ) -> EventsFound:
        """Return the newest `limit` events."""
        self._fresh()
        if not self._history.state().recording:
            found = self._log.latest(
                wanted.limit, workload=wanted.workload, kinds=kinds
            )
            since = wanted.since or 0.0
            return EventsFound([one for one in found if one.time >= since], 0)
        tests: list[tuple[str, Value]] = []
        if wanted.workload is not None:
            tests.append(("workload = ?", wanted.workload))
        if wanted.since is not None:
            tests.append(("time >= ?", wanted.since))
        position = wanted.after or 0
        events: list[Event] = []
        for row, values in self._rows("events", EVENT_COLUMNS, tests, wanted.after):
            position = max(position, row)
            event = Event(*values)
            if not kinds or event.kind in kinds:
                events.append(event)
                if len(events) == wanted.limit:
                    break
        return EventsFound(events[::-1], position)

    def knows(self, workload: str) -> bool:
        """Return whether anything is recorded of a workload of that name, attached or not."""
        self._fresh()
        if self._log.latest(1, workload=workload):
            return True
        tables = (("flows", _ENDS), ("events", "workload = ?"))
        return any(
            next(self._rows(table, (), [(test, workload)], None), None) is not None
            for table, test in tables
        )

    def hits(self) -> dict[int, Hits]:
        """Return the hits of each rule ever counted; live flows count as uses."""
        in_use = self._collector.in_use(MAX_LIVE)
        self._fresh()
        found: dict[int, Hits] = {}
        with self._readable() as db:
            found = hits.read(db)
        for key in found.keys() & in_use.keys():
            found[key] = found[key].used(in_use[key])
        return found

    def stored_hits(self) -> dict[int, Hits]:
        """Return the hits in the file, a second or two old; {} where it cannot be read."""
        with contextlib.suppress(sqlite3.Error), _open(self._history.path) as db:
            return hits.read(db)
        return {}

    @contextlib.contextmanager
    def _readable(self) -> Iterator[sqlite3.Connection]:
        """Open the file; raise SegctlError where it cannot be read to the end. While recording is off, which
        every answer says, what was read so far counts as all.
        """
        try:
            with _open(self._history.path) as db:
                yield db
        except sqlite3.Error as error:
            if self._history.state().recording:
                raise SegctlError(
                    f"reading {self._history.path}: {error}",
                    state="nothing is told rather than a part",
                    advice="try again; `segctl agent status` says how the recording goes",
                ) from error

    def _fresh(self) -> bool:
        """Return whether what the engine has reported is in the file, or cannot be."""
        self._collector.collect()
        return self._history.flush(FLUSH_S)

    def _rows(
        self,
        table: str,
        columns: tuple[str, ...],
        tests: list[tuple[str, Value]],
        after: int | None,
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield the id and the columns of each row, newest first."""
        if after is not None:
            tests = [*tests, ("id > ?", after)]
        where = " AND ".join(test for test, _ in tests) or "1"
        sql = (  # The names and tests are ours, the values are bound.
            f"SELECT {', '.join(('id', *columns))} FROM {table} WHERE {where} ORDER BY id DESC"  # noqa: S608
        )
        with self._readable() as db:
            for row in db.execute(sql, [value for _, value in tests]):
                yield int(row[0]), row[1:]


@contextlib.contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1.0)
    try:
        yield db
    finally:
        db.close()


def _is_wanted(record: FlowRecord, wanted: FlowQuery) -> bool:
    names = (record.workload, record.source_name, record.destination_name)
    recent = wanted.since is None or record.last >= wanted.since
    return recent and (wanted.workload is None or wanted.workload in names)
