"""A change that was refused is made again without anybody's asking."""

from __future__ import annotations

import contextlib

import pytest

from pyctl.errors import SegctlError
from pyctl.observe import resync as catch_up
from pyctl.observe.resync import CatchUp


class Node:
    """A context whose engine and kernel refuse `refusals` times."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.stale = refusals > 0
        self.asked = 0

    def refresh(self) -> int:
        self.asked += 1
        self.stale = self.asked <= self.refusals
        if self.stale:
            raise SegctlError("no room")
        return 0


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """Name: clock. Scope: function. [0] is what time.monotonic gives."""
    now = [1000.0]
    monkeypatch.setattr(catch_up.time, "monotonic", lambda: now[0])
    return now


def rounds(node: Node, clock: list[float], count: int) -> None:
    again = CatchUp(lambda: node.stale, node.refresh, contextlib.nullcontext())
    for _ in range(count):
        with contextlib.suppress(SegctlError):
            again()
        clock[0] += 0.2


def test_it_is_asked_for_until_it_is_taken(clock):
    node = Node(refusals=3)
    rounds(node, clock, 150)
    assert (node.asked, node.stale) == (4, False)


def test_a_refusing_host_is_not_flooded(clock):
    node = Node(refusals=100)
    rounds(node, clock, 50)
    assert node.asked == 3
    rounds(node, clock, 50)
    assert node.asked < 7


def test_where_all_is_as_it_should_be_nothing_is_asked(clock):
    node = Node(refusals=0)
    rounds(node, clock, 10)
    assert node.asked == 0


def test_one_that_was_only_under_way_is_not_done_twice(clock):
    """It ended while its lock was waited for."""
    node = Node(refusals=1)

    @contextlib.contextmanager
    def lock():
        node.stale = False
        yield

    CatchUp(lambda: node.stale, node.refresh, lock())()
    assert node.asked == 0
