"""The table of names: whose it is, what it outlives, how much of it one port may have."""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest

from pyctl.engine.node_records import pack_node
from pyctl.model.policy import Members, NodePolicy
from tests.unit.engine.core.dns import (
    PORT_NINE,
    Tcp,
    World,
    address,
    answer,
    question,
    with_names,
)
from tests.unit.engine.core.harness import EGRESS, PORT
from tests.unit.engine.core.stored import NAMES_AT, SESSIONS_AT
from tests.unit.engine.core.wire import NETS, Connection

DB = "db.example.org"
FOUR = NETS[0]


def test_a_deleted_port_forgets_its_names(four):
    four.learns(DB)
    four.core.lib.sg_core_port_delete(four.core.core, PORT)
    assert four.known() == []
    assert four.core.classes.find(ip_address(four.net.peer))


def test_a_successor_knows_the_names_and_believes_nothing_else(core_module):
    size = SESSIONS_AT + 1000 * 320
    memory = core_module.ffi.new("char[]", size)

    def engine(now):
        world = World(core_module)
        world.core.now = now
        adopted = core_module.lib.sg_core_adopt(
            world.core.core, memory, size, 1, world.core.now
        )
        world.allow(*world.names)
        return world, adopted

    first, _ = engine(1000 * 10**9)
    first.learns(DB, ttl=1)
    first.learns("a.cdn.example", "192.0.2.1", ttl=1)
    first.connection().established(first.core)
    second, adopted = engine(first.core.now)
    assert adopted == 2
    assert second.connects(sport=2)
    assert second.connects(peer="192.0.2.1")
    assert second.core.classes.find(ip_address("192.0.2.1")) == 0
    assert len(second.known()) == 2
    second.core.advance(1000)
    assert second.known()
    third, _ = engine(second.core.now + 10**12)
    third.core.advance(100)
    assert not third.connects(sport=3)
    dice = random.Random(1)
    for _ in range(20):
        held = core_module.ffi.buffer(memory)
        for _ in range(50):
            held[NAMES_AT + dice.randrange(20000)] = bytes([dice.randrange(256)])
        broken, _ = engine(third.core.now)
        broken.known()
        broken.learns(DB)
        assert broken.connects()
        broken.core.advance(10)


def test_a_port_has_its_share_and_its_oldest_make_room(core_module):
    """Whoever asks for much loses its own first; an address with a flow stays."""
    world = World(core_module)
    world.learns(DB)
    assert world.connects()
    dice = random.Random(2)
    tcp = Tcp(world, Connection(FOUR, EGRESS, dport=53))
    for turn in range(100):
        ips = [
            str(ip_address(dice.randrange(1 << 24) + (11 << 24))) for _ in range(1000)
        ]
        tcp.says(0, question(f"n{turn}.example", ident=turn))
        tcp.says(1, answer(f"n{turn}.example", [address(ip) for ip in ips], ident=turn))
    assert world.counts()["evicted"] > 1000
    world.learns("a.cdn.example", "192.0.2.1", port=PORT_NINE)
    assert world.connects(peer="192.0.2.1", port=PORT_NINE)
    assert world.connects(sport=2)
    world.core.close()


def test_questions_of_one_port_do_not_push_out_anothers(four):
    assert four.asks(question(DB), port=PORT_NINE)
    for ident in range(5000):
        four.asks(question(f"n{ident}.example", ident=ident))
    assert four.hears(answer(DB, [address(four.net.peer)]), port=PORT_NINE)
    assert four.connects(port=PORT_NINE)
    assert four.counts()["evicted"] > 1000


@pytest.mark.parametrize(
    ("subdomains", "text"),
    [(2, "a.b"), (0, ".a"), (0, "a."), (0, "A.b"), (0, "a b"), (0, ""), (0, "a?b")],
)
def test_a_name_that_nothing_could_match_is_refused(four, subdomains, text):
    blob = bytearray(
        with_names(pack_node(NodePolicy(), Members(), []), four.core.ffi, [(0, text)])
    )
    size = four.core.ffi.sizeof("struct sg_node_head")
    blob[size + 4] = subdomains
    assert four.node.swap(bytes(blob)) != 0
