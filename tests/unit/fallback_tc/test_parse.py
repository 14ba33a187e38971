from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from fallback_tc import dump, parse
from fallback_tc.pair import CLASSIC, Options, Pair, Steering
from fallback_tc.plan import ruleset
from fallback_tc.rules import Parent, Unknown, normal
from tests import packets
from tests.unit.fallback_tc.makers import LINKS, NAMES, PAIR, RULES, dumped, on
from tests.unit.fallback_tc.seeds import SHOWN

SHOWN_PAIR = Pair(
    vex="vex74f9-eth0",
    vin="vin74f9-eth0",
    bridge="vbr-neuv",
    mac=packets.seed_shown_mac,
    ucmac=packets.seed_shown_ucmac,
    pref_ex=5,
    pref_in=27,
)


def test_what_a_kernel_once_showed_is_the_pairs_ruleset():
    """The document's own output, of an iproute2 that printed `flowid ???`."""
    asked = on(ruleset(SHOWN_PAIR, options=CLASSIC), SHOWN_PAIR.bridge)
    found = parse.text(SHOWN, SHOWN_PAIR.bridge)
    assert [one.rule for one in found] == [normal(rule) for rule in asked]
    assert [one.handle for one in found] == [0x80000800, 0x80100800]


@pytest.mark.parametrize("options", [Options(), CLASSIC], ids=["default", "classic"])
@pytest.mark.parametrize("steering", list(Steering))
@pytest.mark.parametrize("device", [PAIR.vex, PAIR.vin, PAIR.bridge])
@pytest.mark.parametrize("more", [[], ["-s"], ["-d"]], ids=["plain", "-s", "-d"])
def test_what_tc_prints_today_is_the_ruleset(options, steering, device, more, tc_shim):
    asked = on(ruleset(PAIR, steering, options), device)
    bodies = dumped(asked)
    wanted = dump.held(bodies, NAMES.__getitem__)
    assert [one.rule for one in wanted] == sorted(
        map(normal, asked), key=lambda rule: rule.pref
    )
    shown = tc_shim.shown(bodies, device, LINKS, *more)
    assert parse.text(shown, device) == wanted
    as_json = tc_shim.shown(bodies, device, LINKS, "-j", *more)
    assert parse.json_text(as_json, device) == wanted


@given(rule=RULES)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_rule_survives_being_shown(rule, tc_shim):
    """Odd masks, odd MACs, kept bits."""
    bodies = dumped([rule])
    shown = tc_shim.shown(bodies, rule.device, LINKS)
    (found,) = parse.text(shown, rule.device)
    assert found.rule == normal(rule)
    as_json = tc_shim.shown(bodies, rule.device, LINKS, "-j")
    assert parse.json_text(as_json, rule.device) == [found]


def test_the_hook_is_taken_from_the_line_or_from_who_asked(tc_shim):
    asked = on(ruleset(PAIR, options=CLASSIC), PAIR.vex)
    said = tc_shim.shown(dumped(asked), PAIR.vex, LINKS)
    assert "parent ffff:" in said
    silent = tc_shim.shown(dumped(asked), PAIR.vex, LINKS, where=("parent", "ffff:"))
    assert "parent" not in silent
    for text, default in ((said, Parent.CLSACT_INGRESS), (silent, Parent.INGRESS)):
        found = parse.text(text, PAIR.vex, default)
        assert [one.rule for one in found] == [normal(rule) for rule in asked]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("match 75560005/ffffffff at -12", "match 75560005/ffffffff at nexthdr+-12"),
        ("pedit action pipe keys", "pedit action drop keys"),
        ("at -16: val 00000a3c mask ffff0000", "at -16: add 00000a3c mask ffff0000"),
        ("at -16: val 00000a3c mask ffff0000", "at tcp+0: val 0000003c mask ffff0000"),
        ("at -16: val 00000a3c mask ffff0000", "at -16: val 00000a3c mask ffffffff"),
        ("vin74f9-eth0) pipe", "vin74f9-eth0) stolen"),
        ("Egress Mirror to device vin74f9-eth0", "Ingress Mirror to device lo"),
        (
            "order 2: mirred (Egress Mirror to device vin74f9-eth0) pipe",
            "order 2: gact action pass random",
        ),
        (
            "terminal flowid ??? not_in_hw\n  match 00004e65",
            "*flowid 1:1 not_in_hw\n  match 00004e65",
        ),
        ("ht 800 bkt 0 terminal", "ht 800 bkt 0 link 801: terminal"),
        ("pref 5 u32 chain 0 fh 800::800", "pref 5 u32 chain 3 fh 800::800"),
        ("index 5 ref 1 bind 1", "police 0x1 rate 1Mbit"),
    ],
)
def test_what_is_not_ours_differs_from_all_that_is_asked_for(old, new):
    assert old in SHOWN
    first, second = parse.text(SHOWN.replace(old, new, 1), "vbr-neuv")
    assert any(isinstance(action, Unknown) for action in first.rule.actions)
    assert second == parse.text(SHOWN, "vbr-neuv")[1]


def test_filters_of_other_kinds_are_left_out():
    """The eBPF datapath's stands on the same hook."""
    other = (
        "filter protocol all pref 10001 bpf chain 0 \n"
        "filter protocol all pref 10001 bpf chain 0 handle 0x1 seg_from_vbr "
        "direct-action not_in_hw id 7 tag 57cd311f2e27366b jited \n"
    )
    assert parse.text(other + SHOWN, "vbr-neuv") == parse.text(SHOWN, "vbr-neuv")
    assert parse.text("", "vbr-neuv") == []
    assert parse.json_text("", "vbr-neuv") == []
    assert parse.json_text('[{"kind": "bpf", "protocol": "all"}]', "vbr-neuv") == []


def test_filters_of_another_hook_are_refused():
    for line in (
        "filter parent 1: protocol ip pref 1 u32 chain 0 fh 800::800",
        "filter egress protocol ip pref 1 u32 chain 0 fh 800::800",
        "filter of something else",
    ):
        with pytest.raises(ValueError, match="filter"):
            parse.text(line, "vbr-neuv")
