"""An address that was looked up is in the groups that take one of its names."""

from __future__ import annotations

import pytest

from pyctl.model.policy import Action
from pyctl.policy.document.types import Group, Policy, Rule
from pyctl.policy.evaluate.facts import Facts
from pyctl.policy.evaluate.looked_up import (
    groups_of_names,
    groups_with_names,
    takes,
    why_not_by_name,
)


@pytest.mark.parametrize(
    ("pattern", "name", "taken"),
    [
        ("db.internal", "db.internal", True),
        ("db.internal", "a.db.internal", False),
        ("*.example.org", "a.example.org", True),
        ("*.example.org", "a.b.example.org", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "evilexample.org", False),
        ("*.example.org", "a.example.org.evil", False),
    ],
)
def test_a_star_is_one_label_or_more_and_never_a_part_of_one(pattern, name, taken):
    assert takes(pattern, name) is taken


def test_one_name_of_a_chain_is_enough():
    groups = {
        "org": Group("org", fqdns=("*.example.org", "x")),
        "com": Group("com", fqdns=("*.example.com",)),
        "any-net": Group("any-net"),
    }
    policy = Policy(groups=groups)
    assert groups_of_names(policy, ["db", "a.example.org"]) == {"org"}
    assert groups_of_names(policy, ()) == frozenset()
    assert groups_with_names(policy) == {"org", "com"}


@pytest.mark.parametrize(
    ("facts", "verify", "action", "matches"),
    [
        (Facts(sni="a.x"), True, Action.ALLOW, True),
        (Facts(sni="b"), True, Action.ALLOW, False),
        (Facts(host="b"), True, Action.ALLOW, False),
        (Facts(sni=""), True, Action.ALLOW, True),
        (Facts(), True, Action.ALLOW, True),
        (Facts(sni="b"), False, Action.ALLOW, True),
        (Facts(sni="b"), True, Action.DENY, True),
    ],
)
def test_the_name_that_a_flow_shows_must_be_of_the_group_that_allows_it(
    facts, verify, action, matches
):
    policy = Policy(groups={"far": Group("far", fqdns=("*.x",), verify=verify)})
    rule = Rule(1, "any", "far", (), action)
    assert (why_not_by_name(policy, rule, facts) == "") is matches
