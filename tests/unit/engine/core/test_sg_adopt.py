"""A dead engine's flows: its successor goes on with what it counted, and believes nothing else."""

from __future__ import annotations

import random

import pytest

from tests.unit.engine.core.harness import (
    ALLOW,
    DROP,
    EGRESS,
    END,
    FIN,
    INGRESS,
    RST,
    Core,
    Rule,
)
from tests.unit.engine.core.stored import HITS_AT, SESSIONS_AT
from tests.unit.engine.core.wire import SERVICE, Connection, udp

ROOM = 64 * 320
EBUSY, EINVAL = 16, 22
WEB = Rule(dir=EGRESS, ports=(SERVICE, SERVICE))


class Memory:
    """What outlives engines; they are never closed here, as nobody closes one that was killed."""

    def __init__(self, module):
        self.module = module
        self.bytes = module.ffi.new("char[]", SESSIONS_AT + ROOM + 4096)
        self.flows = {}
        self.now = 1000 * 10**9
        self.policies = 0

    def engine(self, sessions=64, keep=True):
        """A new one, and how many flows it took over."""
        core = Core(self.module, sessions=sessions)
        core.now, core.flows = self.now, self.flows
        core.generation = self.policies
        adopted = core.lib.sg_core_adopt(
            core.core, self.bytes, SESSIONS_AT + ROOM, int(keep), core.now
        )
        core.set_policy(WEB)
        self.policies = core.generation
        return core, adopted


@pytest.fixture
def memory(core_module):
    return Memory(core_module)


def test_a_flow_goes_on_with_all_that_was_counted(memory, net):
    """By the former engine, by the kernel since, and by this one: to the byte, and told once."""
    first, adopted = memory.engine()
    assert adopted == 0
    connection = Connection(net, EGRESS).established(first)
    first.kernel_carries(1000, 100)
    (before,) = first.sessions()
    memory.now = first.now
    second, adopted = memory.engine()
    assert adopted == 1
    assert memory.flows == {}
    (after,) = second.sessions()
    assert list(after.bytes) == list(before.bytes)
    assert list(after.packets) == list(before.packets)
    assert (after.created_ns, after.dir) == (before.created_ns, before.dir)
    assert second.passes(connection.segment(0, "PA", b"more"))
    assert len(memory.flows) == 1
    for side in (0, 1):
        second.passes(connection.segment(side, "FA"))
    second.advance(200)
    (end,) = [event for event in second.events() if event.kind == END]
    assert end.started_ns == before.created_ns
    assert end.kernel_packets == 2000
    assert end.bytes > sum(before.bytes)


def test_what_a_dead_engine_had_to_tell_is_told_by_its_successor(memory, net):
    """But for what was acknowledged; the numbers go on."""
    first, _ = memory.engine()
    connection = Connection(net, EGRESS).established(first)
    for side, flags in ((0, "FA"), (1, "FA"), (0, "A")):
        first.passes(connection.segment(side, flags))
    assert not first.passes(net.out(udp(dport=9)))
    assert first.numbered(ack=0, after=0) == [1, 2]
    assert first.numbered(ack=1, after=1) == [2]
    second, _ = memory.engine()
    assert not second.passes(net.out(udp(dport=10)))
    assert second.numbered(ack=0, after=0) == [2, 3]
    assert second.told() == [("drop", "default_deny")] * 2


def test_what_was_allowed_is_asked_of_the_policy_of_now(memory, net):
    first, _ = memory.engine()
    connection = Connection(net, EGRESS).established(first)
    second, _ = memory.engine()
    second.set_policy()
    late = connection.segment(0, "PA", b"late")
    resets = second.feed(late)
    assert len(resets) == 2
    assert late not in resets
    assert second.sessions()[0].verdict != ALLOW


def test_one_that_is_to_start_without_starts_without(memory, net):
    first, _ = memory.engine()
    Connection(net, EGRESS).established(first)
    second, adopted = memory.engine(keep=False)
    assert (adopted, second.sessions()) == (0, [])
    _, adopted = memory.engine()
    assert adopted == 0


def test_too_little_room_and_open_flows_are_refused(memory, net):
    core, adopted = memory.engine(sessions=1000)
    assert adopted == -EINVAL
    assert core.passes(net.out(udp()))
    again = core.lib.sg_core_adopt(
        core.core, memory.bytes, SESSIONS_AT + 2000 * 320, 1, core.now
    )
    assert again == -EBUSY


def test_rubbish_in_the_memory_harms_nobody(memory, net):
    """An engine may have died because it wrote where it should not."""
    rubbish = random.Random(7)
    buffer = memory.module.ffi.buffer(memory.bytes)
    for number in range(120):
        buffer[HITS_AT + rubbish.randrange(24)] = bytes([number])
        core, _ = memory.engine()
        for _ in range(20):
            core.feed(net.out(udp(4000 + rubbish.randrange(200))))
        core.advance(0.3)
        for _ in range(1 + number % 60):
            at = SESSIONS_AT + rubbish.randrange(64 * 300)
            buffer[at] = bytes([rubbish.choice((0, 1, 2, 255, rubbish.randrange(256)))])
        memory.now = core.now
    core, adopted = memory.engine()
    assert 0 <= adopted <= 64
    core.advance(2000)
    assert core.sessions() == []


@pytest.mark.parametrize("closes", [(RST,), (FIN, FIN)], ids=["RST", "FINs"])
def test_what_closed_while_there_was_no_engine_is_told_soon(memory, net, closes):
    """The ring's records are gone with their reader: the entries say it."""
    first, _ = memory.engine()
    Connection(net, EGRESS).established(first)
    first.kernel_carries(3)
    for way, close in zip((EGRESS, INGRESS), closes, strict=False):
        first.kernel_closes(way, close, told=False)
    memory.now = first.now
    second, adopted = memory.engine()
    assert adopted == 1
    second.advance(1.2)
    (end,) = [event for event in second.events() if event.kind == END]
    assert end.packets == 4 + 6 + len(closes)


def test_what_the_kernel_dropped_of_a_denied_service_is_told_once(memory, net):
    """By the engine that read it, or by the next one."""
    first, _ = memory.engine()
    denied = Connection(net, INGRESS, dport=9).segment(0, "S")
    first.feed(denied)
    first.kernel_carries(40)
    first.advance(2)
    first.kernel_carries(2)
    memory.now = first.now
    second, adopted = memory.engine()
    assert adopted == 1
    assert second.drops() == {}
    second.feed(denied)
    second.kernel_carries(3)
    second.advance(70)
    told = [event.packets for event in second.events() if event.kind == DROP]
    assert sum(told) == 1 + 40 + 2 + 1 + 3
    assert second.sessions() == []
