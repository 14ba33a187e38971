"""The file takes a batch or nothing of it, stays in its bounds, and goes on from an older schema."""

from __future__ import annotations

import sqlite3
import time

import pytest

from pyctl.telemetry.events import Event
from pyctl.telemetry.history.database import (
    FLOW_COLUMNS,
    MIGRATIONS,
    Database,
    Limits,
    NewerSchemaError,
)
from pyctl.telemetry.history.hits import Count
from pyctl.telemetry.history.values import FlowRecord
from pyctl.telemetry.repeats import Kept
from tests.unit.telemetry.history.makers import flow


def denial() -> Kept:
    """An event of now: a slow run must not make it old."""
    return Kept(Event("denial", "no", workload="web", packets=1))


@pytest.fixture
def opened(tmp_path):
    """Databases of one file, closed at the end."""
    made = []

    def open_(**limits) -> Database:
        made.append(Database(tmp_path / "h.db", Limits(**limits)))
        return made[-1]

    yield open_
    for one in made:
        one.close()


def now(**changes) -> Kept:
    return Kept(flow(started=time.time(), last=time.time(), **changes))


def rows(database: Database, what="count(*)", table="flows"):
    with sqlite3.connect(database.path) as db:
        return db.execute(f"SELECT {what} FROM {table} ORDER BY 1").fetchall()


def test_a_batch_is_written_with_its_position(opened):
    database = opened()
    assert database.positions() == {}
    assert database.write([now()], [denial()], {0: (5, 9)}, [Count(7, 5, 2, 1.0)]) == 0
    database.write([], [], {})
    assert database.positions() == {0: (5, 9)}
    database.write([], [], {0: (6, 1), 1: (5, 2)})
    database.close()
    again = opened()
    assert again.positions() == {0: (6, 1), 1: (5, 2)}
    assert rows(again, "workload") == [("web",)]
    assert rows(again, "message", "events") == [("no",)]
    assert rows(again, "hits", "hits") == [(2,)]


def test_a_repeat_replaces_its_row(opened):
    database, one = opened(), now()
    database.write([one], [], {})
    one.record = flow(last=time.time(), packets=70)
    database.write([one, now(sport=1)], [], {})
    assert rows(database, "packets") == [(3,), (70,)]


def test_of_a_batch_that_fails_nothing_is_written(opened):
    database = opened()
    with pytest.raises(sqlite3.Error):
        database.write([now()], [denial()], {0: (5,)})
    assert rows(database) == rows(database, table="events") == [(0,)]
    assert database.write([now()], [], {0: (5, 1)}) == 0
    assert rows(database) == [(1,)]


def test_a_record_that_sqlite_cannot_hold_is_counted_and_leaves_the_others(opened):
    database = opened()
    batch = [now(sport=1), now(packets=1 << 64), now(workload="\udcff"), now(sport=2)]
    assert database.write(batch, [], {0: (5, 9)}) == 2
    assert rows(database, "sport") == [(1,), (2,)]
    assert database.positions() == {0: (5, 9)}


def test_what_is_old_goes_and_what_is_new_stays(opened):
    database = opened(max_age_s=60.0)
    database.write([Kept(flow()), now()], [denial()], {})
    database.prune()
    assert rows(database) == rows(database, table="events") == [(1,)]


def test_beyond_its_size_the_oldest_of_whoever_has_most_go(opened):
    database = opened(max_bytes=200_000)
    database.write([now(workload="db", sport=one) for one in range(20)], [], {})
    database.write([now(sport=one) for one in range(3000)], [], {})
    assert database.used_bytes() > 200_000
    database.prune()
    assert database.used_bytes() <= 200_000
    assert rows(database, "sum(workload = 'db'), max(sport), min(dport)") == [
        (20, 2999, 80)
    ]
    assert rows(database, "min(sport) > 0", "flows WHERE workload = 'web'") == [(1,)]


def test_nobody_else_reads_it(opened, tmp_path):
    (tmp_path / "h.db").touch(0o644)
    assert opened().path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_file_of_a_former_schema_is_migrated_with_what_it_holds(
    opened, tmp_path, version
):
    with sqlite3.connect(tmp_path / "h.db") as db:
        for migration in MIGRATIONS[:version]:
            db.executescript(migration)
        db.execute(f"PRAGMA user_version = {version}")
        db.execute("INSERT INTO position (epoch, number) VALUES (5, 9)")
        db.execute(
            "INSERT INTO events (kind, message, time) VALUES ('denial', 'no', 1.0)"
        )
        db.execute(
            "INSERT INTO flows (started, last, port_id, protocol, source, destination,"
            " packets, bytes, back_packets, back_bytes, kernel_packets, kernel_bytes,"
            " verdict, flows) VALUES (1, 2, 7, 'tcp', 'a', 'b', 1, 1, 0, 0, 0, 0, 'allow', 1)"
        )
    database = opened()
    assert database.positions() == {0: (5, 9)}
    assert rows(database, "source, answer, app, app_guessed") == [
        ("a", "none", None, 0)
    ]
    assert rows(database, "message", "events") == [("no",)]
    assert database.write([now()], [], {0: (5, 10)}, [Count(7, 5, 1, 1.0)]) == 0
    assert rows(database, "hits", "hits") == [(1,)]
    database.close()
    assert opened().positions() == {0: (5, 10)}


def test_a_file_of_a_later_version_is_refused_and_left_as_it_is(opened, tmp_path):
    with sqlite3.connect(tmp_path / "h.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(NewerSchemaError, match="version 99"):
        opened()
    with sqlite3.connect(tmp_path / "h.db") as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_a_file_that_is_no_database_is_refused(opened, tmp_path):
    (tmp_path / "h.db").write_bytes(b"no database, but long enough to look at" * 200)
    with pytest.raises(sqlite3.DatabaseError) as refused:
        opened()
    assert refused.value.sqlite_errorname == "SQLITE_NOTADB"


FILE_WITHOUT_APPLICATIONS = """
    CREATE TABLE flows (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        started REAL NOT NULL, last REAL NOT NULL,
        workload TEXT, port_id INTEGER NOT NULL, direction TEXT, protocol TEXT NOT NULL,
        source TEXT NOT NULL, sport INTEGER, destination TEXT NOT NULL, dport INTEGER,
        source_name TEXT, destination_name TEXT,
        packets INTEGER NOT NULL, bytes INTEGER NOT NULL,
        back_packets INTEGER NOT NULL, back_bytes INTEGER NOT NULL,
        kernel_packets INTEGER NOT NULL, kernel_bytes INTEGER NOT NULL,
        verdict TEXT NOT NULL, rule_id INTEGER, reason TEXT, flows INTEGER NOT NULL,
        answer TEXT NOT NULL DEFAULT 'none'
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
    CREATE TABLE position (
        epoch INTEGER NOT NULL, number INTEGER NOT NULL, worker INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE hits (
        key INTEGER NOT NULL, worker INTEGER NOT NULL, since REAL NOT NULL, last REAL NOT NULL,
        hits INTEGER NOT NULL, epoch INTEGER NOT NULL, seen INTEGER NOT NULL, PRIMARY KEY (key, worker)
    );
    PRAGMA user_version = 4;
"""
"""Written out: what a file on somebody's disk has, whatever the migrations say by now."""


def test_a_file_without_applications_gets_them_and_keeps_its_flows(opened, tmp_path):
    old = now().record
    columns = FLOW_COLUMNS[: FLOW_COLUMNS.index("app")]
    with sqlite3.connect(tmp_path / "h.db") as db:
        db.executescript(FILE_WITHOUT_APPLICATIONS)
        db.execute(
            f"INSERT INTO flows ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            [getattr(old, column) for column in columns],
        )
    guess = now(app="Redis", app_guessed=True)
    database = opened()
    database.write([guess], [], {})
    database.prune()
    read = rows(database, ", ".join(("id", *FLOW_COLUMNS)))
    assert [FlowRecord(*row[1:]) for row in read] == [old, guess.record]
