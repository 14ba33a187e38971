"""The dump of a kernel, read; and held to what tc makes of the same dump."""

from __future__ import annotations

import struct

import pytest
from hypothesis import HealthCheck, given, settings

from fallback_tc import netlink
from fallback_tc.dump import held
from fallback_tc.pair import CLASSIC, Options, Pair, Steering
from fallback_tc.plan import ruleset
from fallback_tc.rules import Parent, Unknown, normal
from tests import packets
from tests.lab.datapath import tc_text
from tests.unit.fallback_tc.makers import LINKS, NAMES, PAIR, RULES, dumped, on
from tests.unit.fallback_tc.seeds import SHOWN

name = NAMES.__getitem__


@given(rule=RULES)
def test_a_rule_comes_back_as_the_kernel_keeps_it(rule):
    (found,) = held(dumped([rule]), name)
    assert found.rule == normal(rule)
    assert found.handle == 0x80000800


@pytest.mark.parametrize("options", [Options(), CLASSIC], ids=["default", "classic"])
def test_a_ruleset_comes_back_in_the_order_of_its_rules(options):
    for device in (PAIR.vex, PAIR.vin, PAIR.bridge):
        asked = on(ruleset(PAIR, Steering.TAP, options), device)
        assert [one.rule for one in held(dumped(asked), name)] == [*map(normal, asked)]


CONTROL = struct.pack("=IIiii", 0, 0, 3, 0, 0)


def changed(old: bytes, new: bytes) -> list[bytes]:
    rule = ruleset(PAIR, options=CLASSIC)[0]
    bodies = dumped([rule])
    assert bodies[-1].count(old) == 1
    return [*bodies[:-1], bodies[-1].replace(old, new)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"pedit\0", b"skbed\0"),
        # pedit that drops in place of going on
        (CONTROL + b"\2\0\0\0\xff", CONTROL.replace(b"\3", b"\2") + b"\2\0\0\0\xff"),
        (struct.pack("=iI", 2, 10000000), struct.pack("=iI", 1, 10000000)),
        # a key whose place depends on another byte of the frame
        (
            struct.pack("=iI", -12, 0) + bytes(8),
            struct.pack("=iI", -12, 0) + b"\xff" + bytes(7),
        ),
        # not terminal
        (b"\1\0\2\0" + bytes(12), b"\0\0\2\0" + bytes(12)),
    ],
    ids=["kind", "control", "direction", "offmask", "flags"],
)
def test_what_is_not_ours_differs_from_all_that_is_asked_for(old, new):
    (found,) = held(changed(old, new), name)
    assert any(isinstance(action, Unknown) for action in found.rule.actions)


def test_a_filter_that_links_or_marks_is_not_ours():
    body = dumped([ruleset(PAIR)[0]])[-1]
    at = netlink.TCMSG.size + 16
    options = body[at + 4 :]
    for extra, word in ((3, "link"), (10, "mark"), (1, "classid")):
        more = options + struct.pack("=HHI", 8, extra, 0x80100000)
        made = body[:at] + struct.pack("=HH", len(more) + 4, 2) + more
        (found,) = held([made], name)
        assert found.rule.actions[-1] == Unknown(word)


def test_filters_of_other_kinds_are_left_out():
    bodies = [body.replace(b"u32\0", b"bpf\0") for body in dumped([ruleset(PAIR)[0]])]
    assert held(bodies, name) == []


@pytest.mark.parametrize("cut", [3, 25, 31, -9])
def test_bodies_that_are_cut_short_are_refused(cut):
    body = dumped([ruleset(PAIR)[0]])[-1]
    with pytest.raises(ValueError, match=r"attribute|no filter"):
        held([body[:cut]], name)


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
    found = tc_text.read(SHOWN, SHOWN_PAIR.bridge)
    assert [one.rule for one in found] == [normal(rule) for rule in asked]
    assert [one.handle for one in found] == [0x80000800, 0x80100800]


@pytest.mark.parametrize("options", [Options(), CLASSIC], ids=["default", "classic"])
@pytest.mark.parametrize("steering", list(Steering))
@pytest.mark.parametrize("device", [PAIR.vex, PAIR.vin, PAIR.bridge])
@pytest.mark.parametrize("more", [[], ["-s"], ["-d"]], ids=["plain", "-s", "-d"])
def test_what_tc_prints_today_is_the_ruleset(options, steering, device, more, tc_shim):
    asked = on(ruleset(PAIR, steering, options), device)
    bodies = dumped(asked)
    wanted = held(bodies, name)
    assert [one.rule for one in wanted] == sorted(
        map(normal, asked), key=lambda rule: rule.pref
    )
    shown = tc_shim.shown(bodies, device, LINKS, *more)
    assert tc_text.read(shown, device) == wanted


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
    (found,) = tc_text.read(shown, rule.device)
    assert [found] == held(bodies, name)
    assert found.rule == normal(rule)


def test_the_hook_is_taken_from_the_line_or_from_who_asked(tc_shim):
    asked = on(ruleset(PAIR, options=CLASSIC), PAIR.vex)
    said = tc_shim.shown(dumped(asked), PAIR.vex, LINKS)
    assert "parent ffff:" in said
    silent = tc_shim.shown(dumped(asked), PAIR.vex, LINKS, where=("parent", "ffff:"))
    assert "parent" not in silent
    for text, default in ((said, Parent.CLSACT_INGRESS), (silent, Parent.INGRESS)):
        found = tc_text.read(text, PAIR.vex, default)
        assert [one.rule for one in found] == [normal(rule) for rule in asked]
