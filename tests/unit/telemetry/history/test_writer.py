"""History is recorded in order and within bounds; a bad disk stops it, is told, and nobody waits."""

from __future__ import annotations

import sqlite3
import stat
import threading
import time

import pytest

from pyctl.telemetry.events import Event
from pyctl.telemetry.history import database, writer
from pyctl.telemetry.history.database import Limits
from pyctl.telemetry.history.hits import Count
from pyctl.telemetry.history.writer import History
from tests.lab.pace import wait_for
from tests.unit.telemetry.history.makers import denied, flow


@pytest.fixture
def told():
    return []


@pytest.fixture
def made(tmp_path, told):
    """Histories of one file, all ended at the end."""
    kept = []

    def make(limits=Limits(), retry_s=0.05):  # noqa: B008  frozen
        kept.append(History(tmp_path / "h.db", limits, told.append, retry_s=retry_s))
        kept[-1].start()
        return kept[-1]

    yield make
    for history in kept:
        history.stop()


def rows(history, what="count(*)", table="flows"):
    with sqlite3.connect(history.path) as db:
        return db.execute(f"SELECT {what} FROM {table} ORDER BY id").fetchall()


def now(**changes):
    return flow(started=time.time(), last=time.time(), **changes)


def denial(**changes):
    return Event("denial", "no", **{"packets": 1, "workload": "web", **changes})


def test_what_is_recorded_is_on_disk_after_a_flush_and_nobody_else_reads_it(made):
    history = made()
    history.record([now()], [denial()], {0: (5, 9)})
    history.flush(5)
    assert rows(history) == [(1,)]
    assert rows(history, "message", "events") == [("no",)]
    assert stat.S_IMODE(history.path.stat().st_mode) == 0o600
    assert history.state().recording
    assert history.done == {0: (5, 9)}


def test_the_next_agent_knows_where_the_former_ended(made):
    first = made()
    first.record([now()], positions={0: (5, 9)})
    first.stop()
    assert made().done == {0: (5, 9)}


def test_repeats_of_a_denial_are_one_row_over_batches(made):
    history = made()
    for _ in range(3):
        at = time.time()
        history.record([denied(started=at, last=at)], [denial(), denial()])
        history.flush(5)
    assert rows(history, "packets") == [(9,)]
    assert rows(history, "packets", "events") == [(6,)]


def test_happenings_that_count_nothing_are_each_told(made):
    history = made()
    history.record(events=[Event("lifecycle", "attached")] * 2)
    history.flush(5)
    assert rows(history, table="events") == [(2,)]


def test_the_file_stays_at_its_size_and_keeps_the_newest(made):
    limit = 1 << 20
    history = made(Limits(max_bytes=limit))
    for batch in range(12):
        history.record([now(sport=n, dport=batch) for n in range(1500)])
        history.flush(10)
    assert history.path.stat().st_size < 2 * limit
    assert history.state().bytes <= limit
    assert rows(history, "max(dport), min(dport) > 0") == [(11, 1)]


def test_one_workload_s_flood_takes_no_other_s_history(made):
    limit = 1 << 20
    history = made(Limits(max_bytes=limit))
    history.record([now(workload="db", sport=n) for n in range(50)], [denial()] * 3)
    for batch in range(12):
        history.record([now(sport=n, dport=batch) for n in range(1500)])
        history.flush(10)
    assert history.state().bytes <= limit
    assert rows(history, "sum(workload = 'db'), max(dport = 11)") == [(50, 1)]
    assert rows(history, "sum(packets)", "events") == [(3,)]


def test_a_clock_that_was_wrong_for_once_took_nothing_away(made, monkeypatch):
    first = made()
    first.record([now()], [denial()])
    first.stop()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 8 * 86400)
    second = made()
    second.record([now()], [denial(source="a")])
    second.stop()
    monkeypatch.undo()
    third = made()
    third.record([now(sport=1)])
    third.flush(5)
    assert rows(third) == [(3,)]
    assert rows(third, table="events") == [(2,)]


def test_what_is_old_goes(made):
    history = made(Limits(max_age_s=60))
    history.record([flow(), now()])
    history.flush(5)
    assert rows(history) == [(1,)]


def test_a_full_disk_stops_it_is_told_and_recording_resumes(made, told, monkeypatch):
    history = made()
    real = database.Database.write
    full = sqlite3.OperationalError("database or disk is full")

    def refuse(*_):
        raise full

    monkeypatch.setattr(database.Database, "write", refuse)
    history.record([now()], positions={0: (5, 1)})
    history.flush(5)
    assert "disk is full" in history.state().why_not
    assert "not recorded" in told[0]
    assert history.done == {0: (5, 1)}
    monkeypatch.setattr(database.Database, "write", real)

    def resumed():
        history.record([now()])
        history.flush(5)
        return history.state().recording

    wait_for(resumed)
    assert "recorded again" in told[1]
    assert history.state().lost >= 1
    assert rows(history)[0][0] >= 1


def test_counts_wait_for_the_disk_and_none_is_lost(made, monkeypatch):
    history = made()
    real = database.Database.write
    full = sqlite3.OperationalError("database or disk is full")

    def refuse(*_):
        raise full

    monkeypatch.setattr(database.Database, "write", refuse)
    history.record(counts=[Count(7, 1, 2, 5.0), Count(8, 1, 1, 5.0)])
    history.flush(5)
    history.record(counts=[Count(7, 1, 3, 6.0), Count(7, 2, 1, 7.0)])
    history.flush(5)
    assert history.state().lost == 0
    monkeypatch.setattr(database.Database, "write", real)

    def resumed():
        history.flush(5)
        return history.state().recording

    wait_for(resumed)
    with sqlite3.connect(history.path) as db:
        found = db.execute("SELECT key, hits, last FROM hits ORDER BY key").fetchall()
    assert found == [(7, 4, 7.0), (8, 1, 5.0)]


def test_counts_stay_when_the_flows_they_came_from_go(made):
    history = made(Limits(max_age_s=60))
    history.record([flow()], counts=[Count(7, 1, 2, 5.0)])
    history.flush(5)
    assert rows(history) == [(0,)]
    with sqlite3.connect(history.path) as db:
        assert db.execute("SELECT hits FROM hits").fetchall() == [(2,)]


def test_a_broken_file_is_moved_aside(made, told, tmp_path):
    (tmp_path / "h.db").write_bytes(b"no database, but long enough to look at" * 200)
    history = made()
    assert not history.state().recording

    def resumed():
        history.record([now()])
        history.flush(5)
        return history.state().recording

    wait_for(resumed)
    assert (tmp_path / "h.db.broken").exists()
    assert "recorded again" in told[-1]


def test_a_file_of_a_later_version_is_left_alone(made, tmp_path):
    with sqlite3.connect(tmp_path / "h.db") as db:
        db.execute("PRAGMA user_version = 99")
    history = made()
    assert "version 99" in history.state().why_not
    assert not (tmp_path / "h.db.broken").exists()


def test_recording_never_waits_for_a_disk_that_hangs(made, monkeypatch):
    history = made()
    hang = threading.Event()
    monkeypatch.setattr(
        database.Database, "write", lambda *_: hang.wait(120) or ([], [])
    )
    try:
        history.record([now()])
        history.flush(0.01)
        began = time.monotonic()
        for number in range(writer.MAX_PENDING + 500):
            history.record([now(sport=number)])
        assert history.state().lost == 0
        for number in range(writer.MAX_PENDING + 500):
            history.record([now(source=str(number))])
        assert time.monotonic() - began < 60
        assert history.state().lost > 0
    finally:
        monkeypatch.undo()
        hang.set()


def test_many_threads_record_at_once(made):
    history = made()

    def work(port):
        for number in range(200):
            history.record([now(port_id=port, sport=number)])

    threads = [threading.Thread(target=work, args=(port,)) for port in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history.flush(5)
    assert rows(history) == [(1000,)]


def test_a_record_that_cannot_be_kept_is_counted_and_its_neighbours_are_kept(made):
    history = made()
    flows = [now(sport=1), now(workload="\udcff"), now(packets=1 << 64), now(sport=2)]
    history.record(flows, [Event("denial", "it is \udcff now")], {0: (5, 9)})
    history.flush(5)
    assert rows(history, "sport") == [(1,), (2,)]
    assert rows(history, "message", "events") == [("it is \\xff now",)]
    assert history.state().lost == 2
    assert history.state().recording
