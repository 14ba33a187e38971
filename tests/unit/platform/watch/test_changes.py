"""The watch's end; that it wakes up needs namespaces (tests/datapath)."""

from __future__ import annotations

import contextlib

import pytest

from pyctl.platform.watch import changes as change_watch


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

        def recvfrom(self, _size: int, _flags: int) -> bytes:
            raise next(self.told)

        def close(self) -> None:
            pass

    monkeypatch.setattr(watch, "_socket", Overrun())
    assert not watch.drain()


class Chatter:
    """A socket on which there is always one more datagram."""

    def __init__(self, sender: int) -> None:
        self.sender = sender
        self.read = 0

    def recvfrom(self, _size: int, _flags: int) -> tuple[bytes, tuple[int, int]]:
        self.read += 1
        return b"changed", (self.sender, 1)

    def close(self) -> None:
        pass


def test_who_never_stops_changing_things_keeps_nobody_in_there(watch, monkeypatch):
    chatter = Chatter(sender=0)
    monkeypatch.setattr(watch, "_socket", chatter)
    heard = []
    assert watch.drain(heard.append)
    assert len(heard) == chatter.read == change_watch.AT_ONCE


def test_only_the_kernel_is_heard(watch, monkeypatch):
    """Multicast of others reaches the socket, connected as it is."""
    monkeypatch.setattr(watch, "_socket", Chatter(sender=4711))
    heard = []
    watch.drain(heard.append)
    assert heard == []
