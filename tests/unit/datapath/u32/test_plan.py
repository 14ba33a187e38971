"""A pair in the generator's words: what is dropped where, and whose place is whose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fallback_tc.pair import Steering
from fallback_tc.rules import Held, normal
from pyctl.datapath.u32.plan import (
    ASIDE,
    HOME,
    SLOTS,
    VBR,
    at_base,
    bridge_prefs,
    held,
    in_range,
    is_guard,
    is_of,
    is_ours,
    of_port,
    plan,
    steering_of,
    ways_back,
)
from pyctl.model.workload import Mode, Service
from pyctl.platform.tc.filters import Filter
from pyctl.platform.watch.filters import Touched
from tests import packets
from tests.unit.datapath.makers import PAIR
from tests.unit.datapath.u32.kernel import NAMES


@pytest.mark.parametrize(
    ("place", "of_port", "of_guard"),
    [
        ((5, 10001), True, False),
        ((6, 0), True, False),
        ((7, 10001), False, False),
        ((VBR, bridge_prefs(300)[1]), True, False),
        ((VBR, bridge_prefs(301)[0]), False, False),
        ((VBR, 65535), False, True),
        ((VBR, 0), True, True),
    ],
)
def test_a_change_concerns_whose_place_it_is(place, of_port, of_guard):
    touched = Touched(*place)
    assert (is_of(PAIR, touched), is_guard(touched)) == (of_port, of_guard)


def test_only_protect_holds_and_the_modes_that_record_copy():
    assert {mode: steering_of(mode) for mode in Mode} == {
        Mode.DISCOVER: Steering.TAP,
        Mode.MONITOR: Steering.TAP,
        Mode.PROTECT: Steering.FORWARD,
        Mode.QUARANTINE: Steering.QUARANTINE,
    }


@pytest.mark.parametrize("mode", Mode)
def test_what_a_mode_judges_by_itself(mode):
    options = plan(replace(PAIR, mode=mode, pass_other=True), NAMES).options
    judged = mode is Mode.PROTECT
    assert (options.drop_spoofed, options.drop_stray) == (judged, judged)
    assert not options.drop_other
    assert plan(replace(PAIR, mode=mode), NAMES).options.drop_other


def test_a_pair_has_its_own_prefs_and_mac_and_the_names_of_its_links():
    made = plan(replace(PAIR, serves=(Service.ROUTER,)), NAMES).pair
    assert (made.vex, made.vin, made.mac) == ("vex", "vin", packets.pod_one_mac)
    assert made.ucmac == "4e:65:75:56:01:2c"
    assert (made.pref_ex, made.pref_in) == bridge_prefs(300)
    assert made.routes
    assert not plan(replace(PAIR, serves=(Service.DHCP,)), NAMES).pair.routes
    with pytest.raises(KeyError):
        plan(replace(PAIR, vin_ifindex=99), NAMES)


@pytest.mark.parametrize(("length", "broadcasts"), [(24, 1), (30, 1), (31, 0), (32, 0)])
def test_a_subnet_of_two_addresses_or_one_has_no_broadcast(length, broadcasts):
    addresses = (f"{packets.pod_one_ip4}/{length}", f"{packets.pod_one_ip6}/64")
    made = plan(replace(PAIR, addresses=addresses), NAMES).pair
    assert len(made.broadcasts) == broadcasts
    assert made.addresses == (packets.pod_one_ip4, packets.pod_one_ip6)


def test_absent_addresses_may_be_used_and_a_forwarder_uses_any():
    spare = (f"{packets.pod_two_ip4}/24",)
    made = plan(replace(PAIR, spare=spare), NAMES).pair
    assert made.addresses == (packets.pod_one_ip4, packets.pod_two_ip4)
    assert plan(replace(PAIR, any_source=True), NAMES).pair.addresses is None


def test_two_ports_share_prefs_only_where_there_are_more_than_slots():
    prefs = [bridge_prefs(number) for number in range(1, SLOTS + 1)]
    assert len({one for pair in prefs for one in pair}) == 2 * SLOTS
    assert bridge_prefs(1) == bridge_prefs(1 + SLOTS)


def test_each_rule_of_a_port_is_at_one_base_alone():
    goal = plan(PAIR, NAMES)
    for base, other in ((HOME, ASIDE), (ASIDE, HOME)):
        prefs = {rule.pref for rule in goal.port_rules(base)}
        assert all(in_range(pref, base) for pref in prefs)
        assert not any(in_range(pref, other) for pref in prefs)
        assert all(is_ours(Filter(pref, "u32", b"")) for pref in prefs)
    assert not is_ours(Filter(HOME, "bpf", b""))
    assert not is_ours(Filter(5, "u32", b""))


def test_what_a_port_has_on_the_bridge_is_known_by_its_detour_alone():
    """Whatever the actions are, and whoever shares the pref."""

    def on_bridge(pair):
        return [one.rule for one in found if of_port([one], ways_back(pair.port_id))]

    shared = replace(PAIR, port_id=300 + SLOTS)
    rules = [
        [normal(rule) for rule in plan(one, NAMES).bridge_rules()]
        for one in (PAIR, shared)
    ]
    found = [Held(rule, 1) for rule in (*rules[0], *rules[1])]
    assert on_bridge(PAIR) == rules[0]
    assert on_bridge(shared) == rules[1]


def test_filters_of_another_kind_are_no_rules():
    assert held([Filter(HOME, "bpf", b"")], NAMES) == []
    rules = [Held(rule, 1) for rule in plan(PAIR, NAMES).port_rules(ASIDE)]
    assert at_base(rules, HOME) == []
    assert at_base(rules, ASIDE) == rules
