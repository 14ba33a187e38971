"""The answer of a policy as the API shows it: rules in order, the one that decides last."""

from __future__ import annotations

from pyctl.api.v1.question import answer_view
from pyctl.policy.evaluate.question import ask
from tests import packets
from tests.unit.policy.evaluate.test_question import ALL, POLICY


def test_rules_are_shown_up_to_the_one_that_decides():
    shown = answer_view(ask(POLICY, ALL, packets.world_ip4, "db", "tcp/80"))
    assert not shown.opens
    [end] = shown.ends
    assert (end.workload, end.says, end.reason) == ("db", "deny", "policy_deny")
    assert [(rule.id, rule.why_not) for rule in end.rules] == [
        (1, "the destination is not in web"),
        (2, "the source is not in web"),
        (3, "it holds at egress only"),
        (4, None),
    ]


def test_without_a_rule_that_decides_all_are_shown():
    shown = answer_view(ask(POLICY, ALL, packets.world_ip4, "db", "udp/53"))
    [end] = shown.ends
    assert all(rule.why_not for rule in end.rules)
    assert len(end.rules) == 4
