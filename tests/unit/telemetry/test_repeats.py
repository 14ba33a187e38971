"""A repeat within the window is counted in the record that it repeats, and nowhere else."""

from __future__ import annotations

from functools import partial

from pyctl.telemetry.repeats import Repeats

REPEATS = partial(
    Repeats[tuple[str, float, int]],
    name=lambda one: one[0] or None,
    time=lambda one: one[1],
    both=lambda earlier, one: (*earlier[:2], earlier[2] + one[2]),
    window_s=10.0,
)


def test_repeats_are_in_one_record_and_late_ones_in_another():
    repeats = REPEATS()
    taken = [("a", 0.0, 1), ("b", 1.0, 1), ("a", 9.0, 2), ("a", 10.0, 4)]
    found = [kept.record for kept in repeats.take_all(taken)]
    assert found == [("a", 0.0, 3), ("b", 1.0, 1), ("a", 10.0, 4)]


def test_what_has_no_name_is_told_each_time():
    assert len(REPEATS().take_all([("", 0.0, 1)] * 3)) == 3


def test_what_is_old_or_not_stored_takes_no_repeats():
    repeats = REPEATS()
    old, stored, nowhere = repeats.take_all([("a", 0.0, 1), ("b", 5.0, 1), ("c", 5, 1)])
    old.row = stored.row = 1
    repeats.forget(10.0)
    again = [repeats.take((name, 9.0, 1)) for name in "abc"]
    assert [one in (old, stored, nowhere) for one in again] == [False, True, False]


def test_one_that_was_dropped_takes_no_repeats_from_its_follower():
    repeats = REPEATS()
    first, second = repeats.take(("a", 0.0, 1)), repeats.take(("a", 20.0, 1))
    repeats.drop(first)
    assert repeats.take(("a", 21.0, 1)) is second


def test_a_clock_that_is_set_back_makes_no_repeats_of_an_hour():
    repeats = REPEATS()
    kept = repeats.take(("a", 3600.0, 1))
    kept.row = 1
    again = repeats.take(("a", 0.0, 1))
    assert again is not kept
    again.row = 1
    assert repeats.take(("a", 1.0, 1)) is again
    repeats.forget(-3600.0)
    assert repeats.take(("a", 2.0, 1)) is not again
