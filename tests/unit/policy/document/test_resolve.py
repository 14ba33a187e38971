"""Resolving: who is in a group, where it is found, and whose word on the mode counts."""

from __future__ import annotations

import pytest

from pyctl.model.threats import DEFAULTS, ThreatAction
from pyctl.model.workload import Mode, ModeSource
from pyctl.policy.document.parse import parse
from pyctl.policy.document.resolve import (
    addresses,
    effective_mode,
    effective_threats,
    empty_groups,
    groups_of,
    matches,
    selects,
)
from pyctl.policy.document.types import Expression, Group, Operator, Policy, Selector
from tests import packets
from tests.unit.policy.makers import port, workload

POLICY = parse(f"""
apiVersion: segctl/v1
groups:
  web: {{selector: {{name: "web*"}}}}
  red: {{selector: {{labels: {{colour: red}}}}}}
  nginx: {{selector: {{image: "nginx:*", name: "*"}}}}
  far: {{cidrs: ["{packets.world_net_ip4}"]}}
modes: {{web: monitor, red: protect, any: discover}}
""")


@pytest.mark.parametrize(
    ("name", "labels", "image", "groups"),
    [
        ("web1", {}, None, ("web",)),
        ("Web1", {}, None, ()),
        ("web", {"colour": "red"}, "nginx:1", ("web", "red", "nginx")),
        ("db", {"colour": "green"}, "other/nginx:1", ()),
    ],
)
def test_a_selector_takes_those_for_whom_all_holds(name, labels, image, groups):
    assert groups_of(POLICY, workload(name, labels=labels, image=image)) == groups


def test_a_workload_is_known_by_its_link_local_addresses_too():
    own = (f"{packets.pod_one_ip4}/24", f"{packets.link_local_ip6}/64")
    made = port(1, *own)
    known = [packets.pod_one_ip4, packets.link_local_ip6]
    assert [str(ip) for ip in addresses(made)] == known


@pytest.mark.parametrize(
    ("forced", "labels", "name", "attach", "mode", "source"),
    [
        (Mode.QUARANTINE, {}, "web", Mode.PROTECT, Mode.QUARANTINE, ModeSource.COMMAND),
        (None, {}, "web", Mode.PROTECT, Mode.MONITOR, ModeSource.POLICY),
        (None, {"colour": "red"}, "web", Mode.MONITOR, Mode.PROTECT, ModeSource.POLICY),
        (None, {}, "db", Mode.PROTECT, Mode.DISCOVER, ModeSource.POLICY),
    ],
)
def test_the_command_beats_the_policy_beats_attach(
    forced, labels, name, attach, mode, source
):
    found = effective_mode(
        POLICY, workload(name, labels=labels, attach_mode=attach, forced_mode=forced)
    )
    assert (found.mode, found.source) == (mode, source)


def test_without_policy_attach_decides_and_else_it_is_discover():
    attached = workload("a", attach_mode=Mode.PROTECT)
    assert effective_mode(Policy(), attached).source is ModeSource.ATTACH
    plain = effective_mode(Policy(), workload("a", attach_mode=Mode.DISCOVER))
    assert (plain.mode, plain.source) == (Mode.DISCOVER, ModeSource.DEFAULT)


@pytest.mark.parametrize(
    ("pattern", "value", "meant"),
    [
        ("web*", "web-1", True),
        ("web*", "Web-1", False),
        ("Host(`[a]`)", "Host(`[a]`)", True),  # A value as it is, whatever is in it.
        ("*", None, False),
        ("", "", True),
    ],
)
def test_a_pattern_means_the_same_of_all_that_is_selected_by(pattern, value, meant):
    one = workload("w", labels={} if value is None else {"k": value})
    assert matches(pattern, value) is meant
    assert selects(Selector(labels=(("k", pattern),)), one) is meant
    asked = (Expression("k", Operator.IN, (pattern,)),)
    assert selects(Selector(expressions=asked), one) is meant
    asked = (Expression("k", Operator.NOT_IN, (pattern,)),)
    assert selects(Selector(expressions=asked), one) is not meant


def test_groups_that_take_nobody_are_found():
    policy = Policy(
        groups={
            "web": Group("web", Selector(name="web*")),
            "typo": Group("typo", Selector(name="wbe*")),
            "net": Group("net"),
        }
    )
    assert empty_groups(policy, [workload("web-1")]) == ["typo"]
    assert empty_groups(policy, []) == ["web", "typo"]


THREATS = parse("""
apiVersion: segctl/v1
groups:
  web: {selector: {name: "web*"}}
  one: {selector: {name: web-1}}
threats:
  any: {land: off, syn_flood: reset}
  web: {land: alert, ssl: alert}
  one: {ssl: drop, syn_flood: off}
""")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("db", {"land": "off", "syn_flood": "reset"}),
        ("web-2", {"land": "alert", "ssl": "alert", "syn_flood": "reset"}),
        ("web-1", {"land": "alert", "ssl": "drop", "syn_flood": "off"}),
    ],
)
def test_of_groups_that_name_a_threat_the_strictest_holds(name, changed):
    found = effective_threats(THREATS, workload(name))
    assert found == {
        **DEFAULTS,
        **{key: ThreatAction(one) for key, one in changed.items()},
    }


def test_without_a_policy_the_defaults_hold():
    assert effective_threats(Policy(), workload("a")) == DEFAULTS
