"""Policies come into force whole or not at all, and where one cannot be asked nothing is remembered of it."""

from __future__ import annotations

import contextlib

import pytest
from scapy.layers.inet import TCP

from pyctl.engine.node_records import pack_members, pack_node
from pyctl.model.policy import Action, Members, NodePolicy, NodeRule
from pyctl.model.workload import Mode
from tests.unit.engine.core.harness import OTHER_PORT, PORT
from tests.unit.engine.core.node import ALL, head
from tests.unit.engine.core.wire import CLIENT, SERVICE, udp

ENOMEM, EINVAL = 12, 22
ALLOW = NodeRule(1, 0, 0, ALL, Action.ALLOW)


@contextlib.contextmanager
def no_memory(core):
    core.lib.t_no_memory = 1
    try:
        yield
    finally:
        core.lib.t_no_memory = 0


def swap(node, blob: bytes) -> int:
    """As the loop does it, with a policy that was built before; whoever lost is freed."""
    core, ffi = node.core, node.core.ffi
    made, former = ffi.new("struct sg_node **"), ffi.new("struct sg_node **")
    data = ffi.from_buffer(blob)
    assert core.lib.sg_core_node_build(core.core, data, len(blob), made) == 0
    with no_memory(core):
        error = core.lib.sg_core_node_swap(
            core.core, made[0], 0, data, len(blob), former
        )
    core.lib.sg_node_free(former[0])
    return int(error)


@pytest.fixture
def allowing(node):
    """Name: allowing. Scope: function. Depends: node. One port that may do all, one flow open."""
    node.judge_by(ALLOW)
    return node


def test_a_node_policy_that_finds_no_memory_changes_nothing(allowing, net):
    heads = [head(7), head(8, OTHER_PORT)]
    assert swap(allowing, pack_node(NodePolicy(), Members(), heads)) == -ENOMEM
    assert allowing.core.passes(net.out(udp()))
    assert [s.generation for s in allowing.core.sessions()] == [1]


def test_nor_does_one_of_whose_ports_one_is_impossible(allowing, net):
    core, ffi = allowing.core, allowing.core.ffi
    blob = bytearray(pack_node(NodePolicy(), Members(), [head(7), head(8, OTHER_PORT)]))
    policies = ffi.sizeof("struct sg_node_head")
    second = ffi.cast("struct sg_policy *", ffi.from_buffer(blob) + policies) + 1
    second.generation = 0
    made, former = ffi.new("struct sg_node **"), ffi.new("struct sg_node **")
    data = ffi.from_buffer(blob)
    assert core.lib.sg_core_node_build(core.core, data, len(blob), made) == 0
    error = core.lib.sg_core_node_swap(core.core, made[0], 0, data, len(blob), former)
    assert error < 0
    assert former[0] == made[0]
    core.lib.sg_node_free(former[0])
    assert core.passes(net.out(udp()))


def test_nor_does_a_change_of_members(allowing, net):
    blob = pack_members(NodePolicy(rules=(ALLOW,)), Members(), [head(9)])
    with no_memory(allowing.core):
        assert allowing.delta(blob) == -ENOMEM
    assert allowing.core.passes(net.out(udp()))
    assert [s.generation for s in allowing.core.sessions()] == [1]


def test_nor_does_one_that_is_of_another_policy(allowing, net):
    """It counts other groups: refused after its ports' policies are made, before they are in force."""
    assert allowing.core.passes(net.out(udp()))
    other = NodePolicy(("any", "web"), rules=(ALLOW,))
    assert allowing.delta(pack_members(other, Members(), [head(9)])) == -EINVAL
    assert allowing.core.passes(net.out(udp()))
    assert [s.generation for s in allowing.core.sessions()] == [1]


@pytest.mark.parametrize(
    "layer", [udp(), TCP(sport=CLIENT, dport=SERVICE, flags="S"), TCP(flags="A")]
)
def test_what_cannot_be_told_is_dropped_and_not_remembered(allowing, net, layer):
    """No denial in the kernel that its own packets keep alive, and no reset of what may be allowed."""
    core = allowing.core
    # There is memory for a session, and none for what the policy says of it.
    assert core.passes(net.out(udp(sport=1)))
    flows = dict(core.flows)
    allowing.judge_by(ALLOW)
    with no_memory(core):
        assert core.feed(net.out(layer)) == []
    assert core.drops() == {"session_memory": 1}
    assert (len(core.sessions()), core.flows) == (1, flows)
    assert core.passes(net.out(layer))


def test_an_open_flow_keeps_the_state_it_has(allowing, net):
    core = allowing.core
    tcp = TCP(sport=CLIENT, dport=SERVICE, flags="A")
    assert core.passes(net.out(tcp))
    assert core.passes(net.out(udp()))
    allowing.judge_by(ALLOW)
    with no_memory(core):
        assert core.feed(net.out(tcp)) == []
        assert core.feed(net.out(udp())) == []
    assert {s.generation for s in core.sessions()} == {1}
    assert core.passes(net.out(tcp))
    assert core.passes(net.out(udp()))
    assert {s.generation for s in core.sessions(PORT)} == {2}


def test_where_only_is_recorded_it_passes_without_a_session(node, net):
    node.judge_by(ALLOW, mode=Mode.MONITOR)
    with no_memory(node.core):
        assert node.core.passes(net.out(udp()))
    assert node.core.passed("session_memory") == 1
    assert node.core.sessions() == []
