"""Which open flows a new policy verdict_changes, and by which rule."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl.model.flow import Answer
from pyctl.model.policy import Direction
from pyctl.model.workload import Mode
from pyctl.policy.document.parse import parse
from pyctl.policy.evaluate.impact import VerdictChange, verdict_changes
from pyctl.policy.evaluate.observed import End, Observed
from pyctl.policy.evaluate.question import ask
from tests import packets
from tests.unit.policy.flows import at
from tests.unit.policy.makers import port, workload
from tests.unit.policy.worlds import policies

WEB = workload("web", port(1, f"{packets.pod_one_ip4}/24"))
DB = workload("db", port(2, f"{packets.pod_two_ip4}/24"))
AT_WEB, AT_DB = End(packets.pod_one_ip4, "web"), End(packets.pod_two_ip4, "db")
OUTSIDE = End(packets.world_ip4)
HEAD = "apiVersion: segctl/v1\ngroups: {web: {selector: {name: web}}, db: {selector: {name: db}}}\n"


def flow(source: End, target: End, number: int = 80, *, passed: bool = True):
    """As an end that is attached has told of it."""
    side = Direction.INGRESS if target.name else Direction.EGRESS
    return Observed(
        *(source, target, "tcp", number, at(source, target, (side,)), passed),
        *(Answer.NONE, 1, 0.0),
    )


def rules(*lines: str, more: str = ""):
    return parse(
        HEAD + more + "rules:\n" + "".join(f"  - {{{one}}}\n" for one in lines)
    )


def test_what_is_denied_from_now_on_is_named_with_its_rule():
    policy = rules("id: 7, from: any, to: web, ports: [tcp/80], action: deny")
    flows = [flow(OUTSIDE, AT_WEB), flow(OUTSIDE, AT_WEB), flow(OUTSIDE, AT_WEB, 81)]
    assert verdict_changes(policy, [WEB], flows) == Counter(
        {
            VerdictChange(OUTSIDE, AT_WEB, "tcp/80", opens=False, rule_id=7): 2,
            VerdictChange(OUTSIDE, AT_WEB, "tcp/81", opens=False, rule_id=None): 1,
        }
    )


def test_a_rejection_cuts_as_a_denial_does_and_a_staged_rule_cuts_nothing():
    lines = (
        "id: 6, from: any, to: web, action: deny, stage: true",
        "id: 7, from: any, to: web, ports: [tcp/80], action: reject",
        "id: 8, from: any, to: web, action: allow",
    )
    flows = [flow(OUTSIDE, AT_WEB), flow(OUTSIDE, AT_WEB, 81)]
    assert verdict_changes(rules(*lines), [WEB], flows) == {
        VerdictChange(OUTSIDE, AT_WEB, "tcp/80", opens=False, rule_id=7): 1
    }


def test_what_is_allowed_from_now_on_is_too():
    policy = rules("id: 1, from: any, to: web, action: allow")
    flows = [flow(OUTSIDE, AT_WEB, passed=False), flow(OUTSIDE, AT_WEB, 81)]
    (turn,) = verdict_changes(policy, [WEB], flows)
    assert (turn.opens, turn.rule_id, turn.service) == (True, 1, "tcp/80")


def test_the_other_end_is_asked_though_the_flow_never_came_there():
    """Its initiator's end has denied it so far."""
    policy = rules(
        "id: 1, from: web, to: db, direction: egress, action: allow",
        "id: 2, from: web, to: db, action: deny",
    )
    denied = flow(AT_WEB, AT_DB, passed=False)
    assert verdict_changes(policy, [WEB, DB], [denied]) == {}
    (turn,) = verdict_changes(policy, [WEB, DB], [flow(AT_WEB, AT_DB)])
    assert (turn.opens, turn.rule_id) == (False, 2)


@pytest.mark.parametrize("mode", Mode)
def test_the_mode_of_an_end_has_its_say(mode):
    policy = rules(
        "id: 1, from: any, to: web, action: deny", more=f"modes: {{web: {mode}}}\n"
    )
    found = verdict_changes(policy, [WEB], [flow(OUTSIDE, AT_WEB)])
    shut = {Mode.PROTECT: 1, Mode.QUARANTINE: None}
    assert [turn.rule_id for turn in found] == ([shut[mode]] if mode in shut else [])


@given(
    policies(apps=True),
    *(st.booleans(), st.sampled_from([80, 443])),
    st.sampled_from([None, "SSH", "unknown"]),
)
def test_it_is_what_the_policy_answers_when_asked(policy, passed, number, app):
    """Of a flow whose application is not known it will not become known: it is under way."""
    loads = [
        workload("w0", port(1, f"{packets.pod_one_ip4}/24"), labels={"app": "a"}),
        workload("w1", port(2, f"{packets.pod_two_ip4}/24")),
    ]
    ends = [End(packets.pod_one_ip4, "w0"), End(packets.pod_two_ip4, "w1"), OUTSIDE]
    for source in ends:
        for target in ends:
            if source == target:
                continue
            addresses = source.address, target.address
            answer = ask(policy, loads, *addresses, f"tcp/{number}", app or "unknown")
            one = replace(flow(source, target, number, passed=passed), app=app)
            found = verdict_changes(policy, loads, [one])
            assert [turn.opens for turn in found] == (
                [] if answer.opens is passed else [answer.opens]
            )
