"""The lookup by identity decides as the rules are written, whatever came and went before."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctl.engine._binding import sizeof
from pyctl.engine.node_records import pack_members, pack_node
from pyctl.model import apps
from pyctl.model.flow import Answer
from pyctl.model.policy import (
    Action,
    Direction,
    Members,
    NodePolicy,
    NodeRule,
    PortMatch,
)
from pyctl.model.protocols import protocol_name
from pyctl.model.workload import Mode
from pyctl.policy.compile.affected_ports import affected_ports
from pyctl.policy.compile.compiler import Compiled, Compiler
from pyctl.policy.document.casts import cast_of, with_subnets
from pyctl.policy.document.resolve import addresses
from pyctl.policy.document.types import MAX_GROUPS, MAX_RULES, Policy
from pyctl.policy.evaluate.observed import End, Observed, Side
from pyctl.policy.evaluate.replay import Replay
from pyctl.telemetry.history.convert import Names
from tests import packets
from tests.unit.engine.core.harness import EGRESS, INGRESS, PORT
from tests.unit.engine.core.node import ALL, Node, head
from tests.unit.engine.core.wire import SERVICE, Connection, udp
from tests.unit.policy.worlds import APPS, FLOWS, KINDS, PLACES, joins, leaves, policies
from tests.unit.policy.written import numbers, written

EINVAL, ENOMEM = 22, 12
ENDS = {EGRESS: Direction.EGRESS, INGRESS: Direction.INGRESS}
FLOWS_WITH_APPS = [
    (*flow, app) for flow in FLOWS for app in (APPS if flow[0] in {6, 17} else [None])
]
NUMBERS = {None: 0, **apps.NUMBERS, apps.UNKNOWN_NAME: apps.UNKNOWN}
CASTS = {ip for ip in PLACES if cast_of(ip, [ip_address(packets.subnet_broadcast_ip4)])}


def questions(attached):
    """Each port's traffic both ways, with its own addresses and one that it has no right to; and what comes for many."""
    for each in attached:
        (port,) = each.ports
        for local in {*addresses(each), PLACES[0], *CASTS}:
            for peer in PLACES:
                if peer != local and peer.version == local.version:
                    for direction in (
                        (INGRESS,) if local in CASTS else (EGRESS, INGRESS)
                    ):
                        for flow in FLOWS_WITH_APPS:
                            yield each, port.port_id, direction, local, peer, *flow


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    policies(apps=True),
    st.lists(
        st.one_of(joins(), joins(), leaves, policies(apps=True)),
        max_size=6,
    ),
)
def test_after_any_row_of_changes_it_decides_as_written(core_module, policy, row):
    """And a port that a change is not said to concern is judged as it was before, as far as its traffic is
    its own: what else it may send or get ends at the source check, or at nobody."""
    node, fresh = Node(core_module), Node(core_module)
    attached: dict = {}
    compiler, before, answers = Compiler(policy), Compiled(), {}
    for step in (None, *row):
        if isinstance(step, str):
            attached.pop(step, None)
        elif isinstance(step, Policy):
            compiler = Compiler(step)
        elif step is not None:
            attached[step.name] = step
        after = compiler.compile(attached.values())
        node.follow(before, after)
        assert fresh.swap(pack_node(after.node, after.members, [])) == 0
        said = affected_ports(before, after)
        former, answers = answers, {}
        loads = list(attached.values())
        known = with_subnets(compiler.written, loads)
        for each, port_id, *flow in questions(loads):
            segment = after.ports[port_id].segment
            *of, app = flow
            asked = (port_id, *of, segment, NUMBERS[app])
            found = node.ask(*asked)
            assert found == fresh.ask(*asked)
            assert found == numbers(
                written(known, loads, each, ENDS[flow[0]], *flow[1:])
            )
            judged = tuple(rule_of(compiler.policy, number) for number in found)
            answers[port_id, *flow] = judged
            own = after.own[port_id]
            if own is not None and flow[1] not in {*own, *CASTS}:
                continue
            if port_id not in said and (port_id, *flow) in former:
                assert former[port_id, *flow] == judged
        before = after
    node.core.close()
    fresh.core.close()


def recorded(names, port_id, direction, local, peer, proto, dport, app):
    """As a session of the port is told, and the one side at which it was judged."""
    out = direction == EGRESS
    way = ENDS[direction]
    source, target = map(str, (local, peer) if out else (peer, local))
    told = names.ends(port_id, way, source, target)
    ends = End(source, told[0]), End(target, told[1])
    side = Side(way, *ends)
    what = (protocol_name(proto), dport, (side,), True, Answer.DATA, 1, 0.0)
    return Observed(*ends, *what, app), side


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    policies(apps=True),
    st.lists(st.tuples(joins(), st.booleans()), min_size=2, max_size=5),
)
def test_what_was_recorded_is_replayed_as_the_core_judged_it(
    core_module, policy, joined
):
    """Of one that forwards for others too: with addresses that are not its own, or another's."""
    node, names = Node(core_module), Names()
    loads = list(
        {load.name: replace(load, any_source=any_) for load, any_ in joined}.values()
    )
    names.refresh(loads)
    compiled = Compiler(policy).compile(loads)
    node.follow(Compiled(), compiled)
    replay = Replay(policy, loads)
    for each, port_id, direction, local, *rest in questions(loads):
        mine = local in addresses(each) or replay.cast(local)
        if each.any_source or mine:
            flow = (port_id, direction, local, *rest)
            found = replay.decided(*recorded(names, *flow))
            segment, app = compiled.ports[port_id].segment, rest[-1]
            if app is None:
                # Not recorded: it may be any of them.
                staged = found.staged.id if found.staged else 0
                assert staged in {0, node.ask(*flow[:-1], segment)[1]}
                rules = {one.id if one else 0 for one in found.rules}
                assert rules == {
                    node.ask(*flow[:-1], segment, NUMBERS[kind])[0] for kind in KINDS
                }
                continue
            rules = tuple(one.id if one else 0 for one in (*found.rules, found.staged))
            assert node.ask(*flow[:-1], segment, NUMBERS[app]) == rules
    node.core.close()


def rule_of(policy, number):
    found = [rule for rule in policy.rules if rule.id == number]
    return (found[0].id, found[0].action) if found else None


def test_the_engine_takes_as_many_rules_and_groups_as_a_policy_may_have(node, rules):
    """What was parsed, and shown by a dry run, is not refused when it is applied."""
    for more, error in ((0, 0), (1, -EINVAL)):
        many = replace(rules, rules=rules.rules[:1] * (MAX_RULES + more))
        assert node.swap(pack_node(many, Members(), [])) == error
        groups = tuple(map(str, range(1 + MAX_GROUPS + more)))
        assert (
            node.swap(pack_node(replace(rules, groups=groups), Members(), [])) == error
        )


def test_networks_in_one_another_by_the_thousand_are_refused_and_soon(node, rules):
    """Each of them would be a class of thousands: minutes in which the engine answers nobody."""
    many = 1 << 13
    around = (ip_network(packets.net_ip4),)
    cidrs = dict.fromkeys(range(1, many), around)
    groups = tuple(str(number) for number in range(many))
    blob = pack_node(NodePolicy(groups, cidrs, rules.rules), Members(), [])
    assert node.swap(blob) == -ENOMEM
    apart = ip_network("::/0").subnets(new_prefix=13)
    cidrs = {number: (net,) for number, net in enumerate(apart) if number}
    blob = pack_node(NodePolicy(groups, cidrs, rules.rules), Members(), [])
    assert node.swap(blob) == 0


# --- through the whole core -------------------------------------------------------------------


@pytest.fixture
def rules():
    """Web may talk to db, on one port; group 3 is the world."""
    return NodePolicy(
        ("any", "web", "db", "far"),
        {3: (ip_network(packets.world_net_ip4),)},
        (
            NodeRule(1, 3, 1, ALL, Action.DENY),
            NodeRule(2, 1, 2, (PortMatch(17, SERVICE, SERVICE),), Action.ALLOW),
        ),
    )


def test_a_flow_is_judged_by_the_groups_of_both_ends(node, rules, net):
    peer = ip_address(net.peer)
    members = Members({PORT: (0, 1)}, {peer: (0, 2)})
    assert node.swap(pack_node(rules, members, [head(1)])) == 0
    assert node.core.passes(net.out(udp()))
    assert not node.core.passes(net.out(udp(dport=SERVICE + 1)))
    assert not node.core.passes(net.out(udp(), peer=net.other))
    assert not node.core.passes(net.into(udp(sport=1)))
    assert not node.core.passes(Connection(net, EGRESS).segment(0, "S"))


def test_a_rule_may_hold_at_one_end_alone(node, rules, net):
    """Both classes are the same: what is compiled for one direction must not answer the other."""
    both = Members({PORT: (0, 1)}, {ip_address(net.peer): (0, 1)})
    only = NodeRule(1, 1, 1, ALL, Action.ALLOW, Direction.INGRESS)
    one = NodePolicy(rules.groups, {}, (only,))
    assert node.swap(pack_node(one, both, [head(1)])) == 0
    assert not node.core.passes(net.out(udp()))
    assert node.core.passes(net.into(udp(sport=1)))


def test_icmp_is_judged_by_its_type(node, rules, net):
    """An echo reply that nobody asked for is a packet of its own type, not a part of an echo."""
    asks, answers = (8, 0) if net.family == 4 else (128, 129)
    for kind, ping in ((asks, True), (answers, False)):
        types = (PortMatch(net.icmp, kind, kind),)
        one = replace(rules, rules=(NodeRule(1, 0, 0, types, Action.ALLOW),))
        assert node.swap(pack_node(one, Members(), [head(kind + 1)])) == 0
        assert node.core.passes(net.out(net.ping(ident=kind))) is ping
        assert node.core.passes(net.into(net.pong(ident=kind)))
        assert node.core.passes(net.into(net.pong(ident=1))) is not ping


def test_an_address_that_passes_to_another_workload_takes_no_verdict_along(
    node, rules, net
):
    peer = ip_address(net.peer)
    members = Members({PORT: (0, 1)}, {peer: (0, 2)})
    assert node.swap(pack_node(rules, members, [head(1)])) == 0
    assert node.core.passes(net.out(udp()))
    gone = pack_members(rules, Members({}, {peer: ()}), [head(2)])
    assert node.delta(gone) == 0
    assert not node.core.passes(net.out(udp()))
    other = pack_members(rules, Members({}, {peer: (0, 1)}), [head(3)])
    assert node.delta(other) == 0
    assert not node.core.passes(net.out(udp()))
    back = pack_members(rules, Members({}, {peer: (0, 2)}), [head(4)])
    assert node.delta(back) == 0
    assert node.core.passes(net.out(udp()))


def test_a_port_that_went_has_no_groups_when_it_comes_again(node, rules, net):
    members = Members({PORT: (0, 1)}, {ip_address(net.peer): (0, 2)})
    assert node.swap(pack_node(rules, members, [head(1)])) == 0
    node.core.lib.sg_core_port_delete(node.core.core, PORT)
    assert node.delta(pack_members(rules, Members(), [head(2)])) == 0
    assert not node.core.passes(net.out(udp()))


def test_without_a_node_policy_the_default_decides(node, net):
    rules = NodePolicy()
    assert node.delta(pack_members(rules, Members(), [])) == -EINVAL
    blob = pack_node(rules, Members(), [head(1, mode=Mode.DISCOVER)])
    assert node.swap(blob) == 0
    assert node.core.passes(net.out(udp()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"rules": (NodeRule(1, 4, 0, ALL, Action.ALLOW),)},
        {"rules": (NodeRule(1, 0, 4, ALL, Action.ALLOW),)},
        {"rules": (NodeRule(1, 0, 0, (PortMatch(47),), Action.ALLOW),)},
        {"rules": (NodeRule(1, 0, 0, (PortMatch(6, 2, 1),), Action.ALLOW),)},
        {"rules": (NodeRule(1, 0, 0, (PortMatch(58, 2, 1),), Action.ALLOW),)},
        {"rules": (NodeRule(1, 0, 0, (PortMatch(0, 1, 1),), Action.ALLOW),)},
        {"flags": 4},
        {"flags": 2},
        {"cidrs": {4: (ip_network(packets.net_ip4),)}},
        {"members": Members({PORT: (4,)}, {})},
        {"members": Members({0: (0,)}, {})},
        {"cut": 1},
        {"cut": 4},
    ],
    ids=str,
)
def test_a_node_policy_that_contradicts_itself_is_refused(node, rules, net, wrong):
    good = Members({PORT: (0, 1)}, {ip_address(net.peer): (0, 2)})
    assert node.swap(pack_node(rules, good, [head(1)])) == 0
    bad = NodePolicy(rules.groups, wrong.get("cidrs", {}), wrong.get("rules", ()))
    blob = pack_node(bad, wrong.get("members", good), [head(2)])
    if "flags" in wrong:
        # No such flag; a rule that allows and rejects.
        one = replace(rules, rules=(NodeRule(1, 0, 0, ALL, Action.ALLOW),))
        raw = bytearray(pack_node(one, good, [head(2)]))
        raw[sizeof("sg_node_head") + sizeof("sg_policy") + 22] = wrong["flags"]
        blob = bytes(raw)
    assert node.swap(blob[: len(blob) - wrong.get("cut", 0)]) == -EINVAL
    assert node.core.passes(net.out(udp()))


def test_a_delta_for_another_policy_is_refused(node, rules):
    assert node.swap(pack_node(rules, Members(), [])) == 0
    other = NodePolicy(("any", "web"))
    assert node.delta(pack_members(other, Members({PORT: (1,)}, {}), [])) == -EINVAL
    whole = pack_node(rules, Members({PORT: (1,)}, {}), [])
    assert node.delta(whole) == -EINVAL
