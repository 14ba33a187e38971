"""Records of both ends as one flow that remembers how each of them saw it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.model.flow import Answer
from pyctl.model.policy import Direction
from pyctl.telemetry.history.learning import observed
from pyctl.telemetry.history.values import Flow, FlowRecord
from tests import packets

RECORD = FlowRecord(
    *(1.0, 2.0, "gate", 3, "egress", "tcp", packets.world_ip4, 40000),
    *(packets.pod_two_ip4, 80, "gate", "db", 1, 1, 1, 1, 0, 0, "allow", None, None),
)


def test_each_end_keeps_what_it_knew_of_the_other():
    """The gateway is known by its port; to db it is an address that nobody has."""
    at_db = replace(
        RECORD,
        workload="db",
        port_id=2,
        direction="ingress",
        source_name=None,
    )
    flow = observed(Flow([RECORD, at_db]))
    assert (flow.source.name, flow.target.name) == ("gate", "db")
    assert [(side.direction, side.source.name) for side in flow.sides] == [
        (Direction.EGRESS, "gate"),
        (Direction.INGRESS, None),
    ]
    assert [side.own.name for side in flow.sides] == ["gate", "db"]


@pytest.mark.parametrize(
    ("said", "app"),
    [
        ({}, None),
        ({"app": "Redis"}, "Redis"),
        ({"app": "Redis", "app_guessed": True}, None),
        ({"app": "unknown"}, "unknown"),
    ],
)
def test_a_guess_of_an_application_is_nothing_to_learn_from(said, app):
    assert observed(Flow([replace(RECORD, **said)])).app == app


DATA, OPEN = {"answer": Answer.DATA}, {"answer": Answer.OPEN}


@pytest.mark.parametrize(
    ("ends", "answer"),
    [
        ([OPEN], Answer.OPEN),
        ([OPEN, DATA], Answer.DATA),
        ([{**DATA, "app": "SSH"}], Answer.DATA),
        ([{**OPEN, "app": "SSH"}], Answer.NONE),
        ([DATA, {**OPEN, "app": "unknown"}], Answer.NONE),
        ([DATA, {**OPEN, "app": "SSH", "app_guessed": True}], Answer.NONE),
    ],
)
def test_a_connection_that_was_denied_for_its_application_has_no_answer(ends, answer):
    """The initiator's end has let its payload go, and says that it was answered."""
    assert observed(Flow([replace(RECORD, **end) for end in ends])).answer is answer
