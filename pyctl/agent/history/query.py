"""Reading history: what was asked for, newest last, both ends of a flow as one.

In: filters. Out: flows and events. I/O: the database, through a connection of its own that only
reads; the engine, for the flows that go on. While nothing is recorded there are no stored flows,
and events are those in memory.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyctl.agent.events import EventLog, Happening
from pyctl.agent.history import hits
from pyctl.agent.history.collect import Collector
from pyctl.agent.history.database import EVENT_COLUMNS, FLOW_COLUMNS
from pyctl.agent.history.hits import Hits
from pyctl.agent.history.values import Flow, FlowRecord, Joined
from pyctl.agent.history.writer import History

FLUSH_S = 1.0
MAX_LIVE = 10000
"""Sessions looked at for one answer."""
MAX_READ = 100000
"""Rows looked at for one answer."""
Value = str | float | int


@dataclass(frozen=True)
class Wanted:
    """What is asked for; None: whatever."""

    limit: int
    workload: str | None = None
    """Its name: at either end of a flow."""
    since: float | None = None
    """Seconds since the epoch."""
    after: int | None = None
    """Only what was stored after this position; of flows, only those that have ended."""


@dataclass(frozen=True)
class FlowsFound:
    """Oldest first; `position` is for the next question's `after`."""

    flows: list[Flow]
    position: int


@dataclass(frozen=True)
class EventsFound:
    """Likewise."""

    events: list[Happening]
    position: int


class Reader:
    """Answers from any thread."""

    def __init__(self, history: History, collector: Collector, log: EventLog) -> None:
        self._history = history
        self._collector = collector
        self._log = log

    def flows(self, wanted: Wanted, verdict: str | None = None) -> FlowsFound:
        """The newest `limit` of them. A verdict is asked of the flow, not of one end."""
        # The sessions first: one that ends now is among the stored ones by then.
        going_on = [] if wanted.after is not None else self._collector.live(MAX_LIVE)
        self._fresh()
        joined = Joined()
        tests: list[tuple[str, Value]] = []
        if wanted.workload is not None:
            name = "? IN (workload, source_name, destination_name)"
            tests.append((name, wanted.workload))
        if wanted.since is not None:
            tests.append(("last >= ?", wanted.since))
        position = wanted.after or 0
        rows = self._rows("flows", FLOW_COLUMNS, tests, wanted.after)
        for row, values in itertools.islice(rows, MAX_READ):
            position = max(position, row)
            joined.add(FlowRecord(*values))
            # As many as asked for, and the other ends of the last of them.
            if verdict is None and len(joined.flows) > wanted.limit + 64:
                break
        joined.add_all((one for one in going_on if _is_wanted(one, wanted)), live=True)
        found = [
            flow for flow in joined.flows if verdict in (None, flow.decisive.verdict)
        ]
        found.sort(key=lambda flow: max(end.last for end in flow.ends))
        return FlowsFound(found[-wanted.limit :], position)

    def events(self, wanted: Wanted, kinds: tuple[str, ...] = ()) -> EventsFound:
        """The newest `limit` of them."""
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
        events: list[Happening] = []
        for row, values in self._rows("events", EVENT_COLUMNS, tests, wanted.after):
            position = max(position, row)
            event = Happening(*values)
            if not kinds or event.kind in kinds:
                events.append(event)
                if len(events) == wanted.limit:
                    break
        return EventsFound(events[::-1], position)

    def hits(self) -> dict[int, Hits]:
        """Of each rule that was ever counted; flows that go on are uses of it."""
        in_use = self._collector.in_use(MAX_LIVE)
        self._fresh()
        found = self.stored_hits()
        for key in found.keys() & in_use.keys():
            last = max(found[key].last or 0.0, in_use[key])
            found[key] = replace(found[key], last=last)
        return found

    def stored_hits(self) -> dict[int, Hits]:
        """As of a second ago or two: nobody is asked but the file. Empty where it cannot be read."""
        with contextlib.suppress(sqlite3.Error), _open(self._history.path) as db:
            return hits.read(db)
        return {}

    def _fresh(self) -> None:
        """What the engine has told by now is in the file."""
        self._collector.collect()
        self._history.flush(FLUSH_S)

    def _rows(
        self,
        table: str,
        columns: tuple[str, ...],
        tests: list[tuple[str, Value]],
        after: int | None,
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The id and the columns, newest first; nothing where the file cannot be read."""
        if after is not None:
            tests = [*tests, ("id > ?", after)]
        where = " AND ".join(test for test, _ in tests) or "1"
        sql = (  # The names and tests are ours, the values are bound.
            f"SELECT id, {', '.join(columns)} FROM {table} WHERE {where} ORDER BY id DESC"  # noqa: S608
        )
        with contextlib.suppress(sqlite3.Error), _open(self._history.path) as db:
            for row in db.execute(sql, [value for _, value in tests]):
                yield int(row[0]), row[1:]


@contextlib.contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1.0)
    try:
        yield db
    finally:
        db.close()


def _is_wanted(record: FlowRecord, wanted: Wanted) -> bool:
    names = (record.workload, record.source_name, record.destination_name)
    recent = wanted.since is None or record.last >= wanted.since
    return recent and (wanted.workload is None or wanted.workload in names)
