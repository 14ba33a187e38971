"""The commands, token for token; and what tc itself makes of them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from fallback_tc import netlink, render
from fallback_tc.pair import CLASSIC, Options, Pair, Steering
from fallback_tc.plan import guard, ruleset
from fallback_tc.rules import (
    Header,
    Match,
    Munge,
    Parent,
    Pedit,
    Rule,
    Unknown,
    normal,
)
from tests import packets
from tests.unit.fallback_tc.makers import LINKS, PAIR, RULES
from tests.unit.fallback_tc.seeds import BY_HAND, EXPLAINED


def test_the_explained_ruleset_comes_out_token_for_token():
    lines = [render.add(rule) for rule in ruleset(PAIR, options=CLASSIC)]
    assert lines == EXPLAINED.splitlines()


def test_every_command_of_the_pair_wired_by_hand_comes_out_token_for_token():
    pair = Pair(
        vex="vex",
        vin="vin",
        bridge="vbr",
        mac=packets.seed_two_mac,
        ucmac=packets.seed_two_ucmac,
        pref_ex=5,
        pref_in=172,
    )
    rules = ruleset(pair, options=CLASSIC)
    typed = BY_HAND.splitlines()
    assert all(line.startswith("tc qdisc add dev ") for line in typed[:3])
    # By hand one went through the devices in another order.
    assert sorted(render.add(rule) for rule in rules) == sorted(typed[3:])


def test_deletions_name_each_place_once_and_begin_with_what_lets_by():
    rules = ruleset(PAIR)
    lines = render.deletions(rules)
    assert len(lines) == len({rule.place for rule in rules})
    on_vex = [line for line in lines if PAIR.vex in line]
    prefs = [int(line.split()[6]) for line in on_vex]
    assert prefs == sorted(prefs, reverse=True)
    assert all(line.startswith("tc filter del dev ") for line in lines)


def sent_like(rules, tc_shim):
    """tc's own messages for the commands, and ours for the rules."""
    batch = [render.add(rule).removeprefix("tc ") for rule in rules]
    theirs = [(k, f & ~0x5, body) for k, f, body in tc_shim.sent(batch, LINKS)]
    ours = [tuple(netlink.add(rule, LINKS.__getitem__)) for rule in rules]
    return theirs, ours


@pytest.mark.parametrize("options", [Options(), CLASSIC], ids=["default", "classic"])
@pytest.mark.parametrize("steering", list(Steering))
def test_tc_reads_a_command_as_the_message_that_we_send(options, steering, tc_shim):
    """So both ways to install a ruleset install the same, byte for byte."""
    rules = (*guard(PAIR.bridge, options), *ruleset(PAIR, steering, options))
    if rules:
        theirs, ours = sent_like(rules, tc_shim)
        assert theirs == ours


@given(rule=RULES)
@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_tc_reads_any_rule_as_the_message_that_we_send(rule, tc_shim):
    """Odd masks, odd MACs, kept bits; and likewise in the kernel's form, read and told again."""
    theirs, ours = sent_like([rule, normal(rule)], tc_shim)
    assert theirs == ours
    assert ours[0] == ours[1]


@pytest.mark.parametrize(
    ("match", "words"),
    [
        (Match(1, 0, 0), "match u8 0 0"),
        (Match(1, 0, 1, -14), "match u8 0 1 at -14"),
        (Match(1, 10, 0x1F, 6), "match u8 0x0a 0x1f at 6"),
        (Match(2, 0x2, 0xFFFF, -4), "match u16 0x0002 0xffff at -4"),
        (Match(4, 0x2, 0xF, 8), "match u32 0x00000002 0x0000000f at 8"),
    ],
)
def test_numbers_are_spelled_as_the_classic_rules_spell_them(match, words):
    rule = Rule("vex", Parent.INGRESS, 1, "all", (match,), ())
    assert render.add(rule).endswith(f" u32 {words}")


@pytest.mark.parametrize(
    "action", [Unknown("police"), Pedit((Munge(4, 1, 4, header=Header.ETH),))]
)
def test_what_tc_has_no_words_for_is_refused(action):
    rule = Rule("vex", Parent.INGRESS, 1, "all", (Match(1, 0, 0),), (action,))
    with pytest.raises(ValueError, match=r"no tc command|no words"):
        render.add(rule)
