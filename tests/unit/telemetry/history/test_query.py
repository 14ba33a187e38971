"""An answer is whole, or none; who is unknown is told apart from who was quiet."""

from __future__ import annotations

import sqlite3
import threading
import time

import pytest

from pyctl.errors import SegctlError
from pyctl.telemetry.events import Event, EventLog
from pyctl.telemetry.history import query
from pyctl.telemetry.history.database import Database, Limits
from pyctl.telemetry.history.hits import Count
from pyctl.telemetry.history.query import FlowQuery, Reader
from pyctl.telemetry.history.writer import History
from tests.unit.telemetry.history.makers import flow


class QuietEngine:
    """A collector whose engine has nothing to tell, but for rules in use."""

    def __init__(self):
        self.used = {}
        self.open_flows = 0

    def collect(self):
        pass

    def live(self, limit):
        return [], self.open_flows < limit

    def in_use(self, limit):
        return dict(list(self.used.items())[:limit])


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "h.db", Limits(), lambda _: None)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def engine():
    return QuietEngine()


@pytest.fixture
def reader(history, engine):
    return Reader(history, engine, EventLog())


def now(**changes):
    return flow(started=time.time(), last=time.time(), **changes)


def test_whoever_was_at_an_end_or_in_an_event_is_known(reader, history):
    history.record([now()], [Event("lifecycle", "attached", workload="db")])
    assert all(reader.knows(name) for name in ("web", "client", "db"))
    assert not reader.knows("nope")
    assert len(reader.flows(FlowQuery(10, workload="client")).flows) == 1


def broken(*_):
    raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize(
    "ask",
    [
        lambda reader: reader.flows(FlowQuery(10)),
        lambda reader: reader.events(FlowQuery(10)),
        lambda reader: reader.hits(),
        lambda reader: reader.knows("web"),
    ],
    ids=["flows", "events", "hits", "knows"],
)
def test_half_an_answer_is_an_error(reader, history, monkeypatch, ask):
    history.record([now()])
    ask(reader)
    monkeypatch.setattr(query, "_open", broken)
    with pytest.raises(SegctlError, match="I/O error"):
        ask(reader)
    # Of metrics what cannot be read is left out.
    assert reader.stored_hits() == {}


def test_a_use_is_never_before_the_counting(reader, history, engine):
    history.record(counts=[Count(7), Count(8)])
    reader.hits()
    history.record(counts=[Count(7, 1, 1, 100.0)])
    engine.used = {8: 200.0}
    found = reader.hits()
    assert (found[7].since, found[7].last) == (100.0, 100.0)
    assert (found[8].since, found[8].last) == (200.0, 200.0)


def test_an_answer_says_that_there_is_more_than_was_looked_at(
    reader, history, engine, monkeypatch
):
    monkeypatch.setattr(query, "MAX_READ", 3)
    history.record([now(sport=number) for number in range(3)])
    assert reader.flows(FlowQuery(10)).complete
    history.record([now(sport=4)])
    found = reader.flows(FlowQuery(10))
    assert (len(found.flows), found.complete) == (3, False)
    # As many as were asked for are there.
    assert reader.flows(FlowQuery(10, after=found.position)).complete
    monkeypatch.undo()
    engine.open_flows = query.MAX_LIVE
    assert not reader.flows(FlowQuery(10)).complete


def test_an_answer_says_that_the_disk_has_not_all_of_it_yet(
    reader, history, monkeypatch
):
    hang, write = threading.Event(), Database.write
    monkeypatch.setattr(Database, "write", lambda *told: hang.wait(20) and write(*told))
    monkeypatch.setattr(query, "FLUSH_S", 0.01)
    history.record([now()])
    found = reader.flows(FlowQuery(10))
    assert (found.flows, found.complete) == ([], False)
    hang.set()
    monkeypatch.setattr(query, "FLUSH_S", 20)
    found = reader.flows(FlowQuery(10))
    assert (len(found.flows), found.complete) == (1, True)


def test_flows_are_found_by_the_application_that_an_end_knows(reader, history):
    """The other end did not look, and is still a part of the flow."""
    sent = {"direction": "egress", "port_id": 8, "workload": "client"}
    history.record(
        [
            *(now(app="Redis"), now(**sent)),
            now(sport=1, app="Redis", app_guessed=True),
            *(now(sport=port, app="TLS") for port in range(2, 99)),
            now(sport=99),
        ]
    )
    found = reader.flows(FlowQuery(10, app="Redis")).flows
    assert sorted((len(one.ends), *one.app) for one in found) == [
        (1, "Redis", True),
        (2, "Redis", False),
    ]
    assert len(reader.flows(FlowQuery(10, app="TLS")).flows) == 10
    assert reader.flows(FlowQuery(10, app="SSH")).flows == []
