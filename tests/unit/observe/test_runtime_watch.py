"""No start of a container falls between the list and the stream; a runtime that goes away is asked again."""

from __future__ import annotations

import contextlib
import queue
import threading
from types import SimpleNamespace

import pytest

from pyctl.observe import runtime_watch
from pyctl.observe.runtime_watch import RuntimeWatch
from pyctl.runtime.base import Unreachable


class Played:
    """A runtime whose connections go as a test has written them; after the last the watch has to end."""

    runtime = "fake"

    def __init__(self, *connections) -> None:
        self.connections = list(connections)
        self.said: list[str] = []
        self.states: list[str] = []
        self.fails: set[str] = set()
        self.ending = threading.Event()
        self.watch = RuntimeWatch(
            self, self.consider, lambda: self.said.append("all listed"), self.ending
        )

    @contextlib.contextmanager
    def starts(self):
        self.states.append(self.watch.state)
        if not self.connections:
            self.ending.set()
        connection = self.connections.pop(0) if self.connections else []
        if isinstance(connection, Exception):
            raise connection
        self.said.append("stream")
        yield connection
        self.said.append("stream closed")

    def running(self) -> list[str]:
        self.said.append("list")
        return ["old"]

    def consider(self, runtime, identity: str) -> None:
        assert runtime is self
        self.said.append(f"{identity}: {self.watch.state}")
        if identity in self.fails:
            self.fails.remove(identity)
            raise ValueError("no such thing")

    def play(self) -> None:
        self.watch.thread.start()
        self.watch.thread.join(10)
        assert not self.watch.thread.is_alive()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(runtime_watch, "RETRY_S", 0.0)
    monkeypatch.setattr(
        runtime_watch, "_log", SimpleNamespace(exception=lambda *_: None)
    )


def test_the_stream_is_opened_before_what_runs_is_listed():
    played = Played(["new"])
    played.play()
    assert played.said[:6] == [
        "stream",
        "list",
        "old: not asked yet",
        "all listed",
        "new: followed",
        "stream closed",
    ]


def test_a_runtime_that_goes_away_is_listed_again_when_it_is_back():
    played = Played(["one"], Unreachable("no socket"), Unreachable("refused"), ["two"])
    played.play()
    assert played.states == [
        "not asked yet",
        "its stream of events ended",
        "no socket",
        "refused",
        "its stream of events ended",
    ]
    assert played.said.count("list") == 2
    assert "two: followed" in played.said


def test_what_nobody_foresaw_is_told_and_it_is_followed_again():
    played = Played(["one"], ["two"])
    played.fails = {"one"}
    played.play()
    assert played.states[1] == "failed: no such thing"
    assert "two: followed" in played.said


def test_one_that_has_to_end_while_it_connects_lists_nobody():
    played = Played()
    played.play()
    assert played.said == ["stream", "stream closed"]


class Waiting:
    """A stream on which nothing happens until it is cancelled."""

    def __init__(self) -> None:
        self.queue: queue.Queue[None] = queue.Queue()

    def __iter__(self):
        self.queue.get(timeout=10)
        yield from ()

    def cancel(self) -> None:
        self.queue.put(None)


def test_cancel_ends_the_waiting_and_is_idempotent():
    played = Played(Waiting())
    listed = threading.Event()
    watch = RuntimeWatch(played, played.consider, listed.set, played.ending)
    watch.cancel()
    watch.thread.start()
    assert listed.wait(10)
    played.ending.set()
    watch.cancel()
    watch.thread.join(10)
    assert not watch.thread.is_alive()
    watch.cancel()
    assert played.said[-1] == "stream closed"
