"""Where the packet loop runs: near the one CPU that waits for it, free where that would crowd it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from pyctl import abi

MS = 1_000_000
WINDOW = 10 * MS
FREE = -1
NONE, MANY = abi.constant("SEG_FROM_NONE"), abi.constant("SEG_FROM_MANY")
CALM = {"ran_ns": 3 * MS, "waited_ns": 2 * MS, "turns": 100}
"""One connection at a time, as measured."""
CROWDED = {"ran_ns": 4 * MS, "waited_ns": 4 * MS, "turns": 1000}
BEHIND_A_HOG = {"ran_ns": 1, "waited_ns": 3 * MS, "turns": 2}


@dataclass
class Place:
    """The rule, one window of 10 ms after the other."""

    module: Any
    now: int = 10**12

    def __post_init__(self) -> None:
        self.rule = self.module.ffi.new("struct sg_place_rule *", {"cpu": FREE})

    def window(self, cpu: int | None = None, *, said: int = NONE, **load: int) -> int:
        """Steered frames came from this CPU."""
        self.now += WINDOW
        fields = {"from": said if cpu is None else cpu + 1, "wall_ns": WINDOW}
        told = self.module.ffi.new("struct sg_place_load *", fields | (load or CALM))
        return self.module.lib.sg_place_decide(self.rule, told, self.now)

    def near(self, cpu: int) -> None:
        assert [self.window(cpu) for _ in range(3)][-1] == cpu


@pytest.fixture
def place(core_module: Any) -> Place:
    """Name: place. Scope: function. Depends: core_module. A free loop."""
    return Place(core_module)


def test_two_windows_in_a_row_that_agree_bring_it_near(place):
    assert [place.window(3) for _ in range(4)] == [FREE, 3, 3, 3]


def test_cpu_0_is_a_cpu(place):
    assert [place.window(0) for _ in range(2)] == [FREE, 0]


def test_windows_that_disagree_leave_it_free(place):
    assert [place.window(n % 2) for n in range(6)] == [FREE] * 6
    assert [place.window(said=MANY) for _ in range(3)] == [FREE] * 3
    assert [place.window(said=NONE) for _ in range(3)] == [FREE] * 3


@pytest.mark.parametrize("said", [NONE, MANY])
def test_a_stray_window_is_forgiven_and_two_are_not(place, said):
    place.near(1)
    assert [place.window(said=said), place.window(1)] == [1, 1]
    assert [place.window(said=said) for _ in range(2)] == [1, FREE]


def test_it_follows_to_another_cpu_by_way_of_freedom(place):
    place.near(1)
    assert [place.window(2) for _ in range(4)] == [1, FREE, FREE, 2]


def away(place: Place, load: dict[str, int]) -> int:
    """It meets this load, which is over at once; so many windows until it is back."""
    assert place.window(1, **load) == FREE
    return next(n for n in range(10**5) if place.window(1) == 1)


@pytest.mark.parametrize("load", [CROWDED, BEHIND_A_HOG])
def test_where_it_is_crowded_or_waits_it_goes_and_each_time_for_longer(place, load):
    """From half a second to half a minute; what had lasted a second counts as new."""
    place.near(1)
    half_a_second = 49
    assert away(place, load) == half_a_second
    assert away(place, load) == 2 * half_a_second + 1
    assert [away(place, load) for _ in range(6)][-2:] == [3199, 3199]
    assert {place.window(1) for _ in range(100)} == {1}
    assert away(place, load) == half_a_second


def test_under_load_it_does_not_come_near(place):
    assert [place.window(1, **CROWDED) for _ in range(4)] == [FREE] * 4
    assert [place.window(1) for _ in range(2)] == [FREE, 1]
