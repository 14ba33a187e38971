"""DHCP: a client's question needs no rule, a server's message needs to be served."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from pyctl.engine.node_records import pack_node
from pyctl.model.policy import Action, Members, NodePolicy, NodeRule, PortMatch
from pyctl.model.workload import Mode
from tests import packets
from tests.unit.engine.core.node import ALL, head
from tests.unit.engine.core.wire import bcmac, ucmac


def frame(way, family, sport, dport, src, dst):
    macs = {"src": ucmac(), "dst": packets.broadcast_mac}
    if way == "in":
        macs = {"src": packets.gateway_mac, "dst": bcmac()}
    ip = IP if family == 4 else IPv6
    return bytes(
        Ether(**macs) / ip(src=src, dst=dst) / UDP(sport=sport, dport=dport) / b"?"
    )


def question(way, family):
    if family == 4:
        everybody = packets.limited_broadcast_ip4
        return frame(way, 4, 68, 67, packets.unspecified_ip4, everybody)
    return frame(way, 6, 546, 547, packets.link_local_ip6, packets.all_dhcp_servers_ip6)


def answer(way, family):
    if family == 4:
        everybody = packets.limited_broadcast_ip4
        return frame(way, 4, 67, 68, packets.pod_one_ip4, everybody)
    return frame(way, 6, 547, 546, packets.pod_one_ip6, packets.link_local_ip6)


def judge(node, *rules, serves=False, mode=Mode.PROTECT):
    node.core.generation += 1
    port, generation = head(node.core.generation, mode=mode)
    heads = [(replace(port, serves_dhcp=serves), generation)]
    assert node.swap(pack_node(NodePolicy(rules=rules), Members(), heads)) == 0


@pytest.mark.parametrize("family", [4, 6])
def test_a_question_leaves_without_a_rule_and_comes_to_servers_alone(node, family):
    judge(node)
    assert node.core.passes(question("out", family))
    assert not node.core.passes(question("in", family))
    judge(node, serves=True)
    assert node.core.passes(question("in", family))


def test_a_renewal_comes_to_servers_alone(node):
    renewal = frame("in", 4, 68, 67, packets.pod_two_ip4, packets.pod_one_ip4)
    judge(node)
    assert not node.core.passes(renewal)
    judge(node, serves=True)
    assert node.core.passes(renewal)


def test_a_rule_that_denies_a_question_holds(node):
    judge(node, NodeRule(7, 0, 0, (PortMatch(17, 67, 67),), Action.DENY))
    assert not node.core.passes(question("out", 4))
    assert node.core.drops() == {"policy_deny": 1}


@pytest.mark.parametrize(
    "other",
    [
        frame("out", 4, 67, 67, packets.pod_one_ip4, packets.limited_broadcast_ip4),
        frame("out", 4, 68, 67, packets.pod_one_ip4, packets.world_ip4),
        frame("out", 4, 68, 67, packets.pod_one_ip4, packets.group_ip4),
        frame("out", 6, 546, 547, packets.pod_one_ip6, packets.group_ip6),
    ],
    ids=["a relay's", "to one", "to a group", "to another group"],
)
def test_only_a_clients_question_to_all_is_free(node, other):
    judge(node)
    assert not node.core.passes(other)
    assert node.core.drops() == {"default_deny": 1}


@pytest.mark.parametrize("family", [4, 6])
def test_a_servers_message_needs_to_be_served_whatever_a_rule_says(node, family):
    judge(node, NodeRule(1, 0, 0, ALL, Action.ALLOW))
    assert not node.core.passes(answer("out", family))
    assert node.core.drops() == {"not_served": 1}
    judge(node, NodeRule(1, 0, 0, ALL, Action.ALLOW), mode=Mode.DISCOVER)
    assert node.core.passes(answer("out", family))
    assert node.core.passed("not_served") == 1
    judge(node, serves=True)
    assert node.core.passes(answer("out", family))
