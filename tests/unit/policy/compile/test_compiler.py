"""Compiling: rules by groups, and who is in them. That they decide as written: test_sg_node."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from pyctl.model.apps import app_bits
from pyctl.model.policy import (
    Action,
    Direction,
    Field,
    Fqdn,
    Holder,
    NodeRule,
    PortMatch,
)
from pyctl.model.workload import Capabilities, Fail, Mode, OtherTraffic
from pyctl.policy.compile.compiler import Compiler, port_pair
from pyctl.policy.document.identity import rule_key
from pyctl.policy.document.parse import parse
from pyctl.policy.document.types import Policy
from tests import packets
from tests.unit.policy.makers import port, workload

ONE = (f"{packets.pod_one_ip4}/24", f"{packets.pod_one_ip6}/64")
LOCAL = f"{packets.link_local_ip6}/64"
POLICY = parse(f"""
apiVersion: segctl/v1
groups:
  web: {{selector: {{name: "web*"}}}}
  red: {{selector: {{labels: {{colour: red}}}}}}
  far: {{cidrs: ["{packets.world_net_ip4}"]}}
rules:
  - {{id: 9, from: far, to: web, ports: [tcp/80, icmp], action: allow}}
  - {{id: 3, from: any, to: red, action: deny, enabled: false}}
  - {{id: 4, from: red, to: any, action: deny}}
""")


def test_rules_keep_their_order_and_those_disabled_are_none():
    node = Compiler(POLICY).compile([]).node
    assert node.groups == ("any", "web", "red", "far")
    assert node.cidrs == {3: (ip_network(packets.world_net_ip4),)}
    assert node.rules == (
        NodeRule(
            *(9, 3, 1, (PortMatch(6, 80, 80), PortMatch(1), PortMatch(58))),
            Action.ALLOW,
            key=rule_key(POLICY.rules[0]),
        ),
        NodeRule(
            *(4, 2, 0, (PortMatch(0),), Action.DENY), key=rule_key(POLICY.rules[2])
        ),
    )


def test_a_rule_for_applications_is_for_those_that_they_contain_too():
    text = "apiVersion: segctl/v1\nrules: [{id: 1, from: any, to: any, apps: [tls], app_unknown: deny, action: allow}]"
    [rule] = Compiler(parse(text)).compile([]).node.rules
    assert (rule.apps, rule.app_unknown) == (app_bits(["TLS"]), Action.DENY)


def test_members_are_ports_and_the_addresses_by_which_they_are_known():
    web = workload("web1", port(1, *ONE, LOCAL), labels={"colour": "red"})
    other = workload("db", port(2, f"{packets.pod_two_ip4}/24"))
    compiled = Compiler(POLICY).compile([web, other])
    assert compiled.members.ports == {1: (0, 1, 2), 2: (0,)}
    assert compiled.members.addresses == {
        ip_address(packets.pod_one_ip4): (0, 1, 2),
        ip_address(packets.pod_one_ip6): (0, 1, 2),
        ip_address(packets.link_local_ip6): (0, 1, 2),
        ip_address(packets.link_local_of(packets.mac(1))): (0, 1, 2),
        ip_address(packets.pod_two_ip4): (0,),
        ip_address(packets.link_local_of(packets.mac(2))): (0,),
    }


def test_an_address_that_two_workloads_share_is_of_either_and_of_no_sum_of_both():
    loads = [
        workload("web", port(1, *ONE)),
        workload("b", port(2, *ONE), labels={"colour": "red"}),
    ]
    address = ip_address(packets.pod_one_ip4)
    for attached in (loads, loads[::-1]):
        members = Compiler(POLICY).compile(attached).members
        assert address not in members.addresses
        assert members.shared[address] == (Holder((0, 1)), Holder((0, 2)))
        assert members.ports == {1: (0, 1), 2: (0, 2)}
    compiler = Compiler(POLICY)
    compiler.compile(loads)
    members = compiler.compile(loads[:1]).members
    assert members.addresses[address] == (0, 1)
    assert members.shared == {}


def on(bridge, made, *, closed=True):
    """The port on the bridge of that number."""
    return replace(made, segment=bridge, closed=closed)


def test_who_shares_an_address_is_known_by_its_closed_bridges():
    """And a port knows by them where its datapath compares MACs."""
    web = workload("web", on(7, port(1, *ONE)), on(8, port(4)))
    other = workload("b", on(9, port(2, *ONE), closed=False), labels={"colour": "red"})
    compiled = Compiler(POLICY).compile([web, other])
    assert compiled.members.shared[ip_address(packets.pod_one_ip4)] == (
        Holder((0, 1), (7, 8)),
        Holder((0, 2)),
    )
    assert [compiled.ports[n].segment for n in (1, 4, 2)] == [7, 8, 0]
    classic = replace(web, capabilities=Capabilities())
    assert Compiler(POLICY).compile([classic]).ports[1].segment == 0


def test_two_of_the_same_groups_are_as_one():
    loads = [workload("web1", port(1, *ONE)), workload("web2", port(2, *ONE))]
    members = Compiler(POLICY).compile(loads).members
    assert members.addresses[ip_address(packets.pod_one_ip4)] == (0, 1)
    assert members.shared == {}


def test_a_workload_whose_labels_change_is_looked_at_again():
    compiler = Compiler(POLICY)
    before = workload("web", port(1, *ONE))
    assert compiler.compile([before]).members.ports == {1: (0, 1)}
    after = replace(before, labels={"colour": "red"})
    assert compiler.compile([after]).members.ports == {1: (0, 1, 2)}


def test_a_port_that_forwards_for_others_uses_any_address():
    gateway = replace(workload("a", port(1, *ONE)), any_source=True)
    assert Compiler(POLICY).compile([gateway]).own == {1: None}


def test_default_is_deny_where_a_missing_rule_is_a_violation():
    attached = [
        workload(f"w{n}", port(n, *ONE), attach_mode=mode)
        for n, mode in enumerate(Mode, 1)
    ]
    compiled = Compiler(Policy()).compile(attached)
    assert {each.mode: each.default for each in compiled.ports.values()} == {
        Mode.DISCOVER: Action.ALLOW,
        Mode.MONITOR: Action.DENY,
        Mode.PROTECT: Action.DENY,
        Mode.QUARANTINE: Action.DENY,
    }


def test_the_answer_to_a_denied_syn_is_the_policys():
    compiled = Compiler(Policy(deny_rst=True)).compile([workload("a", port(1, *ONE))])
    assert compiled.ports[1].deny_rst


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    ("other", "passes"),
    [
        (OtherTraffic.PASS, set(Mode)),
        (OtherTraffic.DROP, set()),
        (OtherTraffic.AUTO, set(Mode) - {Mode.PROTECT}),
    ],
)
def test_other_traffic_passes_as_asked_or_as_the_mode_says(mode, other, passes):
    load = replace(workload("web", port(1, *ONE)), other_traffic=other)
    assert port_pair(load, load.ports[0], mode).pass_other is (mode in passes)


@pytest.mark.parametrize("fail", Fail)
def test_only_who_asks_for_it_fails_open(fail):
    load = replace(workload("web", port(1, *ONE), port(2)), fail=fail)
    pair = port_pair(load, load.ports[1], Mode.PROTECT)
    assert pair.fail is (Fail.OPEN if fail is Fail.OPEN else Fail.CLOSED)
    assert (pair.port_id, pair.owner) == (2, 1), "its first port is the owner"


def test_names_are_in_the_group_that_has_them_each_with_whether_it_is_verified():
    text = """
apiVersion: segctl/v1
groups:
  far: {fqdns: ["*.example.org", db.internal]}
  near: {fqdns: [db], verify: false}
rules:
  - {id: 1, from: any, to: far, action: allow}
  - {id: 2, from: any, to: near, action: allow}
  - {id: 3, from: any, to: far, action: deny}
  - {id: 4, from: any, to: far, action: allow, tls: {sni: [a.example.org]}}
"""
    node = Compiler(parse(text)).compile([]).node
    own = ((Field.NAME, b"*.example.org"), (Field.NAME, b"db.internal"))
    asked = [one.condition and one.condition.items for one in node.rules]
    assert asked == [own, None, None, ((Field.SNI, b"a.example.org"), *own)]
    assert (node.cidrs, node.fqdns) == (
        {},
        {
            1: (Fqdn("example.org", subdomains=True), Fqdn("db.internal")),
            2: (Fqdn("db"),),
        },
    )
    assert node.rules[0].direction is Direction.EGRESS
