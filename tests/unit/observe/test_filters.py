"""What strangers do to our filters is undone and told; what they put in front of ours is told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pyctl.errors import SegctlError
from pyctl.observe import filters
from pyctl.observe.filters import Filters
from pyctl.platform.watch.filters import Touched
from tests.unit.observe.makers import Node, Watch
from tests.unit.policy.makers import port, workload

HERE = frozenset({Touched(7, 1)})


class World(Node):
    """A node whose drivers find what they are told to find."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        monkeypatch.setattr(filters, "FilterWatch", Watch)
        Watch.refuses = None
        self.asked: list[object] = []
        self.wrong: list[str] = []
        self.failed: list[str] = []
        self.others: list[tuple[int, str]] = []
        self.steering = SimpleNamespace(
            repair=self._repair, foreign_filters=self._strangers
        )
        self.filters = Filters(self)  # type: ignore[arg-type]

    def _repair(self, touched: object) -> tuple[list[str], list[str]]:
        self.asked.append(touched)
        if self.refuses:
            raise self.refuses
        return self.wrong, self.failed

    def _strangers(self, touched: object) -> list[tuple[int, str]]:
        self.asked.append(touched)
        return self.others

    def say(self, touched: object) -> bool:
        """Whether anything was put right."""
        self.filters._watch.said = touched  # type: ignore[attr-defined]
        return self.filters.repair()


@pytest.fixture
def world(monkeypatch) -> World:
    """Name: world. Scope: function. Nothing is wrong."""
    made = World(monkeypatch)
    yield made
    made.filters.close()


def test_it_watches_the_enforcers_namespace(world):
    assert world.filters._watch.place == ("/run/netns/segt-observe",)
    assert world.filters.fileno() == world.filters._watch.fileno()


@pytest.mark.parametrize("touched", [HERE, None], ids=["some", "lost"])
def test_where_it_was_touched_is_looked_at_by_both(world, touched):
    assert not world.say(touched)
    assert world.asked == [touched, touched]
    assert world.told == []


def test_what_was_put_right_is_told_some_of_it_by_line(world):
    world.wrong = [f"filter {n} is back" for n in range(4)]
    assert world.say(HERE)
    assert world.told == [f"rules repaired: {'; '.join(world.wrong)}"]
    world.wrong.append("one more")
    assert world.say(HERE)
    assert world.told[1].endswith("filter 3 is back; and 1 more")


def test_others_filters_are_told_of_the_workload_and_are_no_repair(world):
    world.registry.put(workload("web", port(1)))
    world.others = [(1, "a filter is in front of ours"), (9, "no longer it")]
    assert not world.say(HERE)
    assert world.told == ["web: a filter is in front of ours", "no longer it"]


def test_at_the_start_they_are_told_of_everywhere(world):
    world.others = [(1, "a filter is in front of ours")]
    world.filters.tell_foreign_filters(None)
    assert world.asked == [None]
    assert len(world.told) == 1


def test_what_could_not_be_repaired_is_an_error_and_looked_for_everywhere_then(world):
    """A stranger's change is told once: nobody would come back to it."""
    world.wrong, world.failed = ["filter 1 is back"], ["port 2: no memory."]
    world.others = [(9, "a filter is in front of ours")]
    with pytest.raises(SegctlError, match="not repaired: port 2: no memory"):
        world.say(HERE)
    assert world.told == [
        "rules repaired: filter 1 is back",
        "a filter is in front of ours",
    ]
    world.asked.clear()
    world.failed, world.refuses = [], SegctlError("no room")
    with pytest.raises(SegctlError, match="no room"):
        world.say(frozenset())
    world.refuses = None
    assert world.say(frozenset())
    assert world.asked == [None, None, None]
    world.say(HERE)
    assert world.asked[3:] == [HERE, HERE]


def test_a_driver_that_refuses_is_an_error(world):
    world.refuses = SegctlError("no room")
    with pytest.raises(SegctlError):
        world.say(HERE)
    assert world.told == []
