"""What was left out is told by reason, the most frequent first."""

from __future__ import annotations

from pyctl.api.v1.learning import case_views, left_out_views
from pyctl.model.workload import Mode
from pyctl.policy.document.types import EMPTY
from pyctl.policy.evaluate.simulate import simulate
from pyctl.policy.learn.learn_filter import LeftOut, Why
from tests.unit.policy.flows import LOADS, seen


def test_reasons_come_with_words_and_examples():
    out = LeftOut()
    out.add(Why.UNANSWERED, seen("web-1", "app"))
    out.add(Why.SCAN, seen("db", "app", flows=5))
    first, second = left_out_views(out)
    assert (first.why, first.flows, first.examples) == ("scan", 5, ["db → app"])
    assert second.meaning == "nobody answered, or refused"


def test_cases_say_what_was_and_what_would_be():
    found = simulate([seen("web-1", "app")], EMPTY, EMPTY, LOADS, mode=Mode.MONITOR)
    (case,) = case_views(found, found.examples(5))
    assert (case.change, case.before.verdict) == ("allowed", "deny")
    assert (case.after.verdict, case.why) == ("violation", None)
    assert not case_views(found, found.examples(0))
