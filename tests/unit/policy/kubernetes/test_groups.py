"""Groups: one for each content, under names that the language takes."""

from __future__ import annotations

from ipaddress import ip_network

from pyctl.policy.document.field_checks import ErrorCollector, group_name
from pyctl.policy.document.types import Expression, Operator, Selector
from pyctl.policy.kubernetes.groups import Groups
from pyctl.policy.kubernetes.policies import Block
from tests import packets

ONE = Selector(labels=(("a", "b"),))
OTHER = Selector("*", (), None, (Expression("a", Operator.EXISTS),))


def test_equal_contents_are_one_group_and_others_never_share_a_name():
    groups = Groups()
    assert groups.selector("x", ONE) == groups.selector("y", ONE) == "x"
    assert groups.selector("x", OTHER) == "x-2"
    assert groups.bodies == {
        "x": {"selector": {"labels": {"a": "b"}}},
        "x-2": {
            "selector": {
                "name": "*",
                "expressions": [{"key": "a", "operator": "Exists"}],
            }
        },
    }


def test_blocks_are_networks_with_exceptions():
    groups = Groups()
    net, hole = (
        ip_network(text) for text in (packets.net_ip4, f"{packets.pod_one_ip4}/32")
    )
    groups.block("plain", Block(net, ()))
    groups.block("cut", Block(net, (hole,)))
    assert groups.bodies == {
        "plain": {"cidrs": [str(net)]},
        "cut": {"cidrs": [str(net)], "except": [str(hole)]},
    }


def test_names_of_any_length_are_names_of_groups():
    groups = Groups()
    long = "n" * 200
    names = [
        groups.selector(long + end, selector)
        for end, selector in (("a", ONE), ("b", OTHER))
    ]
    assert len(set(names)) == 2
    notes = ErrorCollector()
    assert all(group_name(notes, "g", name) for name in names)
