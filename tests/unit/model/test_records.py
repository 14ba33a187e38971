"""One list of words, for all who write, keep, ask for or show what happened: users' scripts know them."""

from __future__ import annotations

from typing import get_args

import pytest

from pyctl.api.schema.history import EventPage, Flow, Judgement
from pyctl.api.schema.learning import Decision
from pyctl.api.schema.workloads import Event
from pyctl.cli.events import events
from pyctl.cli.flows import flows
from pyctl.model.records import DENIED, EVENT_KINDS, VERDICTS
from pyctl.model.truth import RuleResult, judged
from pyctl.model.workload import Mode
from pyctl.telemetry import report
from pyctl.telemetry.history import values

KINDS = [
    "denial",
    "violation",
    "staged",
    "threat",
    "sensor",
    "lifecycle",
    "kernel-drop",
    "policy",
    "engine",
]


def choices(command, option: str) -> list[str]:
    (found,) = (one for one in command.params if one.name == option)
    return list(found.type.choices)


def test_the_words_are_what_they_were():
    assert list(EVENT_KINDS) == KINDS
    assert list(VERDICTS) == ["allow", "deny", "violation"]
    assert set(DENIED) == {"denial", "violation", "staged", "kernel-drop"}


def test_the_command_line_takes_them_all():
    assert choices(events, "kinds") == KINDS
    assert choices(flows, "verdict") == list(VERDICTS)


@pytest.mark.parametrize("model", [Flow, Judgement, Decision])
def test_the_api_tells_verdicts_in_them(model):
    told = model.model_json_schema()["properties"]["verdict"]
    told = told.get("anyOf", [told])[0]
    assert told["enum"] == list(VERDICTS)


def test_the_api_tells_events_in_them():
    assert Event.model_json_schema()["properties"]["kind"]["enum"] == KINDS
    page = EventPage(
        events=[Event(time=1.5, kind="kernel-drop", message="m")], position=1
    )
    assert page.model_dump_json(exclude_none=True) == (
        '{"events":[{"time":1.5,"kind":"kernel-drop","message":"m"}],"position":1,"lost":0}'
    )


def test_what_judges_and_reports_knows_no_others():
    told = {judged(mode, says).verdict for mode in Mode for says in RuleResult}
    assert told == {None, *VERDICTS}
    assert set(report._KINDS.values()) <= set(get_args(report.EventKind))
    assert sorted(values._WORST) == sorted(VERDICTS)
