"""The built-in groups of what is sent to many."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from pyctl.errors import UsageError
from pyctl.model.flow import Answer
from pyctl.model.policy import Direction
from pyctl.model.workload import Mode, Service
from pyctl.policy.compile.compiler import Compiler
from pyctl.policy.document.casts import (
    BROADCAST,
    MULTICAST,
    cast_of,
    subnet_broadcasts,
    with_subnets,
)
from pyctl.policy.document.parse import parse
from pyctl.policy.evaluate.judge import Judge
from pyctl.policy.evaluate.observed import End, Observed, Side
from pyctl.policy.evaluate.question import ask
from pyctl.policy.learn.rules import learn
from tests import packets
from tests.unit.policy.makers import port, workload

SUBNET = ip_address(packets.subnet_broadcast_ip4)
WEB = workload("web", port(1, f"{packets.pod_one_ip4}/24"))
DB = workload("db", port(2, f"{packets.pod_two_ip4}/24"))
HEAD = "apiVersion: segctl/v1\nmodes: {any: protect}\n"


def policy(*rules: str, groups: str = "{}"):
    lines = "".join(f"  - {rule}\n" for rule in rules)
    return parse(f"{HEAD}groups: {groups}\n" + (f"rules:\n{lines}" if lines else ""))


def to(group: str) -> str:
    return f"{{id: 1, from: any, to: {group}, ports: [udp/5353], action: allow}}"


@pytest.mark.parametrize(
    ("address", "cast"),
    [
        (packets.group_ip4, MULTICAST),
        (packets.group_ip6, MULTICAST),
        (packets.limited_broadcast_ip4, BROADCAST),
        (packets.subnet_broadcast_ip4, BROADCAST),
        (packets.pod_one_ip4, None),
        (packets.pod_one_ip6, None),
    ],
)
def test_each_address_is_one_s_or_many_s(address, cast):
    assert cast_of(ip_address(address), [SUBNET]) == cast


def test_a_group_is_there_where_a_rule_names_it():
    assert policy(to(MULTICAST)).groups[MULTICAST].built_in
    assert not policy().groups
    assert not policy(to(MULTICAST)).warnings


def test_a_group_that_the_author_defines_is_the_authors():
    own = policy(to(MULTICAST), groups=f"{{{MULTICAST}: {{selector: {{name: m}}}}}}")
    assert not own.groups[MULTICAST].built_in
    assert with_subnets(own, [WEB]) is own


@pytest.mark.parametrize(
    "rule",
    [
        f"{{id: 1, from: {BROADCAST}, to: any, action: allow}}",
        "{id: 1, from: any, to: anycast, action: allow}",
    ],
)
def test_they_are_no_sources_and_there_are_no_others(rule):
    with pytest.raises(UsageError):
        policy(rule)


def test_only_workloads_have_a_mode():
    with pytest.raises(UsageError, match="no such group"):
        parse(f"apiVersion: segctl/v1\nmodes: {{{MULTICAST}: protect}}\n")


def test_broadcast_knows_the_subnets_of_the_workloads_as_they_come_and_go():
    compiler = Compiler(policy(to(BROADCAST)))
    alone = compiler.compile([])
    first = compiler.compile([WEB])
    assert {str(net) for nets in first.node.cidrs.values() for net in nets} == {
        "255.255.255.255/32",
        f"{SUBNET}/32",
    }
    assert compiler.compile([WEB, DB]).node is first.node
    assert compiler.compile([]).node == alone.node


def test_a_prefix_does_not_make_a_neighbour_out_to_be_everybody():
    """Pod one has the last address of this network."""
    evil = workload("evil", port(3, f"{packets.pod_nine_ip4}/30"))
    assert ip_address(packets.pod_one_ip4) in subnet_broadcasts([evil])
    assert ip_address(packets.pod_one_ip4) not in subnet_broadcasts([evil, WEB])


@pytest.mark.parametrize(
    ("group", "address", "opens"),
    [
        (MULTICAST, packets.group_ip4, True),
        (MULTICAST, packets.group_ip6, True),
        (MULTICAST, packets.subnet_broadcast_ip4, False),
        (BROADCAST, packets.subnet_broadcast_ip4, True),
        (BROADCAST, packets.limited_broadcast_ip4, True),
        (BROADCAST, packets.group_ip4, False),
    ],
)
def test_a_question_about_a_group_is_answered_as_the_engine_judges(
    group, address, opens
):
    six = workload(
        "six", port(4, f"{packets.pod_one_ip6}/64", f"{packets.pod_one_ip4}/24")
    )
    assert ask(policy(to(group)), [six, DB], "six", address, "udp/5353").opens is opens


def observed(address: str, dport: int, *ends: Side) -> Observed:
    flow = End(packets.pod_one_ip4, "web"), End(address)
    sides = (Side(Direction.EGRESS, *flow), *ends)
    return Observed(*flow, "udp", dport, sides, True, Answer.NONE, 3, 0.0)


def at_db(address: str) -> Side:
    return Side(Direction.INGRESS, End(packets.pod_one_ip4, "web"), End(address, "db"))


@pytest.mark.parametrize(
    ("address", "group"),
    [
        (packets.group_ip4, MULTICAST),
        (packets.subnet_broadcast_ip4, BROADCAST),
    ],
)
def test_what_is_sent_to_many_is_learned_without_an_answer(address, group):
    flow = observed(address, 5353, at_db(address))
    learned = learn([flow], policy(), [WEB, DB])
    assert [(rule.target, rule.ports) for rule in learned.rules] == [
        (group, ["udp/5353"])
    ]
    assert not learned.networks
    rule = to(group)
    assert Judge(policy(rule), [WEB, DB]).decision(flow).verdict == "allow"
    assert Judge(policy(), [WEB, DB]).decision(flow).verdict == "deny"
    assert not learn([flow], policy(rule), [WEB, DB]).rules


def test_a_rule_may_let_it_leave_and_the_other_end_refuse_it():
    flow = observed(packets.group_ip4, 5353, at_db(packets.group_ip4))
    leaves = "{id: 1, from: any, to: multicast, direction: egress, action: allow}"
    assert Judge(policy(leaves), [WEB, DB]).decision(flow).verdict == "deny"
    comes = "{id: 2, from: any, to: db, ports: [udp/5353], action: allow}"
    both = policy(leaves, comes, groups="{db: {selector: {name: db}}}")
    assert Judge(both, [WEB, DB]).decision(flow).verdict == "allow"


def test_a_dhcp_clients_question_is_free_and_comes_to_servers_alone():
    everybody = packets.limited_broadcast_ip4
    flow = observed(everybody, 67)
    assert Judge(policy(), [WEB]).decision(flow).verdict == "allow"
    denied = policy("{id: 1, from: any, to: any, ports: [udp/67], action: deny}")
    assert Judge(denied, [WEB]).decision(flow).verdict == "deny"
    assert ask(policy(), [WEB], "web", everybody, "udp/67").opens
    server = replace(DB, serves=(Service.DHCP,))
    leaves = "{id: 1, from: any, to: any, direction: egress, action: allow}"
    for ip, rules in ((packets.pod_two_ip4, [leaves]), (everybody, [])):
        heard = observed(ip, 67, at_db(ip))
        assert Judge(policy(*rules), [WEB, DB]).decision(heard).verdict == "deny"
        assert Judge(policy(*rules), [WEB, server]).decision(heard).verdict == "allow"
    assert (
        Judge(policy(), [WEB, DB], Mode.MONITOR).decision(heard).verdict == "violation"
    )
