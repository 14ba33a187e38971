"""What the engine tells of a flow is one kind of record, be it an event or a session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.engine.records import EngineEvent
from pyctl.model.flow import Look
from pyctl.model.policy import Action
from pyctl.state.names import names_of
from pyctl.telemetry.history.convert import live, of_event, record_of
from tests.unit.telemetry.test_open_flows import AT_DB, AT_WEB, LOADS

NAMES = names_of(LOADS)
SAID = {
    name: getattr(AT_WEB, name)
    for name in ("port_id", "direction", "proto", "source", "sport", "destination")
}
END = EngineEvent(
    **SAID,
    kind="flow_end",
    dport=80,
    verdict=Action.ALLOW,
    rule_id=0,
    violation=False,
    created_ns=0,
    last_seen_ns=0,
    packets=(1, 1),
    bytes=(1, 1),
)


def test_an_end_and_a_session_of_one_flow_say_the_same():
    end, session = of_event(END, NAMES), record_of(AT_WEB, NAMES)
    moments = {"started": 0.0, "last": 0.0}
    assert replace(end, **moments) == replace(session, **moments)
    assert (end.source_name, end.destination_name, end.protocol) == ("web", "db", "tcp")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "allow"),
        ({"violation": True}, "violation"),
        ({"verdict": Action.DENY}, "deny"),
    ],
)
def test_a_record_has_the_verdict_that_was_carried_out(change, verdict):
    assert record_of(replace(AT_DB, **change), NAMES).verdict == verdict


def test_violations_without_an_end_and_what_is_no_flow_are_no_records():
    assert of_event(replace(END, kind="violation"), NAMES) is None
    assert of_event(replace(END, kind="drop", source=""), NAMES) is None


def test_flows_that_go_on_are_neither_over_nor_denied():
    denied, over = replace(AT_WEB, verdict=Action.DENY), replace(AT_WEB, ended=True)
    held = replace(AT_WEB, look=Look.PENDING)
    (found,) = live([held, denied, over], NAMES)
    assert found.look is Look.PENDING


def test_a_record_has_the_application_and_whether_it_is_a_guess():
    found = record_of(replace(AT_WEB, app="Redis", app_guessed=True), NAMES)
    assert (found.app, found.app_guessed) == ("Redis", True)


def test_a_record_has_the_names_under_which_its_destination_was_looked_up():
    names = names_of(LOADS)
    names.learn({(AT_WEB.port_id, AT_WEB.destination): ("a.example", "b.example")})
    assert record_of(AT_WEB, names).looked_up == "a.example b.example"
    assert record_of(AT_DB, names).looked_up == ""
    assert record_of(AT_WEB, NAMES).looked_up == ""
