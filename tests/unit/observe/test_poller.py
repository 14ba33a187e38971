"""Whoever has something to say is called, once until it is armed again, and nobody else is."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator

import pytest

from pyctl.observe.poller import Poller
from tests.lab.pace import wait_for


class Pipe:
    """Something to watch; `heard` counts the calls."""

    def __init__(self, poller: Poller) -> None:
        self.read, self.write = os.pipe()
        self.heard = 0
        self.poller = poller
        poller.open(self.read, self.call)

    def say(self) -> None:
        os.write(self.write, b"x")

    def call(self) -> None:
        self.heard += 1

    def look(self) -> None:
        """What whoever was called does."""
        os.read(self.read, 1)
        self.poller.arm(self.read)

    def close(self) -> None:
        os.close(self.read)
        os.close(self.write)


@pytest.fixture
def poller() -> Iterator[Poller]:
    """Name: poller. Scope: function. Started."""
    made = Poller()
    made.start()
    yield made
    made.close()


@pytest.fixture
def pipes(poller) -> Iterator[tuple[Pipe, Pipe]]:
    """Name: pipes. Scope: function. Two that are watched."""
    made = Pipe(poller), Pipe(poller)
    yield made
    for one in made:
        one.close()


def settled(poller: Poller) -> None:
    """What was said before this has been heard, if anybody is to hear it."""
    for _ in range(2):
        last = Pipe(poller)
        last.say()
        wait_for(lambda last=last: last.heard)
        poller.shut(last.read)
        last.close()


def test_who_speaks_is_heard_once_and_alone(poller, pipes):
    one, other = pipes
    one.say()
    wait_for(lambda: one.heard)
    one.say()
    settled(poller)
    assert (one.heard, other.heard) == (1, 0)


def test_what_was_said_meanwhile_is_heard_when_it_is_armed(poller, pipes):
    """Who drained half of it, or was told more while it drained, misses nothing."""
    one, _ = pipes
    one.say()
    one.say()
    wait_for(lambda: one.heard == 1)
    one.look()
    wait_for(lambda: one.heard == 2)
    one.look()
    settled(poller)
    assert one.heard == 2
    one.say()
    wait_for(lambda: one.heard == 3)


def test_what_was_said_before_it_was_opened_is_heard(poller):
    read, write = os.pipe()
    os.write(write, b"x")
    heard = threading.Event()
    poller.open(read, heard.set)
    assert heard.wait(10)
    poller.shut(read)
    os.close(read)
    os.close(write)


def test_who_is_shut_is_not_heard_armed_or_shut_again(poller, pipes):
    one, other = pipes
    for pipe in pipes:
        poller.shut(pipe.read)
    for _ in range(2):
        one.say()
        poller.arm(one.read)
        poller.shut(one.read)
    settled(poller)
    assert (one.heard, other.heard) == (0, 0)


def test_a_number_that_is_anothers_by_now_calls_the_other(poller, pipes):
    one, _ = pipes
    one.say()
    wait_for(lambda: one.heard)
    poller.shut(one.read)
    os.read(one.read, 1)
    heard = threading.Event()
    poller.open(one.read, heard.set)
    one.say()
    assert heard.wait(10)
    assert one.heard == 1


def test_a_call_may_shut_another_of_the_same_round(pipes):
    """In its own thread: by a poller that begins when both have spoken."""
    late = Poller()
    both = Pipe(late), Pipe(late)
    for pipe, other in zip(both, reversed(both), strict=True):

        def call(pipe: Pipe = pipe, other: Pipe = other) -> None:
            pipe.heard += 1
            late.shut(other.read)

        late.shut(pipe.read)
        late.open(pipe.read, call)
        pipe.say()
    late.start()
    wait_for(lambda: any(pipe.heard for pipe in both))
    settled(late)
    late.close()
    assert sorted(pipe.heard for pipe in both) == [0, 1]
    for pipe in both:
        pipe.close()


def test_what_cannot_be_watched_is_nobodys(poller, tmp_path, monkeypatch):
    """Of a plain file epoll says EPERM, of too many ENOSPC: who is refused may close it."""
    with (tmp_path / "file").open("w") as file:
        with pytest.raises(PermissionError):
            poller.open(file.fileno(), lambda: None)
        poller.arm(file.fileno())
        poller.shut(file.fileno())
        assert file.fileno() not in poller._calls


def test_many_that_speak_at_once_are_all_heard(poller):
    """More than epoll gives at a time."""
    resting = [Pipe(poller) for _ in range(200)]
    for pipe in resting:
        pipe.say()
    wait_for(lambda: all(pipe.heard == 1 for pipe in resting))
    for pipe in resting:
        poller.shut(pipe.read)
        pipe.close()


def test_its_end_is_prompt_and_no_call_comes_after_it():
    poller = Poller()
    pipe = Pipe(poller)
    poller.start()
    began = time.monotonic()
    poller.close()
    assert time.monotonic() - began < 5
    pipe.say()
    assert select.select([pipe.read], [], [], 0)[0]
    assert pipe.heard == 0
    pipe.close()


def test_one_that_never_began_may_end():
    Poller().close()
