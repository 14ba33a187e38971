"""Questions of DNS outlive the engine: an answer that comes to its successor teaches what it tells."""

from __future__ import annotations

import random

import pytest

from tests.unit.engine.core.dns import DOMAIN, Tcp, World, address, answer, question
from tests.unit.engine.core.harness import EGRESS
from tests.unit.engine.core.stored import QUESTIONS_AT, SESSIONS_AT
from tests.unit.engine.core.wire import NETS, Connection

DB = "db.example.org"
SIZE = SESSIONS_AT + 1000 * 320


@pytest.fixture
def engines(core_module):
    """Name: engines. Scope: function. Depends: core_module. Starts engines on the same memory, of which none ends well."""
    memory = core_module.ffi.new("char[]", SIZE)

    def start(now: int = 1000 * 10**9) -> World:
        world = World(core_module)
        world.core.now = now
        core_module.lib.sg_core_adopt(world.core.core, memory, SIZE, 1, now)
        world.allow(*world.names)
        return world

    start.memory = core_module.ffi.buffer(memory)
    return start


def test_an_answer_to_a_question_of_before_counts(engines):
    first = engines()
    assert first.asks(question(DB))
    second = engines(first.core.now)
    assert second.hears(answer(DB, [address(second.net.peer)]))
    assert second.counts() == {"learnt": 1}
    assert second.connects()
    assert second.hears(answer(DB, [address("192.0.2.1")]))
    assert second.counts() == {"learnt": 1, "no_question": 1}


def test_so_does_one_on_a_connection(engines):
    first = engines()
    tcp = Tcp(first, Connection(NETS[0], EGRESS, dport=DOMAIN))
    tcp.says(0, question(DB))
    tcp.world = second = engines(first.core.now)
    tcp.says(1, answer(DB, [address(second.net.peer)]))
    assert second.connects(sport=2)


@pytest.mark.parametrize("seconds", [29, 31])
def test_its_time_goes_on(engines, seconds):
    first = engines()
    assert first.asks(question(DB))
    second = engines(first.core.now + seconds * 10**9)
    assert second.hears(answer(DB, [address(second.net.peer)]))
    assert second.connects() is (seconds == 29)


def test_one_that_was_answered_is_not_answered_again(engines):
    first = engines()
    first.learns(DB, "192.0.2.7")
    second = engines(first.core.now)
    assert second.hears(answer(DB, [address(second.net.peer)]))
    assert not second.connects()


def test_a_question_of_a_port_that_is_gone_is_none(engines):
    first = engines()
    assert first.asks(question(DB))
    first.core.lib.sg_core_port_delete(first.core.core, 0x0107)
    first.core.advance(1)
    second = engines(first.core.now)
    second.hears(answer(DB, [address(second.net.peer)]))
    assert not second.connects()


def test_nothing_else_in_that_memory_is_believed(engines):
    world = engines()
    for number in range(30):
        world.asks(question(DB, ident=number))
    dice = random.Random(2)
    for _ in range(20):
        for _ in range(60):
            engines.memory[QUESTIONS_AT + dice.randrange(10000)] = bytes(
                [dice.randrange(256)]
            )
        world = engines(world.core.now)
        for number in range(30):
            world.hears(answer(DB, [address("192.0.2.9")], ident=number))
        world.learns(DB)
        assert world.connects()
        world.core.advance(1)
