from __future__ import annotations

import struct

import pytest
from hypothesis import given

from fallback_tc import netlink
from fallback_tc.dump import held
from fallback_tc.pair import CLASSIC, Options, Steering
from fallback_tc.plan import ruleset
from fallback_tc.rules import Unknown, normal
from tests.unit.fallback_tc.makers import NAMES, PAIR, RULES, dumped, on

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
