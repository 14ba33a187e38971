"""What a policy would change for recorded flows: as both policies say, or uncertain, and why."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl.model.flow import Answer
from pyctl.model.workload import Mode
from pyctl.policy.document.parse import parse
from pyctl.policy.document.types import EMPTY
from pyctl.policy.evaluate.observed import End, Observed
from pyctl.policy.evaluate.simulate import Change, simulate
from pyctl.policy.learn.learn_filter import Why
from pyctl.policy.learn.rules import learn
from pyctl.policy.learn.text import as_yaml, document
from tests import packets
from tests.unit.policy.flows import (
    IPS,
    LOADS,
    SIDES,
    WORLD,
    at,
    end,
    observations,
    seen,
)
from tests.unit.policy.worlds import policies

FAR = packets.gateway_ip4
GROUPS = f"""
apiVersion: segctl/v1
groups:
  web: {{selector: {{name: "web-*"}}}}
  app: {{selector: {{name: app}}}}
  labelled: {{selector: {{labels: {{tier: x}}}}}}
  near: {{cidrs: [{packets.net_ip4}]}}
"""
ALLOWS = parse(
    GROUPS
    + "modes: {any: protect}\n"
    + "rules: [{id: 1, from: web, to: app, ports: [tcp/80], action: allow}]\n"
)
DENIES = parse(GROUPS + "modes: {any: protect}\n")
DISCOVERS = parse(GROUPS + "modes: {any: discover}\n")
MONITORS = parse(GROUPS + "modes: {any: monitor}\n")


def gone(name="gone", sides=SIDES, target="app"):
    ends = End(WORLD, name), end(target)
    return Observed(*ends, "tcp", 80, at(*ends, sides), True, Answer.DATA, 1, 0.0)


def the_case(flow, before, after, mode=None):
    found = simulate([flow], before, after, LOADS, mode=mode)
    (case,) = found.cases
    assert found.flows == {case.change: flow.flows}
    return case


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (ALLOWS, DENIES, Change.DENIED),
        (DENIES, ALLOWS, Change.ALLOWED),
        (ALLOWS, ALLOWS, Change.UNCHANGED),
        (ALLOWS, MONITORS, Change.UNCHANGED),
        (DENIES, MONITORS, Change.ALLOWED),
    ],
)
def test_a_flow_changes_as_the_policies_say(before, after, change):
    case = the_case(seen("web-1", "app", flows=3), before, after)
    assert case.change is change
    assert (case.before.rule_id == 1) is (before is ALLOWS)


def with_rule(text: str):
    return parse(GROUPS + f"modes: {{any: protect}}\nrules:\n  - {{{text}}}\n")


REJECTS = with_rule("id: 1, from: web, to: app, ports: [tcp/80], action: reject")
STAGES_ALLOW = with_rule("id: 1, from: web, to: app, action: allow, stage: true")
STAGES_REJECT = with_rule(
    "id: 1, from: web, to: app, action: reject, stage: true}\n"
    "  - {id: 2, from: any, to: any, action: allow"
)
DECIDED_BEFORE = with_rule(
    "id: 2, from: any, to: any, action: allow}\n"
    "  - {id: 1, from: web, to: app, action: deny, stage: true"
)
DENIED_ANYWAY = with_rule("id: 1, from: web, to: app, action: deny, stage: true")
STAGES_AT_ONE_END = with_rule(
    "id: 1, from: web, to: app, action: deny, stage: true, direction: ingress}\n"
    "  - {id: 2, from: any, to: any, action: allow"
)
STAGES_LABELS = with_rule(
    "id: 1, from: labelled, to: app, action: deny, stage: true}\n"
    "  - {id: 2, from: any, to: any, action: allow"
)


@pytest.mark.parametrize(
    ("before", "after", "change", "rule"),
    [
        (ALLOWS, REJECTS, Change.DENIED, 1),
        (DENIES, REJECTS, Change.UNCHANGED, 1),
        (REJECTS, ALLOWS, Change.ALLOWED, 1),
        (DENIES, STAGES_ALLOW, Change.UNCHANGED, None),
        (ALLOWS, STAGES_ALLOW, Change.DENIED, None),
        (ALLOWS, STAGES_REJECT, Change.UNCHANGED, 2),
        (DENIES, STAGES_REJECT, Change.ALLOWED, 2),
    ],
)
def test_a_rejection_is_a_denial_and_a_staged_rule_decides_nothing(
    before, after, change, rule
):
    case = the_case(seen("web-1", "app"), before, after)
    assert (case.change, case.after.rule_id) == (change, rule)


def test_what_a_staged_rule_would_deny_is_counted_and_shown_by_itself():
    """Whatever else becomes of it; not what is denied already, or of which that is not known."""
    flows = [
        seen("web-1", "app", flows=3),
        seen("web-2", "app", 81),
        seen("web-2", "db", 81),
        gone(sides=SIDES[:1], target=FAR),
    ]
    found = simulate(flows, ALLOWS, STAGES_REJECT, LOADS)
    assert found.flows == {Change.UNCHANGED: 3, Change.ALLOWED: 2, Change.UNCERTAIN: 1}
    assert found.staged == 4
    told = [(case.change, case.after.staged_id) for case, _ in found.staged_examples(5)]
    assert told == [(Change.UNCHANGED, 1), (Change.ALLOWED, 1)]
    assert len(found.staged_examples(1)) == 1
    assert simulate(flows, STAGES_REJECT, ALLOWS, LOADS).staged == 0


@pytest.mark.parametrize(
    ("policy", "flow", "staged"),
    [
        (STAGES_REJECT, seen("web-1", "app"), 1),
        # A rule that would allow; one behind the rule that decides; a denial either way.
        (STAGES_ALLOW, seen("web-1", "app"), None),
        (DECIDED_BEFORE, seen("web-1", "app"), None),
        (DENIED_ANYWAY, seen("web-1", "app"), None),
        # At one end is enough; who has gone may not be meant.
        (STAGES_AT_ONE_END, seen("web-1", "app"), 1),
        (STAGES_LABELS, gone(sides=SIDES[1:]), None),
    ],
)
def test_a_staged_rule_would_deny_what_it_decides(policy, flow, staged):
    case = the_case(flow, ALLOWS, policy)
    assert case.after.staged_id == staged


@pytest.mark.parametrize("mode", [Mode.DISCOVER, Mode.MONITOR, Mode.PROTECT])
def test_a_staged_rule_is_told_in_every_mode_as_it_is_live(mode):
    case = the_case(seen("web-1", "app"), ALLOWS, STAGES_REJECT, mode)
    assert (case.after.verdict, case.after.staged_id) == ("allow", 1)


def test_what_passes_only_because_a_mode_records_is_counted():
    found = simulate([seen("web-1", "app", flows=3)], ALLOWS, MONITORS, LOADS)
    assert found.monitored == 3


def test_a_mode_can_be_tried_out_with_the_policy():
    case = the_case(seen("web-1", "app"), MONITORS, MONITORS, Mode.PROTECT)
    assert (case.change, case.after.verdict) == (Change.DENIED, "deny")


LABELS = parse(
    GROUPS
    + "modes: {any: protect}\n"
    + "rules: [{id: 1, from: labelled, to: app, action: allow}]\n"
)
NEAR = parse(
    GROUPS
    + "modes: {any: protect}\n"
    + "rules: [{id: 1, from: near, to: app, action: allow}]\n"
)


@pytest.mark.parametrize(
    ("flow", "policy", "why"),
    [
        (gone(sides=SIDES[:1], target=FAR), DENIES, "gone is not attached any more"),
        (gone(sides=SIDES[1:]), LABELS, "gone has gone, and its labels are not known"),
        (gone("web-1", SIDES[1:]), NEAR, "web-1 has another address by now"),
        (seen("web-1", "app", None), DENIES, "without its port"),
        (seen("web-1", "app", sides=()), DENIES, "which way it was opened"),
    ],
)
def test_what_cannot_be_known_is_uncertain_and_says_why(flow, policy, why):
    case = the_case(flow, ALLOWS, policy)
    assert case.change is Change.UNCERTAIN
    assert why in case.after.why


def test_one_that_has_gone_is_certain_where_its_name_is_enough():
    case = the_case(gone("web-9"), ALLOWS, ALLOWS)
    assert (case.change, case.after.rule_id) == (Change.UNCHANGED, 1)


def test_examples_are_those_with_the_most_flows_of_each_change():
    flows = [
        seen("web-1", "app", 80, flows=1),
        seen("web-2", "app", 80, flows=5, last=7.0),
        seen("web-2", "app", 80, flows=5, last=9.0),
        seen("app", "db"),
        gone(sides=SIDES[:1], target=FAR),
    ]
    found = simulate(flows, ALLOWS, DENIES, LOADS)
    ((first, count), (second, _)) = found.examples(1)
    assert (first.source, count, found.last[first]) == ("web-2", 10, 9.0)
    assert second.change is Change.UNCERTAIN


@given(policies(), policies(), st.lists(observations, max_size=20))
def test_the_other_way_round_what_was_denied_is_allowed(one, other, flows):
    there = simulate(flows, one, other, LOADS).flows
    back = simulate(flows, other, one, LOADS).flows
    assert there[Change.DENIED] == back[Change.ALLOWED]
    assert there[Change.UNCHANGED] == back[Change.UNCHANGED]
    assert sum(there.values()) == sum(flow.flows for flow in flows)


@given(st.lists(observations, max_size=20))
def test_what_was_learned_denies_nothing_of_what_it_was_learned_from(flows):
    learned = learn(flows, EMPTY, LOADS)
    policy = parse(as_yaml(document(learned, ""), "learned"))
    found = simulate(flows, DISCOVERS, policy, LOADS, mode=Mode.PROTECT)
    silent = sum(flow.flows for flow in flows if flow.answer is Answer.NONE)
    left_out = learned.left_out.flows
    assert found.flows[Change.DENIED] <= sum(left_out.values())
    assert left_out[Why.UNANSWERED] + left_out[Why.SCAN] >= silent


def test_twenty_thousand_flows_take_a_second_or_two():
    """No two alike, against ten thousand rules and a thousand networks."""
    nets = "\n".join(f'  n{n}: {{cidrs: ["2001:db8:{n:x}::/48"]}}' for n in range(1000))
    body = "\n".join(
        f"  - {{id: {n + 1}, from: n{n % 1000}, to: app, ports: [tcp/{n + 1}], action: allow}}"
        for n in range(10000)
    )
    policy = parse(f"{GROUPS}{nets}\nmodes: {{any: protect}}\nrules:\n{body}\n")
    target = End(IPS["app"], "app")
    initiators = [End(f"2001:db8:{n % 1000:x}::{n // 1000:x}") for n in range(20000)]
    flows = [
        Observed(
            *(
                initiator,
                target,
                "tcp",
                n % 10000 + 1,
                at(initiator, target, SIDES[1:]),
            ),
            *(True, Answer.DATA, 1, 0.0),
        )
        for n, initiator in enumerate(initiators)
    ]
    started = time.process_time()
    found = simulate(flows, DENIES, policy, LOADS)
    assert time.process_time() - started < 10
    assert found.flows == {Change.ALLOWED: 20000}
