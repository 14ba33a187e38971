"""A workload has so many lines of the log; what is beyond them is told in one."""

from __future__ import annotations

from pyctl.telemetry.events import Event
from pyctl.telemetry.log_budget import BURST, INTERVAL_S, REFILL_S, LogBudget


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def denial(workload="web", kind="denial", packets=3):
    return Event(kind, "no", workload=workload, packets=packets)


def test_a_day_of_denials_is_few_lines_and_every_one_is_counted():
    clock = Clock()
    budget = LogBudget(clock)
    lines, told, seconds = 0, [], 600
    for _ in range(seconds):
        for _ in range(40):
            lines += budget.admits(denial())
        clock.now += 1
        told += budget.sums()
    clock.now += INTERVAL_S
    told += budget.sums()
    assert lines <= BURST + seconds / REFILL_S
    assert len(told) <= seconds / INTERVAL_S + 1
    assert lines * 3 + sum(one.packets for one in told) == 40 * seconds * 3
    assert told[0].kind == "denial"
    assert told[0].workload == "web"


def test_others_and_other_kinds_have_lines_of_their_own():
    budget = LogBudget(Clock())
    while budget.admits(denial()):
        pass
    assert budget.admits(denial("db"))
    assert budget.admits(denial(kind="lifecycle"))


def test_repeats_cost_no_line_and_are_in_the_sum():
    clock = Clock()
    budget = LogBudget(clock)
    assert budget.admits(denial())
    budget.repeats(denial())
    assert budget.sums() == []
    clock.now += INTERVAL_S
    (told,) = budget.sums()
    assert (told.packets, told.message[:8]) == (3, "1 more e")
    assert budget.sums() == []


def test_of_events_without_a_count_no_packets_are_told():
    clock = Clock()
    budget = LogBudget(clock)
    for _ in range(3):
        budget.repeats(denial(packets=None))
    clock.now += INTERVAL_S
    assert budget.sums()[0].packets is None


def test_nothing_is_kept_of_whoever_is_quiet():
    clock = Clock()
    budget = LogBudget(clock)
    for number in range(100):
        budget.admits(denial(f"pod-{number}"))
    clock.now += BURST * REFILL_S
    budget.sums()
    assert vars(budget)["_accounts"] == {}
