"""What a rule asks of TLS holds, does not, or is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.model.policy import Action, Direction
from pyctl.policy.document.types import Policy, PortSpec, Rule, Tls
from pyctl.policy.evaluate.explain import explain
from pyctl.policy.evaluate.facts import NOTHING, Facts, why_not_by

ANY = Rule(1, "any", "any", (PortSpec("any", "any"),), Action.ALLOW)
NAMED = replace(ANY, apps=("TLS",), tls=Tls(("*.a", "b")))
OFFERS = replace(NAMED, tls=Tls(alpn=("h2", "http/1.1")))
NEW = replace(NAMED, tls=Tls(min_version="1.2"))


def deny(rule):
    return replace(rule, action=Action.DENY)


@pytest.mark.parametrize(
    ("rule", "facts", "why"),
    [
        (ANY, NOTHING, ""),
        (NAMED, NOTHING, None),
        (NAMED, Facts(sni="x.a"), ""),
        (NAMED, Facts(sni="a"), "its names are *.a, b"),
        (NAMED, Facts(sni=""), "its names are *.a, b"),
        (OFFERS, Facts(sni="b"), None),
        (OFFERS, Facts(alpn=("h2",)), ""),
        (OFFERS, Facts(alpn=("h2", "x")), "its protocols are h2, http/1.1"),
        (deny(OFFERS), Facts(alpn=("h2", "x")), ""),
        (deny(OFFERS), Facts(alpn=("x",)), "its protocols are h2, http/1.1"),
        (OFFERS, Facts(alpn=()), "its protocols are h2, http/1.1"),
        (NEW, Facts(version="1.3"), ""),
        (NEW, Facts(version="1.1"), "it begins with TLS 1.2"),
    ],
)
def test_a_rule_asks_of_tls(rule, facts, why):
    assert why_not_by(rule, facts) == why


def decided(rules, app, facts=NOTHING):
    policy = Policy(rules=rules)
    ends = ({"any"}, {"any"}, 6, 443, 4, Direction.EGRESS)
    return explain(policy, *ends, app, facts)


def test_a_rule_that_rests_on_what_is_not_known_counts_as_if_it_matched():
    rules = (NAMED, replace(ANY, id=2))
    waits = decided(rules, "TLS")
    assert (waits.rule.id, waits.is_open, waits.needs_app) == (1, True, False)
    other = decided(rules, "TLS", Facts(sni="c"))
    assert (other.rule.id, other.is_open) == (2, False)
    assert other.passed_over[0][1] == "its names are *.a, b"
    assert decided(rules, None).needs_app
    assert decided(rules, "SSH").rule.id == 2


def test_a_staged_one_is_found_once_it_is_known():
    staged = replace(NAMED, stage=True, action=Action.DENY)
    rules = (staged, replace(ANY, id=2))
    waits = decided(rules, "TLS")
    assert waits.staged is None
    assert waits.passed_over[0][1] == ("it is staged: it would deny TLS tls sni *.a, b")
    assert decided(rules, "TLS", Facts(sni="b")).staged.id == 1
