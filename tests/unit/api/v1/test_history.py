"""A flow is shown from its initiator's side, with the verdict that was its decision."""

from __future__ import annotations

from pyctl.api.v1.history import flow_view
from pyctl.model.flow import Look
from pyctl.telemetry.history.values import Flow, LiveRecord
from tests.unit.telemetry.history.makers import denied, flow


def test_a_flow_between_two_workloads_has_one_fate_and_two_judgements():
    sent = flow(direction="egress", port_id=8, workload="client", last=1020.0)
    shown = flow_view(Flow([sent, denied()]))
    assert (shown.direction, shown.verdict, shown.reason) == (
        "both",
        "deny",
        "default_deny",
    )
    assert (shown.source_name, shown.destination_name) == ("client", "web")
    assert [(one.workload, one.verdict) for one in shown.judged] == [
        ("client", "allow"),
        ("web", "deny"),
    ]
    assert (shown.last, shown.bytes, shown.bytes_back) == (1020.0, 300, 200)


def test_one_end_alone_tells_its_direction():
    assert flow_view(Flow([flow()], live=True)).direction == "ingress"


def test_a_flow_has_its_application_and_why_it_is_not_in_the_kernel():
    held = LiveRecord(**vars(flow(app="Redis", app_guessed=True)), look=Look.PENDING)
    shown = flow_view(Flow([held], live=True))
    assert (shown.app, shown.app_guessed, shown.look) == ("Redis", True, "pending")
    shown = flow_view(Flow([flow()]))
    assert (shown.app, shown.app_guessed, shown.look) == (None, False, None)
