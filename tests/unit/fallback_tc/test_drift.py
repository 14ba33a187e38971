from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from fallback_tc import dump
from fallback_tc.drift import Drift, drift
from fallback_tc.pair import Options, Steering
from fallback_tc.plan import ruleset
from fallback_tc.rules import Gact, Held, Rule, Verdict, normal
from tests import packets
from tests.unit.fallback_tc.makers import NAMES, PAIR, dumped


def held(rules: list[Rule]) -> list[Held]:
    return dump.held(dumped(rules), NAMES.__getitem__)


def repaired(present: list[Held], found: Drift) -> list[Rule]:
    """What a kernel holds when it has done what it was told, in its order of trying."""
    kept = [one for one in present if one not in found.excess]
    new = {id(old): rule for old, rule in found.changed}
    rules = [normal(new[id(one)]) if id(one) in new else one.rule for one in kept]
    added = [normal(rule) for rule in found.missing]
    return sorted([*rules, *added], key=lambda rule: (rule.device, rule.pref))


def ordered(rules: list[Rule]) -> list[Rule]:
    return sorted(map(normal, rules), key=lambda rule: (rule.device, rule.pref))


def test_what_is_as_it_was_asked_for_needs_nothing():
    for steering in Steering:
        asked = list(ruleset(PAIR, steering))
        found = drift(asked, held(asked))
        assert not found
        assert found == Drift()


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_is_held_is_made_what_was_asked_for(data):
    """Rules lost, rules of another steering, rules in another order within their place."""
    asked = list(ruleset(PAIR, data.draw(st.sampled_from(Steering))))
    former = list(ruleset(PAIR, data.draw(st.sampled_from(Steering))))
    some = data.draw(st.lists(st.sampled_from(former), unique=True))
    present = held(some)
    assert repaired(present, drift(asked, present)) == ordered(asked)


def test_rules_with_other_actions_are_changed_in_place():
    """Tap and forward share the rules that inspect and the way back: no frame is lost between them."""
    tap, forward = ruleset(PAIR, Steering.TAP), ruleset(PAIR)
    found = drift(forward, held(list(tap)))
    changed = {(rule.device, rule.pref) for _, rule in found.changed}
    assert changed == {
        (device, pref) for device in (PAIR.vex, PAIR.vin) for pref in (10000, 10001)
    }


def test_an_address_that_is_not_the_pairs_is_drift():
    asked = list(ruleset(PAIR))
    other = list(ruleset(replace(PAIR, mac=packets.seed_two_mac)))
    found = drift(asked, held(other))
    assert {one.rule.pref for one in found.excess} >= {10000, 10001}
    assert {rule.pref for rule in found.missing} >= {10000, 10001}


def test_what_lets_by_is_taken_away_first_and_added_last():
    with_all = ruleset(PAIR, options=Options(drop_other=False))
    found = drift(list(ruleset(PAIR)), held(list(with_all)))
    prefs = [one.rule.pref for one in found.excess if one.rule.device == PAIR.vex]
    assert prefs == sorted(prefs, reverse=True)
    gone = drift([], held(list(with_all)))
    assert len(gone.excess) == len(with_all)
    whole = drift(list(with_all), [])
    prefs = [rule.pref for rule in whole.missing if rule.device == PAIR.vex]
    assert prefs == sorted(prefs)


def test_a_rule_that_was_slipped_in_behind_ours_is_drift():
    asked = list(ruleset(PAIR))
    slipped = replace(asked[0], actions=(Gact(Verdict.PASS),))
    found = drift(asked, held([*asked, slipped]))
    assert found
    assert repaired(held([*asked, slipped]), found) == ordered(asked)
