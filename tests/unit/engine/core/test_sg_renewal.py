"""DHCP renewals: the server that answered the question to all is asked alone, without a rule."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from pyctl.engine.node_records import pack_node
from pyctl.model.policy import Action, Members, NodePolicy, NodeRule, PortMatch
from tests import packets
from tests.unit.engine.core.node import Node, head
from tests.unit.engine.core.wire import PORT, bcmac, ucmac

CLIENT, SERVER = 68, 67
OWN, LEASING = packets.pod_one_ip4, packets.gateway_ip4
PACE, AT_ONCE = 15, 4


def asked(server=LEASING, *, sport=CLIENT, dport=SERVER, size=300, src=OWN):
    dst = packets.broadcast_mac if server == packets.limited_broadcast_ip4 else None
    link = Ether(src=ucmac(), dst=dst or packets.gateway_mac)
    return bytes(
        link
        / IP(src=src, dst=server)
        / UDP(sport=sport, dport=dport)
        / Raw(bytes(size))
    )


def answered(server=LEASING, *, dst=OWN, sport=SERVER, dport=CLIENT):
    many = dst == packets.limited_broadcast_ip4
    link = Ether(src=packets.gateway_mac, dst=bcmac() if many else ucmac())
    return bytes(
        link / IP(src=server, dst=dst) / UDP(sport=sport, dport=dport) / Raw(bytes(300))
    )


@pytest.fixture
def client(node):
    """Name: client. Scope: function. Depends: node. One in protect, without a rule, that was given a lease."""
    node.judge_by()
    question = asked(packets.limited_broadcast_ip4, src=packets.unspecified_ip4)
    assert node.core.passes(question)
    assert node.core.passes(answered(dst=packets.limited_broadcast_ip4))
    return node


def test_who_answered_is_asked_again_and_answers(client):
    client.core.advance(60)
    assert not client.core.passes(answered())
    entries = len(client.core.flows)
    assert client.core.passes(asked())
    assert client.core.passes(answered())
    assert len(client.core.flows) == entries


@pytest.mark.parametrize(
    "other",
    [
        {"server": packets.world_ip4},
        {"sport": CLIENT + 1},
        {"dport": SERVER + 1},
        {"size": 1500},
    ],
    ids=["another", "by another port", "at another port", "by very much"],
)
def test_nothing_else_is_free(client, other):
    assert not client.core.passes(asked(**other))
    assert client.core.drops() == {"default_deny": 1}


def test_nobody_who_did_not_answer_is_asked(node):
    node.judge_by()
    assert not node.core.passes(asked())


def test_a_rule_that_denies_it_holds(client):
    client.judge_by(NodeRule(7, 0, 0, (PortMatch(17, 67, 67),), Action.DENY))
    assert not client.core.passes(asked())
    assert client.core.drops() == {"policy_deny": 1}


def test_few_are_asked_and_few_are_answered(client):
    """What was denied before says nothing of it."""
    client.core.advance(60)
    assert [client.core.passes(asked()) for _ in range(AT_ONCE + 1)] == [
        *[True] * AT_ONCE,
        False,
    ]
    assert [client.core.passes(answered()) for _ in range(AT_ONCE + 1)] == [
        *[True] * AT_ONCE,
        False,
    ]
    client.core.advance(PACE)
    assert client.core.passes(asked())
    assert not client.core.passes(asked())
    client.core.advance(11)
    assert not client.core.passes(answered())


def test_a_port_that_is_another_s_knows_no_server(client):
    client.core.lib.sg_core_port_delete(client.core.core, PORT)
    client.core.advance(1)
    client.core.generation += 1
    blob = pack_node(NodePolicy(), Members(), [head(client.core.generation)])
    assert client.swap(blob) == 0
    assert not client.core.passes(asked())


def test_a_server_that_another_worker_heard_is_asked_and_answers(core_module):
    """The lease comes by broadcast, so to another worker than what is said to the server alone."""
    both = [Node(core_module, workers=2) for _ in range(2)]
    both[1].core.queries = both[0].core.queries
    for one in both:
        one.judge_by()
    asking, renewing = both
    everybody = packets.limited_broadcast_ip4
    assert not renewing.core.passes(asked())
    assert asking.core.passes(asked(everybody, src=packets.unspecified_ip4))
    assert renewing.core.passes(answered(dst=everybody)), "a third may get the offer"
    assert asking.core.passes(asked())
    assert asking.core.passes(answered())
    asking.core.lib.sg_core_port_delete(asking.core.core, PORT)
    for one in both:
        one.core.close()
