"""Numbers that must never mean two things at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl.errors import SegctlError
from pyctl.state.ids import Generations, PortIds


def test_an_id_just_released_is_not_handed_out_again_at_once():
    ids = PortIds()
    first = ids.allocate(lambda _: False)
    assert ids.allocate(lambda _: False) != first


def test_allocation_goes_round_and_starts_again_at_one():
    assert PortIds(last=65535).allocate(lambda _: False) == 1


@given(st.integers(0, 65535), st.sets(st.integers(1, 65535), max_size=40))
def test_an_id_in_use_is_never_handed_out(last, used):
    assert PortIds(last).allocate(used.__contains__) not in used


def test_all_ids_taken_is_an_error_that_says_so():
    with pytest.raises(SegctlError, match="65535"):
        PortIds().allocate(lambda _: True)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=50))
def test_generations_rise_even_when_the_clock_does_not(ticks):
    clock = iter(ticks)
    generations = Generations(lambda: next(clock))
    made = [generations.next() for _ in ticks]
    assert made == sorted(set(made))
    assert made[0] > 0
