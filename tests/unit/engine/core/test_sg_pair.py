"""A staged rule is judged and told of, and changes nothing."""

from __future__ import annotations

import pytest

from pyctl.model.policy import Action, NodeRule
from pyctl.model.workload import Mode
from tests.unit.engine.core.harness import DROP, EGRESS, STAGED
from tests.unit.engine.core.node import ALL
from tests.unit.engine.core.wire import Connection, udp

ALLOW, DENY, REJECT = Action


def rule(number: int, action: Action, *, staged: bool = False) -> NodeRule:
    return NodeRule(number, 0, 0, ALL, action, staged=staged)


@pytest.mark.parametrize("action", [DENY, REJECT])
def test_a_flow_that_a_staged_rule_would_deny_passes_and_is_told(node, net, action):
    node.judge_by(rule(7, action, staged=True), rule(8, ALLOW))
    assert node.core.passes(net.out(udp()))
    connection = Connection(net, EGRESS, sport=7).established(node.core)
    assert node.core.passes(connection.segment(1, "PA", b"answer"))
    assert node.core.told().count(("staged", "staged_deny")) == 2
    for session in node.core.sessions():
        assert (session.rule_id, session.violation) == (7, 1)
        assert session.verdict == 1
    # The kernel carries it as any other.
    assert len(node.core.flows) == 2


def test_a_denial_tells_which_staged_rule_would_allow_it(node, net):
    node.judge_by(rule(7, ALLOW, staged=True), rule(8, DENY))
    assert not node.core.passes(net.out(udp()))
    told = [(event.rule_id, event.kind) for event in node.core.events()]
    assert told == [(7, STAGED), (8, DROP)]
    assert node.core.counters()["staged_allow"] == 1
    assert node.core.drops() == {"policy_deny": 1}


@pytest.mark.parametrize(
    ("staged", "decides", "passes"), [(ALLOW, ALLOW, True), (DENY, DENY, False)]
)
def test_where_both_say_the_same_there_is_nothing_to_tell(
    node, net, staged, decides, passes
):
    node.judge_by(rule(7, staged, staged=True), rule(8, decides))
    assert node.core.passes(net.out(udp())) is passes
    assert "staged" not in {kind for kind, _ in node.core.told()}


def test_the_first_of_several_staged_rules_speaks(node, net):
    node.judge_by(
        rule(6, DENY, staged=True), rule(7, ALLOW, staged=True), rule(8, ALLOW)
    )
    assert node.core.passes(net.out(udp()))
    assert [session.rule_id for session in node.core.sessions()] == [6]


def test_behind_the_rule_that_decides_a_staged_one_says_nothing(node, net):
    node.judge_by(rule(8, ALLOW), rule(7, DENY, staged=True))
    assert node.core.passes(net.out(udp()))
    assert "staged" not in {kind for kind, _ in node.core.told()}


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(Mode.DISCOVER, "staged_deny"), (Mode.MONITOR, "default_deny")],
)
def test_where_the_mode_records_a_denial_that_goes_before(node, net, mode, reason):
    """In discover what no rule matches is none; in monitor the default denies as protect would."""
    node.judge_by(rule(7, DENY, staged=True), mode=mode)
    assert node.core.passes(net.out(udp()))
    assert reason in {reason for _, reason in node.core.told()}


def test_a_rule_that_leaves_the_stage_decides_at_the_next_packet(node, net):
    node.judge_by(rule(7, DENY, staged=True), rule(8, ALLOW))
    assert node.core.passes(net.out(udp()))
    node.judge_by(rule(7, DENY), rule(8, ALLOW))
    assert not node.core.passes(net.out(udp()))
