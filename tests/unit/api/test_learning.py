"""What was left out is told by reason, the most frequent first."""

from __future__ import annotations

from pyctl.api.learning import left_out_views
from pyctl.policy.sieve import LeftOut, Why
from tests.unit.policy.flows import seen


def test_reasons_come_with_words_and_examples():
    out = LeftOut()
    out.add(Why.UNANSWERED, seen("web-1", "app"))
    out.add(Why.SCAN, seen("db", "app", flows=5))
    first, second = left_out_views(out)
    assert (first.why, first.flows, first.examples) == ("scan", 5, ["db → app"])
    assert second.meaning == "nobody answered, or refused"
