"""The SQLite file: its schema, how it comes to be, how it stays small.

In: a path and limits. Out: rows. I/O: the file. For one thread at a time.
The thread that opens it may be another than the one that uses it.
A file of an older schema is migrated when it is opened. What is too old or too much is deleted, first the
oldest rows of the workload with most; SQLite reuses the room, so that the file stays within its limit plus
one batch.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

from pyctl.telemetry.events import Event
from pyctl.telemetry.history import hits
from pyctl.telemetry.history.aggregation import fair_share
from pyctl.telemetry.history.clock import SLACK_S, AgeClock
from pyctl.telemetry.history.values import FlowRecord
from pyctl.telemetry.repeats import Kept

FLOW_COLUMNS = tuple(field.name for field in fields(FlowRecord))
EVENT_COLUMNS = tuple(field.name for field in fields(Event))
MIGRATIONS = (
    """
    CREATE TABLE flows (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        started REAL NOT NULL, last REAL NOT NULL,
        workload TEXT, port_id INTEGER NOT NULL, direction TEXT, protocol TEXT NOT NULL,
        source TEXT NOT NULL, sport INTEGER, destination TEXT NOT NULL, dport INTEGER,
        source_name TEXT, destination_name TEXT,
        packets INTEGER NOT NULL, bytes INTEGER NOT NULL,
        back_packets INTEGER NOT NULL, back_bytes INTEGER NOT NULL,
        kernel_packets INTEGER NOT NULL, kernel_bytes INTEGER NOT NULL,
        verdict TEXT NOT NULL, rule_id INTEGER, reason TEXT, flows INTEGER NOT NULL
    );
    CREATE INDEX flows_last ON flows (last);
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL, message TEXT NOT NULL, time REAL NOT NULL,
        workload TEXT, port_id INTEGER, direction TEXT, protocol TEXT,
        source TEXT, destination TEXT, reason TEXT, rule_id INTEGER,
        packets INTEGER, bytes INTEGER
    );
    CREATE INDEX events_time ON events (time);
    CREATE TABLE position (epoch INTEGER NOT NULL, number INTEGER NOT NULL);
    """,
    # Whether the flows already stored were answered is unknown, so nothing is learned from them.
    "ALTER TABLE flows ADD COLUMN answer TEXT NOT NULL DEFAULT 'none';",
    hits.TABLE,
    "ALTER TABLE position ADD COLUMN worker INTEGER NOT NULL DEFAULT 0;"
    + hits.BY_WORKER,
    # The applications of flows already stored are not known.
    """
    ALTER TABLE flows ADD COLUMN app TEXT;
    ALTER TABLE flows ADD COLUMN app_guessed INTEGER NOT NULL DEFAULT 0;
    """,
    # So are the names under which their destinations were looked up.
    "ALTER TABLE flows ADD COLUMN looked_up TEXT NOT NULL DEFAULT '';",
    # And the names and requests that they showed.
    "ALTER TABLE flows ADD COLUMN shown TEXT NOT NULL DEFAULT '';",
)
"""Number n leads from schema version n to n + 1; PRAGMA user_version holds it."""
_flow_values = attrgetter(*FLOW_COLUMNS)
_event_values = attrgetter(*EVENT_COLUMNS)
_UNFIT = (
    ValueError,  # Text that is no UTF-8.
    OverflowError,  # More than 63 bits.
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""The errors of one record's values, not of the disk or the file."""
_TIMES = {"flows": "last", "events": "time"}
"""Table → the column that says how old a row is."""
_PRUNE_AT_ONCE = 20
_AGED_AT_ONCE = 20000


class NewerSchemaError(sqlite3.DatabaseError):
    """The file was written by a later version."""


@dataclass(frozen=True)
class Limits:
    """How much is kept, and for how long."""

    max_bytes: int = 256 << 20
    """The most bytes of the file; its journal takes a few MiB more."""
    max_age_s: float = 7 * 86400.0


class Database:
    """The SQLite file of flows and events. Methods raise sqlite3.Error and OSError; close it after either."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self._limits = limits
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
        self._db = sqlite3.connect(
            path, timeout=5.0, isolation_level=None, check_same_thread=False
        )
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA journal_size_limit = 4194304")
            self._migrate()
            self._clock = AgeClock(self._newest())
        except BaseException:
            self._db.close()
            raise

    def _migrate(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise NewerSchemaError(
                f"its schema has version {version}, this segctl knows {len(MIGRATIONS)}"
            )
        for number in range(version, len(MIGRATIONS)):
            self._db.executescript(
                f"BEGIN; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
            )

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._db.close()

    def positions(self) -> dict[int, tuple[int, int]]:
        """Return, by worker, (epoch of its engine, number of its last stored event)."""
        rows = self._db.execute("SELECT worker, epoch, number FROM position")
        return {worker: (epoch, number) for worker, epoch, number in rows}

    def write(
        self,
        flows: list[Kept[FlowRecord]],
        events: list[Kept[Event]],
        positions: Mapping[int, tuple[int, int]],
        counts: Iterable[hits.Count] = (),
    ) -> int:
        """Write all records or none: one with a row id replaces that row, each other gets a new row. Return
        how many got none because SQLite cannot hold them; the others are still written.
        """
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for flow in flows:
                values = _flow_values(flow.record)
                flow.row = self._put("flows", FLOW_COLUMNS, flow.row, values)
            for event in events:
                values = _event_values(event.record)
                event.row = self._put("events", EVENT_COLUMNS, event.row, values)
            hits.add(self._db, counts, time.time())
            for worker, position in positions.items():
                self._db.execute("DELETE FROM position WHERE worker = ?", (worker,))
                self._db.execute(
                    "INSERT INTO position (worker, epoch, number) VALUES (?, ?, ?)",
                    (worker, *position),
                )
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        rows = [*(one.row for one in flows), *(one.row for one in events)]
        return rows.count(None)

    def _put(
        self,
        table: str,
        columns: tuple[str, ...],
        row: int | None,
        values: tuple[object, ...],
    ) -> int | None:
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        # No outside text is in these statements: the names are ours, the values are bound.
        sql = f"INSERT OR REPLACE INTO {table} (id, {names}) VALUES (?, {marks})"  # noqa: S608
        try:
            return self._db.execute(sql, (row, *values)).lastrowid
        except _UNFIT:
            return None

    def prune(self) -> None:
        """Delete rows beyond the limits; only a part of them if there are many, so call it again."""
        oldest = self._clock.now() - self._limits.max_age_s
        for table, column in _TIMES.items():
            self._db.execute(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} "  # noqa: S608
                f"WHERE {column} < ? ORDER BY {column} LIMIT ?)",
                (oldest, _AGED_AT_ONCE),
            )
        hits.prune(self._db)
        for _ in range(_PRUNE_AT_ONCE):
            if self.used_bytes() <= self._limits.max_bytes:
                return
            self._delete_a_tenth()

    def _delete_a_tenth(self) -> None:
        """Delete the oldest rows of the workloads that have most: no flood evicts another's history."""
        counts = {
            (table, workload): count
            for table in _TIMES
            for workload, count in self._db.execute(
                f"SELECT workload, count(*) FROM {table} GROUP BY workload"  # noqa: S608
            )
        }
        rows = sum(counts.values())
        share = fair_share(counts.values(), rows - max(1, rows // 10))
        for (table, workload), count in counts.items():
            if count > share:
                self._db.execute(
                    f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} "  # noqa: S608
                    "WHERE workload IS ? ORDER BY id LIMIT ?)",
                    (workload, count - share),
                )

    def _newest(self) -> float | None:
        """Return the time of the newest row, without those that a wrong clock put into the future."""
        found = [
            self._db.execute(
                f"SELECT max({column}) FROM {table} WHERE {column} <= ?",  # noqa: S608
                (time.time() + SLACK_S,),
            ).fetchone()[0]
            for table, column in _TIMES.items()
        ]
        return max((one for one in found if one is not None), default=None)

    def used_bytes(self) -> int:
        """Return the bytes that the file uses, without its free pages."""
        pages, free, size = (
            int(self._db.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size
