"""Whoever is heard is called, and nobody else is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from pyctl.errors import SegctlError
from pyctl.observe.poller import Eyes


class Pipe:
    """Something to watch; `heard` counts the calls."""

    def __init__(self, eyes: Eyes) -> None:
        self.read, self.write = os.pipe()
        self.heard = 0
        eyes.open(self.read, self.call)

    def say(self) -> None:
        os.write(self.write, b"x")

    def call(self) -> None:
        self.heard += 1
        os.read(self.read, 1)

    def close(self) -> None:
        os.close(self.read)
        os.close(self.write)


@pytest.fixture
def eyes() -> Iterator[Eyes]:
    made = Eyes()
    yield made
    made.close()


@pytest.fixture
def pipes(eyes) -> Iterator[tuple[Pipe, Pipe]]:
    made = Pipe(eyes), Pipe(eyes)
    yield made
    for one in made:
        one.close()


def test_who_speaks_is_heard_once(eyes, pipes):
    one, other = pipes
    one.say()
    eyes.look(5)
    eyes.look(0)
    assert (one.heard, other.heard) == (1, 0)


def test_who_rests_is_heard_later(eyes, pipes):
    """And sooner than the round would have ended."""
    one, _ = pipes
    one.say()
    eyes.rest(one.read, 0.05)
    eyes.look(0)
    assert one.heard == 0
    began = time.monotonic()
    while one.heard == 0:
        eyes.look(5)
    assert time.monotonic() - began < 4


def test_who_is_shut_is_not_heard_though_it_rested(eyes, pipes):
    one, other = pipes
    one.say()
    other.say()
    eyes.rest(one.read, 0)
    for fd in (one.read, other.read):
        eyes.shut(fd)
    eyes.look(0)
    assert (one.heard, other.heard) == (0, 0)


def test_a_call_may_shut_another_of_the_same_round(eyes, pipes):
    one, other = pipes
    one.call = lambda: eyes.shut(other.read)
    other.call = lambda: eyes.shut(one.read)
    for pipe in pipes:
        eyes.shut(pipe.read)
        eyes.open(pipe.read, pipe.call)
        pipe.say()
    eyes.look(5)
    left = [pipe for pipe in pipes if pipe.read in eyes._calls]
    assert len(left) == 1


def test_a_call_that_fails_keeps_nobody_from_being_heard(eyes, pipes):
    one, other = pipes

    def fail() -> None:
        raise SegctlError("gone")

    eyes.shut(one.read)
    eyes.open(one.read, fail)
    for pipe in pipes:
        pipe.say()
    with pytest.raises(SegctlError):
        eyes.look(5)
    assert other.heard == 1
