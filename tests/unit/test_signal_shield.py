"""What a signal breaks off has ended when it is raised, and is undone; at the latest when it ends."""

from __future__ import annotations

import threading

import pytest

from pyctl import signal_shield as module
from pyctl.signal_shield import signal_shield


def test_its_result_or_its_error_is_the_callers():
    undone: list[int] = []
    assert signal_shield(lambda: 5, undone.append) == 5
    with pytest.raises(ZeroDivisionError):
        signal_shield(lambda: 1 // 0, undone.append)
    assert undone == []


def test_what_is_broken_off_is_done_and_undone(interrupt):
    undone: list[int] = []

    def what() -> int:
        interrupt()
        return 5

    with pytest.raises(KeyboardInterrupt):
        signal_shield(what, undone.append)
    assert undone == [5]


def test_what_fails_then_has_nothing_to_undo(interrupt):
    undone: list[int] = []

    def what() -> int:
        interrupt()
        raise OSError("no room")

    with pytest.raises(KeyboardInterrupt):
        signal_shield(what, undone.append)
    assert undone == []


def test_what_takes_too_long_is_undone_by_its_thread(interrupt, monkeypatch):
    monkeypatch.setattr(module, "_END_S", 0.01)
    goes_on, undone = threading.Event(), threading.Event()

    def what() -> int:
        interrupt()
        assert goes_on.wait(10)
        return 5

    with pytest.raises(KeyboardInterrupt):
        signal_shield(what, lambda _: undone.set())
    assert not undone.is_set()
    goes_on.set()
    assert undone.wait(10)


def test_without_a_thread_nothing_is_waited_for(monkeypatch):
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(module.threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="can't start new thread"):
        signal_shield(lambda: 5)
