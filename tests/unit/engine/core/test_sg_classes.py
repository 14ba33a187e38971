"""What programs read as the class of an address is what the engine would judge it by, or that they have to ask."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import TCP

from pyctl.engine.node_records import pack_members, pack_node
from pyctl.model.policy import Action, Holder, Members, NodePolicy, NodeRule
from pyctl.policy.compile.compiler import Compiled, Compiler
from pyctl.policy.document.resolve import addresses
from pyctl.policy.document.types import Policy
from tests.unit.engine.core.harness import EGRESS, INGRESS
from tests.unit.engine.core.node import ALL, Node, head
from tests.unit.engine.core.test_sg_open import SERVED, services
from tests.unit.engine.core.wire import CLIENT, NETS, SERVICE
from tests.unit.policy.worlds import FLOWS, PLACES, policies, steps

FOUR = NETS[0]
PEER = ip_address(FOUR.peer)
NEAR = ip_network(f"{PEER}/24", strict=False)
BETWEEN = ip_network(f"{PEER}/16", strict=False)
ENOMEM, E2BIG = 12, 7


def class_of(node: Node, ip) -> int:
    """The engine's class of a peer; 0: none by the address alone."""
    raw = node.core.ffi.new("__u8[16]", ip.packed.ljust(16, b"\0"))
    null = node.core.ffi.NULL
    found = node.core.lib.sg_node_peer_class(node.node, ip.version, raw, null)
    return node.core.classes.version << 32 | found if found else 0


def questions(attached, after):
    for each in attached:
        (port,) = each.ports
        own = after.members.ports.get(port.port_id, ())
        for local in (*addresses(each), PLACES[0]):
            for peer in PLACES:
                if peer.version == local.version:
                    for direction in (EGRESS, INGRESS):
                        for flow in FLOWS:
                            yield (port.port_id, own, direction, local, *flow), peer


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(policies(), steps, st.lists(st.booleans(), min_size=8))
def test_after_any_row_of_changes_a_class_says_what_the_engine_would(
    core_module, policy, row, refused
):
    """For one version, port, end and class there is one verdict, whoever has asked for it and when."""
    node = Node(core_module)
    attached: dict = {}
    compiler, before, said = Compiler(policy), Compiled(), {}
    for step, refuses in zip(
        (None, *row), (*refused, *[False] * len(row)), strict=False
    ):
        if isinstance(step, str):
            attached.pop(step, None)
        elif isinstance(step, Policy):
            compiler = Compiler(step)
        elif step is not None:
            attached[step.name] = step
        after = compiler.compile(attached.values())
        node.core.classes.error = ENOMEM if refuses and attached else 0
        node.follow(before, after)
        before = after
        classes = node.core.classes
        if not classes.version:
            assert {classes.find(peer) for peer in PLACES} == {0}
            continue
        for peer in PLACES:
            assert classes.find(peer) == class_of(node, peer)
            assert (classes.find(peer) == 0) is (peer in after.members.shared)
        for (port_id, own, direction, local, *flow), peer in questions(
            attached.values(), after
        ):
            name = classes.find(peer)
            if name:
                asked = (port_id, direction, local, peer, *flow)
                found = node.ask(*asked, after.ports[port_id].segment)
                service = (name, port_id, own, direction, local, *flow)
                assert said.setdefault(service, found) == found
    node.core.close()


@pytest.fixture
def world(node):
    """Name: world. Scope: function. Depends: node. All of a wide network may talk to the port, not what is in a
    narrower one, and a workload of group 3 may again."""
    rules = NodePolicy(
        ("any", "wide", "narrow", "good"),
        {1: (BETWEEN,), 2: (NEAR,)},
        (
            NodeRule(1, 3, 0, ALL, Action.ALLOW),
            NodeRule(2, 2, 0, ALL, Action.DENY),
            NodeRule(3, 1, 0, ALL, Action.ALLOW),
        ),
    )
    node.rules = rules
    assert node.swap(pack_node(rules, Members(), [head(1)])) == 0
    return node


def opened_by(node, peer: str) -> bool:
    syn = TCP(sport=CLIENT, dport=SERVICE, flags="S")
    return bool(node.core.passes(FOUR.into(syn, peer=peer)))


def test_all_of_a_network_are_of_one_class_but_those_in_a_narrower_one(world):
    find = world.core.classes.find
    wide = [BETWEEN[n << 8 | 7] for n in range(3) if BETWEEN[n << 8 | 7] not in NEAR]
    narrow = [NEAR[n] for n in (1, 77, 200)]
    assert len({find(ip) for ip in wide}) == len({find(ip) for ip in narrow}) == 1
    assert find(wide[0]) != find(narrow[0])
    assert find(ip_address("203.0.113.9")) not in {0, find(wide[0]), find(narrow[0])}
    assert find(ip_address("2001:db8::9")) == find(ip_address("203.0.113.9"))


def test_an_address_that_moves_takes_no_class_along(world):
    find, far = world.core.classes.find, NEAR[9]
    apart = find(far)
    good = pack_members(world.rules, Members({}, {far: (0, 3)}), [])
    assert world.delta(good) == 0
    one = find(far)
    assert one not in {0, apart}
    assert find(NEAR[10]) == apart
    other = pack_members(world.rules, Members({}, {far: (0, 2)}), [])
    assert world.delta(other) == 0
    assert find(far) == apart
    assert world.delta(good) == 0
    assert find(far) == one
    both = {far: (Holder((0, 3)), Holder((0, 2)))}
    assert world.delta(pack_members(world.rules, Members({}, {}, both), [])) == 0
    assert find(far) == 0
    gone = pack_members(world.rules, Members({}, {far: ()}), [])
    assert world.delta(gone) == 0
    assert find(far) == apart
    assert len(world.core.classes.entries) == 4


@pytest.mark.parametrize("way", ["put", "delete"])
def test_where_an_address_cannot_be_told_programs_ask_until_the_next_policy(world, way):
    far = NEAR[9]
    if way == "delete":
        first = pack_members(world.rules, Members({}, {far: (0, 3)}), [])
        assert world.delta(first) == 0
    world.core.classes.error = E2BIG
    of = (0, 3) if way == "put" else ()
    assert world.delta(pack_members(world.rules, Members({}, {far: of}), [])) == 0
    assert world.core.classes.version == 0
    world.core.classes.error = 0
    assert world.delta(pack_members(world.rules, Members({}, {far: (0, 3)}), [])) == 0
    assert world.core.classes.version == 0
    assert world.swap(pack_node(world.rules, Members(), [head(2)])) == 0
    assert world.core.classes.find(far) != 0


@pytest.mark.parametrize("net", NETS)
def test_an_address_that_is_a_network_keeps_its_class_when_its_workload_leaves(
    node, net
):
    """A rule against this one address holds for whoever has it next."""
    peer = ip_address(net.peer)
    alone, beside = ip_network(peer), ip_network(peer + 1)
    rules = NodePolicy(
        ("any", "bad", "app"),
        {1: (alone, beside)},
        (NodeRule(1, 1, 0, ALL, Action.DENY), NodeRule(2, 0, 0, ALL, Action.ALLOW)),
    )
    assert node.swap(pack_node(rules, Members({}, {peer: (0, 2)}), [head(1)])) == 0
    classes = node.core.classes
    held = classes.find(peer)
    assert node.delta(pack_members(rules, Members({}, {peer: ()}), [])) == 0
    assert classes.find(peer) == class_of(node, peer) == classes.find(peer + 1)
    assert classes.find(peer) not in {held, classes.find(peer + 2)}


def test_a_policy_with_more_networks_than_there_is_room_for_has_no_classes(world):
    world.core.classes.room = 6
    many = NodePolicy(("any", "a"), {1: tuple(NEAR.subnets(new_prefix=28))}, ())
    assert world.swap(pack_node(many, Members(), [head(2)])) == 0
    assert world.core.classes.version == 0
    assert world.core.classes.find(NEAR[1]) == 0


def test_until_a_new_policy_is_whole_programs_read_the_former_one(world):
    core, ffi = world.core, world.core.ffi
    before = {ip: core.classes.find(ip) for ip in (NEAR[1], BETWEEN[1 << 8 | 1])}
    open_to_all = NodePolicy(("any",), {}, (NodeRule(1, 0, 0, ALL, Action.ALLOW),))
    blob = pack_node(open_to_all, Members(), [head(2)])
    made, data = ffi.new("struct sg_node **"), ffi.from_buffer(blob)
    assert core.lib.sg_core_node_build(core.core, data, len(blob), made) == 0
    assert core.lib.sg_core_classes_write(core.core, made[0], 9) == 9
    assert {ip: core.classes.find(ip) for ip in before} == before
    former = ffi.new("struct sg_node **")
    lib = core.lib
    assert lib.sg_core_node_swap(core.core, made[0], 9, data, len(blob), former) == 0
    lib.sg_node_free(former[0])
    assert {core.classes.find(ip) >> 32 for ip in before} == {9}


def test_new_maps_get_the_policy_that_is_in_force(world):
    core = world.core
    wanted = {key[8:]: number for key, number in core.classes.entries.items()}
    core.classes.entries.clear()
    core.lib.sg_core_classes_rewrite(core.core, 5)
    assert core.classes.version == 5
    assert {key[8:]: number for key, number in core.classes.entries.items()} == wanted


def test_new_maps_keep_what_a_former_engine_left_until_there_is_a_policy(core):
    core.classes.version = 4
    core.lib.sg_core_classes_rewrite(core.core, 5)
    assert core.classes.version == 4


def test_two_clients_of_one_class_make_one_service_known(node):
    node.judge_by(SERVED)
    for peer in (FOUR.peer, FOUR.other):
        assert opened_by(node, peer)
    assert len(services(node.core)) == 1


def test_one_of_an_address_that_two_have_makes_none_known(node):
    rules = NodePolicy(rules=(SERVED,))
    both = Members({}, {}, {PEER: (Holder((0,)), Holder((0,)))})
    assert node.swap(pack_node(rules, both, [head(1)])) == 0
    assert opened_by(node, FOUR.peer)
    assert services(node.core) == []
