"""Where the packet loop runs: near the one CPU that waits for it, free where frames queue or it would wait itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from pyctl import abi

MS = 1_000_000
WINDOW = 10 * MS
FREE = -1
NONE, MANY = abi.constant("SEG_PRODUCER_NONE"), abi.constant("SEG_PRODUCER_MANY")
CALM = {"frames": 60, "waited_ns": MS, "turns": 50}
"""One connection at a time, as measured; the next two as well."""
PING_PONG = {"frames": 1000, "waited_ns": 3 * MS, "turns": 1000}
STREAM = {"frames": 290, "waited_ns": 0, "turns": 10}
BEHIND_A_HOG = {"frames": 2, "waited_ns": 3 * MS, "turns": 2}


@dataclass
class Place:
    """The rule, one window of 10 ms after the other."""

    module: Any
    now: int = 10**12

    def __post_init__(self) -> None:
        self.rule = self.module.ffi.new("struct sg_cpu_affinity_rule *", {"cpu": FREE})

    def window(self, cpu: int | None = None, *, said: int = NONE, **load: int) -> int:
        """Steered frames came from this CPU."""
        self.now += WINDOW
        fields = {"from": said if cpu is None else cpu + 1, "wall_ns": WINDOW}
        told = self.module.ffi.new(
            "struct sg_cpu_affinity_load *", fields | (load or CALM)
        )
        return self.module.lib.sg_cpu_affinity_decide(self.rule, told, self.now)

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
def test_of_eight_windows_one_may_stray(place, said):
    place.near(1)
    assert [place.window(said=said), *(place.window(1) for _ in range(8))] == [1] * 9
    assert [place.window(said=said), *(place.window(1) for _ in range(7))] == [1] * 8
    assert place.window(said=said) == FREE


def back_after(place: Place, cpu: int = 1) -> int:
    """So many windows, all of which speak for this CPU."""
    return next(n for n in range(1, 10**5) if place.window(cpu) == cpu)


@pytest.mark.parametrize("said", [NONE, MANY])
def test_where_no_one_cpu_steers_any_more_it_may_come_back_at_once(place, said):
    place.near(1)
    assert [place.window(said=said) for _ in range(2)] == [1, FREE]
    assert back_after(place) == 2


def test_it_follows_to_another_cpu_but_does_not_chase(place):
    """A load balancer that moves the sender away from the loop moves it for good."""
    place.near(1)
    for cpu, wait in ((2, 50), (1, 100), (2, 200)):
        assert place.window(cpu) != FREE
        assert place.window(cpu) == FREE
        assert back_after(place, cpu) == wait


def leaves(place: Place, load: dict[str, int]) -> int:
    """It meets this load until it leaves: so many windows."""
    return next(n for n in range(1, 100) if place.window(1, **load) == FREE)


@pytest.mark.parametrize(
    ("load", "windows"), [(STREAM, 1), (BEHIND_A_HOG, 2)], ids=["queues", "waits"]
)
def test_where_frames_queue_or_it_waits_it_goes_and_each_time_for_longer(
    place, load, windows
):
    """From half a second to half a minute; what lasted, or was long ago, counts as new."""
    place.near(1)
    for wait in (50, 100, 200, 400, 800, 1600, 3200, 3200):
        assert leaves(place, load) == windows
        assert back_after(place) == wait
    assert {place.window(1) for _ in range(6500)} == {1}
    assert (leaves(place, load), back_after(place)) == (windows, 50)


def test_old_trouble_is_forgotten(place):
    place.near(1)
    for wait in (50, 100):
        assert (leaves(place, STREAM), back_after(place)) == (1, wait)
    assert [place.window() for _ in range(2)] == [1, FREE]
    place.now += 33 * 1000 * MS
    place.near(1)
    assert (leaves(place, STREAM), back_after(place)) == (1, 50)


@pytest.mark.parametrize(
    ("load", "stays"),
    [
        ({"frames": 40, "turns": 10, "waited_ns": 0}, True),
        ({"frames": 41, "turns": 10, "waited_ns": 0}, False),
        ({"frames": 10, "turns": 10, "waited_ns": MS}, True),
        ({"frames": 10, "turns": 10, "waited_ns": MS + 1}, False),
        ({"frames": 0, "turns": 0, "waited_ns": 0}, True),
        (PING_PONG, True),
    ],
)
def test_it_stays_for_four_frames_a_turn_and_a_tenth_of_a_millisecond(
    place, load, stays
):
    place.near(1)
    assert ([place.window(1, **load) for _ in range(2)][-1] == 1) == stays


@pytest.mark.parametrize(("frames", "stays"), [(300, True), (299, False)])
def test_where_it_takes_a_sender_s_time_away_it_goes(place, frames, stays):
    """One way, frame by frame, without a queue: the sender does not wait, and gets slower."""
    free = {"frames": 400, "turns": 200, "waited_ns": 0}
    assert [place.window(1, **free) for _ in range(2)] == [FREE, 1]
    held = {"frames": frames, "turns": 200, "waited_ns": 0}
    assert ([place.window(1, **held) for _ in range(2)][-1] == 1) == stays


def test_later_less_may_be_other_traffic(place):
    free = {"frames": 400, "turns": 400, "waited_ns": 0}
    assert [place.window(1, **free) for _ in range(12)][-1] == 1
    assert {place.window(1) for _ in range(5)} == {1}


def test_a_longer_window_has_more_frames_and_is_not_faster(place):
    free = {"frames": 800, "turns": 800, "waited_ns": 0, "wall_ns": 2 * WINDOW}
    assert [place.window(1, **free) for _ in range(2)] == [FREE, 1]
    assert [place.window(1, frames=400, turns=400, waited_ns=0) for _ in range(2)] == [
        1,
        1,
    ]


def test_where_it_was_freed_it_stays_away(place):
    place.near(1)
    place.module.lib.sg_cpu_affinity_override(place.rule, FREE, place.now)
    assert back_after(place) == 50


def test_of_few_frames_less_means_nothing(place):
    """Near the initiator of connections, the detours of their second packets fall away."""
    few = {"frames": 299, "turns": 299, "waited_ns": 0}
    assert [place.window(1, **few) for _ in range(2)] == [FREE, 1]
    assert [place.window(1, frames=1, turns=1, waited_ns=0) for _ in range(3)] == [
        1
    ] * 3


def test_to_a_stream_it_does_not_come_near(place):
    assert [place.window(1, **STREAM) for _ in range(4)] == [FREE] * 4
    assert [place.window(1) for _ in range(2)] == [FREE, 1]
