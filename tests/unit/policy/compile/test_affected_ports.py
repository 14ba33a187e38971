"""Which ports a change concerns: no port too few (test_sg_node tries policies at random), and not all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.policy.compile.affected_ports import affected_ports, rule_count
from pyctl.policy.compile.compiler import Compiled, Compiler
from pyctl.policy.document.parse import parse
from pyctl.policy.document.resolve import addresses
from tests import packets
from tests.unit.policy.makers import port, workload

GROUPS = f"""
apiVersion: segctl/v1
groups:
  web: {{selector: {{name: "web*"}}}}
  app: {{selector: {{name: "app*"}}}}
  db: {{selector: {{name: "db*"}}}}
  far: {{cidrs: ["{packets.world_net_ip4}"]}}
"""
FIRST = "- {id: 1, from: web, to: app, ports: [tcp/80], action: allow}"
SECOND = "- {id: 2, from: app, to: db, ports: [tcp/81], action: allow}"
THIRD = "- {id: 3, from: far, to: web, action: deny}"
WEB = workload("web", port(1, f"{packets.pod_one_ip4}/24"))
APP = workload("app", port(2, f"{packets.pod_two_ip4}/24"))
DB = workload("db", port(3, f"{packets.pod_one_ip6}/64"))
ALL = (WEB, APP, DB)


def compiled(*rules: str, loads=ALL, groups: str = GROUPS) -> Compiled:
    return Compiler(parse("\n".join((groups, "rules:", *rules)))).compile(loads)


@pytest.mark.parametrize(
    ("after", "ports"),
    [
        ((FIRST, SECOND, THIRD), set()),
        ((FIRST, THIRD), {2, 3}),
        ((SECOND, THIRD), {1, 2}),
        ((FIRST, SECOND), {1}),
        ((SECOND, FIRST, THIRD), {1, 2, 3}),
        ((FIRST, SECOND, THIRD.replace("deny", "allow")), {1}),
        ((FIRST.replace("80", "82"), SECOND, THIRD), {1, 2}),
    ],
)
def test_a_changed_rule_concerns_its_two_ends(after, ports):
    assert affected_ports(compiled(FIRST, SECOND, THIRD), compiled(*after)) == ports


def test_who_joins_a_group_concerns_those_across_from_it():
    two = replace(DB, name="db2", ports=(port(4, f"{packets.world_ip6}/64"),))
    before = compiled(FIRST, SECOND)
    assert affected_ports(before, compiled(FIRST, SECOND, loads=(*ALL, two))) == {2, 4}


@pytest.mark.parametrize(
    ("end", "ports"),
    [
        ("", {1, 2, 3, 4}),
        ("direction: ingress, ", {4}),
        ("direction: egress, ", {1, 2, 3, 4}),
    ],
)
def test_who_joins_what_any_may_talk_to_concerns_only_where_the_rule_is_judged(
    end, ports
):
    """Each port may have a flow that was decided before the address was anybody's."""
    rule = f"- {{id: 1, from: any, to: db, {end}action: allow}}"
    two = replace(DB, id="db2", name="db2", ports=(port(4, f"{packets.world_ip6}/64"),))
    assert affected_ports(compiled(rule), compiled(rule, loads=(*ALL, two))) == ports


def test_a_rule_of_one_end_that_changes_concerns_that_end():
    into = FIRST.replace("action", "direction: ingress, action")
    out = FIRST.replace("action", "direction: egress, action")
    assert affected_ports(compiled(into, SECOND), compiled(SECOND)) == {2}
    assert affected_ports(compiled(out, SECOND), compiled(SECOND)) == {1}
    assert affected_ports(compiled(into), compiled(out)) == {1, 2}


def test_who_leaves_a_group_concerns_those_across_from_it():
    after = compiled(FIRST, SECOND, loads=(WEB, APP))
    assert affected_ports(compiled(FIRST, SECOND), after) == {2}


def test_an_address_that_moves_concerns_who_may_talk_to_either_owner():
    """No flow to the former owner may go on as one to the new."""
    moved = replace(WEB, ports=(port(1, *APP.ports[0].addresses),))
    there = replace(APP, ports=(port(2, *WEB.ports[0].addresses),))
    after = compiled(FIRST, SECOND, loads=(moved, there, DB))
    assert affected_ports(compiled(FIRST, SECOND), after) == {1, 2, 3}


def test_a_redefined_group_concerns_both_ends_of_its_rules():
    wider = GROUPS.replace(packets.world_net_ip4, packets.net_ip4)
    after = compiled(FIRST, SECOND, THIRD, groups=wider)
    assert affected_ports(compiled(FIRST, SECOND, THIRD), after) == {1, 2}


def test_what_has_no_rule_concerns_nobody():
    other = workload("x", port(9, f"{packets.world_ip4}/24"))
    after = compiled(FIRST, SECOND, loads=(*ALL, other))
    assert affected_ports(compiled(FIRST, SECOND), after) == {9}


@pytest.mark.parametrize(("number", "count"), [(1, 2), (2, 2), (3, 1)])
def test_a_ports_rules_are_counted(number, count):
    assert rule_count(compiled(FIRST, SECOND, THIRD), number) == count


@pytest.mark.parametrize(
    "shared", [packets.group_ip4, packets.group_ip6, packets.unspecified_ip4]
)
def test_an_address_that_is_nobodys_own_may_be_any_ports(shared):
    """A frame for one workload may carry a group's address, and is judged by it."""
    groups = GROUPS.replace(packets.world_net_ip4, shared)
    third = "- {id: 3, from: web, to: far, action: allow}"
    before = compiled(FIRST, third, groups=groups)
    assert affected_ports(before, compiled(FIRST, groups=groups)) == {1, 2, 3}


@pytest.mark.parametrize("end", ["", "direction: ingress, ", "direction: egress, "])
@pytest.mark.parametrize("target", ["any", "web", "app", "db"])
@pytest.mark.parametrize("source", ["any", "web", "app", "db"])
def test_who_is_not_concerned_is_judged_as_before_when_another_comes_and_goes(
    source, target, end
):
    """Of every port, towards and from every address, by the one rule there is."""
    rule = f"- {{id: 1, from: {source}, to: {target}, {end}action: allow}}"
    two = replace(DB, id="db2", name="db2", ports=(port(4, f"{packets.world_ip6}/64"),))
    few, many = compiled(rule), compiled(rule, loads=(*ALL, two))
    for before, after in ((few, many), (many, few)):
        said = affected_ports(before, after)
        for port_id in before.ports.keys() & after.ports.keys() - said:
            assert allowed(before, port_id) == allowed(after, port_id)


def allowed(of: Compiled, port_id: int) -> list[bool]:
    """By the only rule, at the port: with each address, what it opens and what opens to it."""
    (rule,) = of.node.rules
    here, found = of.members.ports[port_id], []
    for load in (*ALL, replace(DB, ports=(port(4, f"{packets.world_ip6}/64"),))):
        for ip in addresses(load):
            each = [one.groups for one in of.members.of_address(ip)] or [(0,)]
            found += [
                rule.source in here
                and all(rule.target in there for there in each)
                and rule.direction != "ingress",
                all(rule.source in there for there in each)
                and rule.target in here
                and rule.direction != "egress",
            ]
    return found


@pytest.mark.parametrize(
    ("names", "ports"),
    [
        ("[a.example, db]", set()),
        ("[a.example]", {1}),
    ],
)
def test_names_concern_whom_a_rule_lets_ask_for_them(names, ports):
    rule = "- {id: 1, from: web, to: named, action: allow}"
    with_names = "{}  named: {{fqdns: {}}}\n".format
    before = compiled(rule, groups=with_names(GROUPS, "[a.example, db]"))
    after = compiled(rule, groups=with_names(GROUPS, names))
    assert affected_ports(before, after) == ports
