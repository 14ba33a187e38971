"""Each flow is one hit of the rule that decides on it, at each end; what a rule means is who it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.model.policy import Action, NodeRule
from pyctl.model.workload import Mode
from tests.unit.engine.core.harness import ALLOW as VERDICT_ALLOW
from tests.unit.engine.core.harness import EGRESS, INGRESS, Core, Rule
from tests.unit.engine.core.node import ALL, Node
from tests.unit.engine.core.stored import HITS_AT, SESSIONS_AT
from tests.unit.engine.core.wire import Connection, udp

ALLOW = NodeRule(7, 0, 0, ALL, Action.ALLOW, key=70)
DENY = NodeRule(8, 0, 0, ALL, Action.DENY, key=80)
STAGED = NodeRule(9, 0, 0, ALL, Action.DENY, staged=True, key=90)
DEFAULT = 1


def often(core: Core) -> dict[int, int]:
    return {key: count for key, (count, _) in core.hits().items()}


@pytest.mark.parametrize("initiator", [EGRESS, INGRESS])
def test_a_flow_is_one_hit_however_many_packets_it_has(node, net, initiator):
    node.judge_by(ALLOW)
    connection = Connection(net, initiator).established(node.core)
    for side in (0, 1):
        assert node.core.passes(connection.segment(side, "PA", b"more"))
    for sport in (1, 2, 2):
        assert node.core.passes(net.out(udp(sport)))
    assert often(node.core) == {70: 3}


def test_a_ping_is_one_hit_with_its_replies(node, net):
    node.judge_by(ALLOW)
    for seq in (1, 2):
        assert node.core.passes(net.out(net.ping(seq=seq)))
        assert node.core.passes(net.into(net.pong(seq=seq)))
    assert often(node.core) == {70: 1}


@pytest.mark.parametrize("action", [Action.DENY, Action.REJECT])
def test_attempts_of_one_refused_service_are_one_hit_within_a_minute(node, net, action):
    """A SYN is sent up to seven times, from another port again."""
    node.judge_by(replace(DENY, action=action))
    connection = Connection(net, EGRESS)
    for _ in range(4):
        node.core.feed(connection.segment(0, "S"))
        node.core.feed(net.out(udp()))
        node.core.advance(40)
    assert often(node.core) == {80: 2}
    node.core.advance(61)
    node.core.feed(connection.segment(0, "S"))
    node.core.feed(Connection(net, EGRESS, sport=9).segment(0, "S"))
    node.core.feed(Connection(net, EGRESS, dport=9).segment(0, "S"))
    assert often(node.core) == {80: 4}


@pytest.mark.parametrize("mode", Mode)
def test_what_no_rule_matches_is_the_defaults(node, net, mode):
    """In quarantine nobody asks the rules."""
    node.judge_by(mode=mode)
    node.core.feed(net.out(udp()))
    assert often(node.core) == ({} if mode is Mode.QUARANTINE else {DEFAULT: 1})


@pytest.mark.parametrize("decides", [ALLOW, DENY])
def test_a_staged_rule_has_the_hits_it_would_have_and_the_other_has_them_too(
    node, net, decides
):
    """Whether both say the same or not, though only the latter is told."""
    node.judge_by(STAGED, decides)
    node.core.feed(net.out(udp()))
    assert often(node.core) == {90: 1, decides.key: 1}


def test_a_ports_own_rules_have_no_counts(core, net):
    core.set_policy(Rule(action=VERDICT_ALLOW))
    assert core.passes(net.out(udp()))
    assert core.hits() == {}


def test_an_open_flow_is_a_hit_of_a_rule_that_did_not_decide_it_so_far(node, net):
    """A rule that goes on as it was has no second hit of it; one with its id alone is another."""
    node.judge_by(ALLOW)
    assert node.core.passes(net.out(udp()))
    node.judge_by(ALLOW)
    assert node.core.passes(net.out(udp()))
    assert often(node.core) == {70: 1}
    node.judge_by(replace(ALLOW, key=71))
    node.core.advance(5)
    assert node.core.passes(net.out(udp()))
    assert node.core.hits() == {70: (1, 5.0), 71: (1, 0.0)}
    node.judge_by(DENY)
    node.core.feed(net.out(udp()))
    assert often(node.core) == {70: 1, 71: 1, 80: 1}


def test_a_rule_was_last_used_when_its_flow_was_seen_last(node, net):
    """Not when its end was noticed; what the kernel carries is use, too."""
    node.judge_by(ALLOW)
    Connection(net, EGRESS).established(node.core)
    assert node.core.passes(net.out(udp()))
    node.core.advance(10)
    node.core.kernel_carries(5)
    node.core.advance(35)
    assert node.core.hits()[70] == (2, pytest.approx(35, abs=0.001))
    assert node.core.sessions()[0].keys.rule == 70


def test_only_what_changed_is_read_again(node, net):
    node.judge_by(ALLOW, DENY)
    assert node.core.passes(net.out(udp()))
    node.judge_by(DENY)
    node.core.feed(net.out(udp(1)))
    assert often(node.core) == {70: 1, 80: 1}
    assert node.core.hits(node.core.serial) == {}
    node.core.feed(net.out(udp(2)))
    assert node.core.hits(node.core.serial) == {}
    node.core.feed(net.out(udp(dport=2)))
    assert {key: n for key, (n, _) in node.core.hits(node.core.serial).items()} == {
        80: 2
    }


class Memory:
    """What outlives engines."""

    def __init__(self, module):
        self.module = module
        self.bytes = module.ffi.new("char[]", SESSIONS_AT + 1000 * 320)

    def engine(self, *, keep: bool = True) -> Node:
        made = Node(self.module)
        core, room = made.core, len(self.bytes)
        assert core.lib.sg_core_adopt(core.core, self.bytes, room, keep, core.now) >= 0
        made.judge_by(DENY)
        return made


@pytest.fixture
def memory(core_module):
    return Memory(core_module)


def open_udp(node: Node, net, dport: int) -> None:
    node.core.feed(net.out(udp(dport=dport)))


def test_counts_outlive_the_engine_and_its_flows_are_no_new_hits(memory, net):
    first = memory.engine()
    open_udp(first, net, 1)
    second = memory.engine()
    open_udp(second, net, 1)
    assert often(second.core) == {80: 1}
    open_udp(second, net, 2)
    assert often(second.core) == {80: 2}


def test_without_the_former_engines_memory_counting_starts_anew(memory, net):
    first = memory.engine()
    open_udp(first, net, 1)
    assert memory.engine(keep=False).core.hits() == {}


def test_counts_that_a_dying_engine_garbled_are_read_all_the_same(memory, net):
    first = memory.engine()
    open_udp(first, net, 1)
    log = memory.module.ffi.buffer(memory.bytes)
    hit = HITS_AT + 24
    # Last used in the future, and a serial number that was not published.
    log[hit + 16 : hit + 32] = b"\xff" * 8 + (99).to_bytes(8, "little")
    second = memory.engine()
    assert second.core.hits() == {80: (1, 0.0)}
    assert second.core.serial == 99
    log[HITS_AT + 16 : HITS_AT + 24] = b"\xff" * 8
    assert memory.engine().core.hits() == {}
