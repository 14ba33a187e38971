"""One wrong reading of the clock makes nothing old; a clock that stays is believed."""

from __future__ import annotations

import pytest

from pyctl.telemetry.history.clock import PATIENCE_S, SLACK_S, AgeClock

DAY_S = 86400.0


class Clocks:
    """A host's clock and its time since boot, which go on together unless one is set."""

    def __init__(self):
        self.wall = 1e9
        self.up = 50.0

    def go(self, seconds):
        self.wall += seconds
        self.up += seconds

    def age_clock(self, newest=None):
        return AgeClock(newest, lambda: self.wall, lambda: self.up)


@pytest.fixture
def clocks():
    return Clocks()


def test_time_goes_on_with_the_clock(clocks):
    age = clocks.age_clock()
    clocks.go(10 * DAY_S)
    assert age.now() == clocks.wall


@pytest.mark.parametrize("leap", [8 * DAY_S, SLACK_S + 1])
def test_a_leap_counts_when_it_has_held(clocks, leap):
    age = clocks.age_clock()
    clocks.wall += leap
    assert age.now() == clocks.wall - leap
    clocks.go(PATIENCE_S / 2)
    assert age.now() == clocks.wall - leap
    clocks.go(PATIENCE_S / 2)
    assert age.now() == clocks.wall


def test_a_leap_that_is_taken_back_never_counted(clocks):
    age = clocks.age_clock()
    for _ in range(3):
        clocks.wall += 8 * DAY_S
        assert age.now() == clocks.wall - 8 * DAY_S
        clocks.wall -= 8 * DAY_S
        clocks.go(PATIENCE_S / 2)
        assert age.now() == clocks.wall


def test_after_a_pause_the_newest_record_says_where_time_was(clocks):
    newest = clocks.wall - 3 * DAY_S
    age = clocks.age_clock(newest)
    assert age.now() == newest
    clocks.go(PATIENCE_S)
    assert age.now() == clocks.wall


def test_a_clock_that_is_set_back_is_believed(clocks):
    age = clocks.age_clock()
    clocks.wall -= 30 * DAY_S
    assert age.now() == clocks.wall
