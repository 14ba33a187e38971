"""The watch's end; that it wakes up needs namespaces (tests/datapath)."""

from __future__ import annotations

import contextlib

import pytest

from pyctl.platform import change_watch


@pytest.fixture
def watch(monkeypatch):
    """Of the test's own namespace, which nobody need enter."""
    for name in ("opened", "entered"):
        monkeypatch.setattr(change_watch, name, contextlib.nullcontext)
    made = change_watch.ChangeWatch("own")
    yield made
    made.close()


def test_a_drained_watch_waits(watch):
    watch.drain()
    assert watch.fileno() >= 0


def test_draining_a_closed_watch_fails_at_once(watch):
    """A process and its netns may tell of their end in one poll; the first closes the watch."""
    watch.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        watch.drain()


def test_lost_messages_are_no_failure(watch, monkeypatch):
    class Overrun:
        def __init__(self) -> None:
            self.told = iter([OSError(105, "ENOBUFS"), BlockingIOError()])

        def recv(self, _size: int) -> bytes:
            raise next(self.told)

        def close(self) -> None:
            pass

    monkeypatch.setattr(watch, "_socket", Overrun())
    watch.drain()
