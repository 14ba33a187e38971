"""The session table's room: a port's, a peer's in it, and who makes some when it is used up."""

from __future__ import annotations

import itertools

import pytest
from scapy.layers.inet import TCP

from tests.unit.engine.core.harness import (
    ALLOW,
    DENY,
    EGRESS,
    END,
    INGRESS,
    OTHER_PORT,
    PORT,
    Core,
    Rule,
)
from tests.unit.engine.core.stored import SESSIONS_AT
from tests.unit.engine.core.wire import (
    CLIENT,
    NETS,
    SERVICE,
    Connection,
    udp,
)

NET4 = NETS[0]
OPENS = Rule()
NEXT_ID_AT = 24
"""In struct sg_store."""


@pytest.fixture
def small(core_module):
    """Name: small. Scope: function. Depends: core_module. Makes cores of so many sessions."""
    made = []

    def make(sessions: int, mode: str = "protect") -> Core:
        core = Core(core_module, sessions=sessions)
        core.set_policy(OPENS, mode=mode)
        core.set_policy(OPENS, port=OTHER_PORT)
        made.append(core)
        return core

    yield make
    for core in made:
        core.close()


def count(core: Core) -> int:
    return int(core.lib.sg_core_session_count(core.core))


def talk(core: Core, net, sport: int, **ends) -> bool:
    """A question, and its answer where it passed."""
    asked = core.passes(net.out(udp(sport), **ends))
    return asked and core.passes(net.into(udp(SERVICE, sport), **ends))


def opened(core: Core, net) -> set[int]:
    return {s.sport for s in core.sessions(PORT)}


def test_of_what_nobody_answered_the_oldest_make_room(small, net):
    """A port may hold eight times what is free, 64 of 72; one peer as much as is free of that."""
    core = small(72)
    assert all(core.passes(net.out(udp(sport))) for sport in range(1, 200))
    assert count(core) == 58
    assert opened(core, net) == set(range(200 - count(core), 200))
    assert core.drops() == {}
    ends = [event for event in core.events() if event.kind == END]
    assert [event.sport for event in ends] == list(range(1, 200 - count(core)))


def test_what_was_answered_makes_none(small, net):
    core = small(72)
    for sport in range(1, 41):
        assert talk(core, net, sport)
    for sport in range(1000, 1200):
        assert core.passes(net.out(udp(sport)))
    assert set(range(1, 41)) <= opened(core, net)


def test_the_kernel_is_asked_who_answered(small, net):
    core = small(72)
    for sport in range(1, 41):
        assert core.passes(net.out(udp(sport)))
    core.kernel_carries(1, way=INGRESS)
    for sport in range(1000, 1200):
        core.passes(net.out(udp(sport)))
    assert set(range(1, 41)) <= opened(core, net)


@pytest.mark.parametrize(("mode", "passes"), [("protect", False), ("monitor", True)])
def test_where_all_are_answered_a_new_one_has_no_room(small, net, mode, passes):
    core = small(8, mode)
    for sport in range(1, 8):
        talk(core, net, sport)
    assert core.passes(net.out(udp(99))) == passes
    assert core.drops()["session_memory"] >= 1
    assert core.passes(net.out(udp(3)))
    core.advance(200)
    assert count(core) == 0
    assert core.passes(net.out(udp(99)))


def test_one_port_never_takes_the_last_sessions_of_the_others(small, net):
    core = small(72)
    for sport in range(1, 100):
        talk(core, net, sport)
    assert core.drops()["session_memory"] > 0
    assert talk(core, net, 1, port=OTHER_PORT)


def test_one_peer_never_takes_the_last_ones_of_its_port(small, net):
    """All that it has is answered; who else speaks to the workload finds room."""
    core = small(720)
    taken = sum(talk(core, net, sport) for sport in range(1, 900))
    assert taken == 576
    assert core.drops()["session_memory"] == 899 - taken
    assert all(talk(core, net, sport, peer=net.other) for sport in range(1, 20))


def test_a_peer_that_floods_takes_its_own_and_not_those_that_wait(small, net):
    """The oldest that is unanswered is another's: it is passed over."""
    core = small(720)
    assert core.passes(net.out(udp(7), peer=net.other))
    for sport in range(1000, 3000):
        assert core.passes(net.out(udp(sport)))
    assert any(s.sport == 7 for s in core.sessions())


def test_a_network_of_ipv6_has_a_share_as_a_peer_has(small):
    """Addresses are for the asking there: each flow is from another, all of one /64."""
    net = NETS[1]
    core = small(720)
    strangers = [f"{net.peer}{n:03x}" for n in range(900)]
    taken = sum(talk(core, net, 9, peer=peer) for peer in strangers)
    assert taken < 620
    assert all(talk(core, net, sport, peer=net.other) for sport in range(1, 10))


def test_denials_cannot_fill_the_table_nor_one_ports_the_others(small, net):
    core = small(64)
    core.set_policy(Rule(dir=EGRESS))
    core.set_policy(port=OTHER_PORT)
    for dport in range(1, 100):
        assert not core.passes(net.into(udp(dport=dport)))
    assert count(core) == 15
    assert not core.passes(net.into(udp(1), port=OTHER_PORT))
    assert count(core) == 16
    assert core.passes(net.out(udp(1, 2)))


def test_the_middle_of_a_connection_is_short_lived_until_both_ends_spoke(core, net):
    """Anybody can forge ACKs: 131,000 of them closed a server for twenty minutes."""
    core.set_policy(Rule(dir=INGRESS))
    forged = TCP(sport=CLIENT, dport=SERVICE, flags="A")
    assert core.passes(net.into(forged))
    core.advance(21)
    assert core.sessions() == []
    assert core.passes(net.into(forged))
    assert core.passes(net.out(TCP(sport=SERVICE, dport=CLIENT, flags="A")))
    core.advance(1100)
    assert len(core.sessions()) == 1


def test_one_whose_other_end_the_kernel_heard_lives_on(core, net):
    core.set_policy(Rule(dir=INGRESS))
    assert core.passes(net.into(TCP(sport=CLIENT, dport=SERVICE, flags="A")))
    core.kernel_carries(3, way=EGRESS)
    core.advance(1100)
    assert len(core.sessions()) == 1


def fill(core: Core, flows: int, port: int = PORT) -> None:
    frame = NET4.out(udp(), port=port)
    for sport in range(flows):
        core.feed(frame[:34] + sport.to_bytes(2, "big") + frame[36:])


def test_a_deleted_ports_sessions_end_a_few_at_a_time(core_module):
    """Each tick gives the frames their turn; none of them is the port's any more, and each is listed until
    it is told.
    """
    core = Core(core_module, sessions=10000)
    core.set_policy(OPENS)
    fill(core, 3000)
    core.lib.sg_core_port_delete(core.core, PORT)
    assert core.sessions(PORT) == []
    left = [count(core)]
    while not core.lib.sg_core_tick(core.core, core.now):
        left.append(count(core))
        assert len(core.sessions()) == left[-1]
    assert count(core) == 0
    assert max(a - b for a, b in itertools.pairwise(left)) <= 64
    assert len([event for event in core.events() if event.kind == END]) == 3000
    assert core.flows == {}
    core.close()


def test_a_listing_holds_no_packet_up(core_module):
    """Two system calls for each session that is listed, and all slots to be seen for one port's: in small steps."""
    core = Core(core_module, sessions=20000)
    core.set_policy(OPENS)
    core.set_policy(OPENS, port=OTHER_PORT)
    fill(core, 9000)
    fill(core, 300, OTHER_PORT)
    out = core.ffi.new("struct sg_session_info[4096]")
    cursor = core.ffi.new("uint32_t *")
    ask = (core.core, OTHER_PORT, out, 4096, cursor)
    found, last = [], 0
    while not found or cursor[0]:
        found.append(core.lib.sg_core_sessions(*ask))
        assert (cursor[0] or last) - last <= 4096
        last = cursor[0]
    assert max(found) <= 256
    assert sum(found) == 300
    core.close()


def test_their_ends_wait_for_room_to_be_told(core_module):
    core = Core(core_module, sessions=10000)
    core.set_policy(OPENS)
    fill(core, 8000)
    core.lib.sg_core_port_delete(core.core, PORT)
    told = 0
    core.advance(1)
    assert 0 < count(core) < 8000
    for _ in range(10):
        told += len(core.events())
        core.advance(0.2)
    assert (told + len(core.events()), count(core), core.lost) == (8000, 0, 0)
    core.close()


def test_without_anybody_who_reads_they_do_not_wait_for_ever(core_module):
    core = Core(core_module, sessions=10000)
    core.set_policy(OPENS)
    fill(core, 8000)
    core.lib.sg_core_port_delete(core.core, PORT)
    core.advance(62)
    assert count(core) == 0
    assert len(core.events()) + core.lost == 8000
    core.close()


def test_who_gets_the_number_of_a_deleted_port_inherits_nothing(core, net):
    core.set_policy(Rule(dir=EGRESS))
    connection = Connection(net, EGRESS).established(core)
    core.lib.sg_core_port_delete(core.core, PORT)
    core.set_policy(Rule(proto=17))
    answer = connection.segment(1, "PA", b"of another's")
    assert answer not in core.feed(answer)
    assert [s.verdict for s in core.sessions(PORT)] in ([], [DENY])
    core.set_policy(OPENS)
    assert core.passes(net.out(udp(1)))
    core.advance(0.2)
    assert [s.verdict for s in core.sessions(PORT) if s.proto == 17] == [ALLOW]
    assert {s.sport for s in core.sessions(PORT) if s.proto == 17} == {1}


def test_ids_go_round(core_module, net):
    """After the last number comes the first: a name never stays with a slot."""
    core = Core(core_module, sessions=64)
    size = SESSIONS_AT + 64 * 320
    memory = core.ffi.new("char[]", size)
    assert core.lib.sg_core_adopt(core.core, memory, size, 1, core.now) == 0
    core.ffi.memmove(memory + NEXT_ID_AT, b"\xff" * 4, 4)
    successor = Core(core_module, sessions=64)
    assert successor.lib.sg_core_adopt(successor.core, memory, size, 1, core.now) == 0
    successor.set_policy(OPENS)
    for sport in range(1, 4):
        assert successor.passes(net.out(udp(sport)))
    assert {s.id for s in successor.sessions()} == {0, 1, 2}
