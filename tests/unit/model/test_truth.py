"""The truth table of modes, as far as it is a matter of thought; traffic runs it in tests/datapath."""

from __future__ import annotations

from pyctl.model.truth import RuleResult, judged, table
from pyctl.model.workload import Mode
from tests.lab.truth_rows import Row, rows


def test_only_protect_and_quarantine_drop():
    """A tap never changes traffic, whatever the verdict."""
    drops = {
        (mode, says)
        for mode in Mode
        for says in RuleResult
        if not judged(mode, says).passes
    }
    assert drops == {
        (Mode.PROTECT, RuleResult.DENY),
        (Mode.PROTECT, RuleResult.NOTHING),
        *((Mode.QUARANTINE, says) for says in RuleResult),
    }


def test_an_end_enforces_its_own_mode_whatever_the_others_is():
    for lax in (None, Mode.DISCOVER, Mode.MONITOR):
        for strict, other in ((Mode.PROTECT, lax), (lax, Mode.PROTECT)):
            assert not Row(
                strict, other, RuleResult.DENY, RuleResult.DENY
            ).outcome.opens
            assert Row(strict, other, RuleResult.ALLOW, RuleResult.ALLOW).outcome.opens


def test_what_the_initiator_drops_the_other_end_does_not_see():
    outcome = Row(Mode.PROTECT, Mode.MONITOR, RuleResult.DENY, RuleResult.DENY).outcome
    assert outcome.egress
    assert (outcome.egress.verdict, outcome.ingress) == ("deny", None)


def test_monitor_records_what_protect_would_deny_and_discover_only_what_a_rule_denies():
    monitor = {says: judged(Mode.MONITOR, says).reason for says in RuleResult}
    protect = {says: judged(Mode.PROTECT, says).reason for says in RuleResult}
    assert monitor == protect
    assert judged(Mode.DISCOVER, RuleResult.DENY).verdict == "violation"
    assert judged(Mode.DISCOVER, RuleResult.NOTHING).verdict == "allow"


def test_rows_are_every_pair_of_modes_with_every_verdict_once():
    found = list(rows())
    assert len(found) == len(set(found)) == 16 * 4 + 8 * 3
    assert {(row.initiator, row.answerer) for row in found} == {
        (one, other) for one in (None, *Mode) for other in (None, *Mode) if one or other
    }


def test_people_read_it_as_a_table():
    lines = [line.split() for line in table().splitlines()]
    assert [
        "monitor",
        "passes",
        "passes,",
        "violation",
        "passes,",
        "violation",
    ] in lines
    assert [
        "discover",
        "+",
        "+",
        "+",
        "+",
        "+",
        "+",
        "+",
        "+",
        "+",
        "+",
        "I",
        "I",
        "I",
        "I",
        "I",
    ] in lines
    assert [
        "protect",
        "+",
        "E",
        "E",
        "+",
        "E",
        "E",
        "+",
        "E",
        "E",
        "+",
        "E",
        "E",
        "I",
        "E",
        "E",
    ] in lines
