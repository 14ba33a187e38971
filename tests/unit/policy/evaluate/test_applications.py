"""What a rule for applications is to a flow of one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.model.apps import NUMBERS
from pyctl.model.policy import Action
from pyctl.policy.document.types import PortSpec, Rule
from pyctl.policy.evaluate.applications import (
    action_for,
    named_by,
    told_apart,
    why_not,
    with_action_for,
)

PLAIN = Rule(1, "any", "any", (PortSpec("any", "any"),), Action.ALLOW)
WEB = replace(PLAIN, apps=("HTTP", "TLS"))
STRICT = replace(WEB, app_unknown=Action.DENY)
TCP, UDP, ICMP = 6, 17, 1


@pytest.mark.parametrize(
    ("rule", "proto", "app", "why"),
    [
        (PLAIN, ICMP, None, ""),
        (PLAIN, TCP, "SSH", ""),
        (WEB, TCP, None, ""),
        (WEB, UDP, "TLS", ""),
        (WEB, TCP, "DoT", ""),
        (WEB, TCP, "SSH", "its applications are HTTP, TLS"),
        (WEB, TCP, "unknown", "its applications are HTTP, TLS"),
        (STRICT, TCP, "unknown", ""),
        (STRICT, TCP, "SSH", "its applications are HTTP, TLS"),
        (STRICT, ICMP, None, "only tcp and udp have applications"),
    ],
)
def test_a_rule_matches_its_applications_and_those_that_they_contain(
    rule, proto, app, why
):
    assert why_not(rule, proto, app) == why


@pytest.mark.parametrize(
    ("rule", "app", "action"),
    [
        (STRICT, "unknown", Action.DENY),
        (STRICT, "TLS", Action.ALLOW),
        (STRICT, None, Action.ALLOW),
        (PLAIN, "unknown", Action.ALLOW),
    ],
)
def test_only_for_the_unknown_one_its_own_verdict_counts(rule, app, action):
    assert action_for(rule, app) is action
    assert with_action_for(rule, app) == replace(rule, action=action)


def test_where_no_rule_decides_there_is_no_action():
    assert with_action_for(None, "unknown") is None


def test_rules_tell_apart_what_they_name_one_more_and_the_unknown():
    off = replace(PLAIN, apps=("SSH",), enabled=False)
    assert told_apart([PLAIN, off]) == ()
    rules = [PLAIN, off, replace(WEB, apps=("TLS",))]
    assert named_by(rules) == ("TLS", "DoT")
    assert told_apart(rules) == ("TLS", "DoT", "HTTP", "unknown")
    every = replace(PLAIN, apps=tuple(NUMBERS))
    assert told_apart([every]) == (*NUMBERS, "unknown")
