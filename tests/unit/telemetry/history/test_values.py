"""What two ends tell of one flow is one flow; what is another flow stays another."""

from __future__ import annotations

import pytest

from pyctl.model.flow import Answer, Look
from pyctl.telemetry.history.values import Flow, Joined, LiveRecord
from tests.unit.telemetry.history.makers import denied, flow

EGRESS = {"direction": "egress", "port_id": 8, "workload": "client"}


def test_both_ends_are_one_flow_with_both_verdicts():
    joined = Joined()
    joined.add_all([denied(), flow(**EGRESS, started=999.0)])
    (found,) = joined.flows
    assert [end.verdict for end in found.ends] == ["allow", "deny"]
    assert found.decisive.reason == "default_deny"
    assert found.first.direction == "egress"


def test_the_same_ports_at_another_time_are_another_flow():
    joined = Joined()
    joined.add_all([flow(), flow(**EGRESS, started=2000.0, last=2001.0)])
    assert len(joined.flows) == 2


def test_a_flow_that_ended_while_it_was_listed_is_shown_once():
    joined = Joined()
    joined.add(flow())
    joined.add(flow(started=1000.0001, last=1009.0), live=True)
    (found,) = joined.flows
    assert not found.live


def test_a_tuple_that_is_used_again_at_once_is_another_flow():
    joined = Joined()
    joined.add_all([flow(started=1000.0), flow(started=1000.01)])
    assert len(joined.flows) == 2


def test_one_live_end_makes_a_live_flow():
    joined = Joined()
    joined.add(flow())
    joined.add(flow(**EGRESS), live=True)
    assert joined.flows[0].live


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        ([{}], (None, False)),
        ([{}, {"app": "Redis"}], ("Redis", False)),
        ([{"app": "TLS", "app_guessed": True}, {"app": "Redis"}], ("Redis", False)),
        ([{"app": "unknown"}, {"app": "TLS", "app_guessed": 1}], ("TLS", True)),
        ([{}, {"app": "unknown"}], ("unknown", False)),
    ],
)
def test_the_end_that_knows_the_application_best_names_it(ends, shown):
    assert Flow([flow(**end) for end in ends]).app == shown


@pytest.mark.parametrize(
    ("looks", "why"),
    [
        ([Look.NONE], None),
        ([Look.OVER, Look.NONE], None),
        ([Look.DECIDED, Look.NONE], Look.DECIDED),
        ([Look.DECIDED, Look.PENDING], Look.PENDING),
    ],
)
def test_a_live_flow_says_what_keeps_it_out_of_the_kernel(looks, why):
    ends = [LiveRecord(**vars(flow()), look=look) for look in looks]
    assert Flow(ends, live=True).look is why
    assert Flow([flow()]).look is None


OPENED = {"app": "SSH", "answer": Answer.OPEN, "last": 1001.0}
NOT_HERE = {"app": "SSH", "started": 1001.0, "last": 1001.0, "packets": 1}


@pytest.mark.parametrize("turned", [False, True])
def test_a_connection_whose_application_is_denied_is_one_flow(turned):
    joined = Joined()
    both = [flow(**OPENED), denied(**NOT_HERE, back_packets=0)]
    joined.add_all(both[::-1] if turned else both)
    (found,) = joined.flows
    (end,) = found.ends
    assert (end.verdict, end.reason, end.flows) == ("deny", "default_deny", 1)
    assert (end.started, end.packets, end.back_packets) == (1000.0, 4, 2)


@pytest.mark.parametrize(
    "opened",
    [
        {**OPENED, "answer": Answer.DATA},
        {**OPENED, "app": None},
        {**OPENED, "direction": "egress", "port_id": 7},
        {**OPENED, "started": 900.0, "last": 901.0},
    ],
)
def test_what_passed_before_a_denial_is_a_flow_of_its_own(opened):
    joined = Joined()
    joined.add_all([flow(**opened), denied(**NOT_HERE)])
    assert len(joined.flows) == 2
