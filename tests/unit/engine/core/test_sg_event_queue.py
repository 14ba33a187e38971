"""Who may tell how much: a port's flood of denials leaves the others' events their room."""

from __future__ import annotations

from collections import Counter
from socket import IPPROTO_TCP as TCP

import pytest

from pyctl.model.apps import app_name
from tests.unit.engine.core.app_flow import NOISE, SSH_CLIENT, Wire, asks_for
from tests.unit.engine.core.harness import (
    DROP,
    EGRESS,
    END,
    OTHER_PORT,
    PORT,
    Core,
    Rule,
)
from tests.unit.engine.core.stored import SESSIONS_AT
from tests.unit.engine.core.wire import NETS, SERVICE, Connection, udp

NET4 = NETS[0]
EVENTS = 32768
ALONE = EVENTS // 9 + 1
"""An eighth of what is free."""


@pytest.fixture
def core(core_module):
    """Name: core. Scope: function. Depends: core_module. Two ports that may open TCP alone."""
    made = Core(core_module, sessions=40000)
    for port in (PORT, OTHER_PORT):
        made.set_policy(Rule(dir=EGRESS, proto=6), port=port)
    yield made
    made.close()


def flood(core: Core, count: int, port: int = PORT) -> None:
    """So many denied packets, each of another flow."""
    frame = NET4.out(udp(), port=port)
    for n in range(count):
        core.feed(frame[:34] + n.to_bytes(2, "big") + frame[36:])


def test_a_flood_of_denials_is_told_by_peer_beyond_the_ports_share(core):
    flood(core, 8000)
    events = core.events()
    assert len(events) == ALONE + 1
    assert len({event.sport for event in events[:-1]}) == ALONE
    several = events[-1]
    assert (several.sport, several.dport, several.proto) == (0, 0, 17)
    assert core.lost == 0
    core.now += 11 * 10**9
    flood(core, ALONE + 1)
    late = 8000 - ALONE - 1
    assert sum(event.packets for event in core.events()) == late + ALONE + 1


def test_no_port_tells_more_than_500_denials_a_second_for_long(core):
    """Whoever reads them has other things to do."""
    told = 0
    for second in range(10):
        core.now += 10**9
        frame = NET4.out(udp(dport=100 + second))
        for n in range(1000):
            core.feed(frame[:34] + n.to_bytes(2, "big") + frame[36:])
        told += len([event for event in core.events() if event.dport])
    assert 4096 + 9 * 500 <= told <= 4097 + 10 * 500


def test_what_is_told_in_no_way_is_counted_by_kind(core):
    """Thousands of peers at once: each is a name of its own."""
    frame = NET4.out(udp())
    for n in range(8000):
        core.feed(frame[:30] + bytes((198, 18, n >> 8, n & 255)) + frame[34:])
    told = len(core.events())
    assert told == EVENTS // 5 + 1
    page = core.ffi.new("struct sg_event_page *")
    out = core.ffi.new("struct sg_event[1]")
    core.lib.sg_core_events(core.core, 0, 0, 0, out, 1, page)
    assert (page.lost_drops, page.lost_ends) == (8000 - told, 0)
    assert core.lost == 8000 - told


def test_the_flows_of_others_are_told_all_the_same(core):
    flood(core, 8000)
    connection = Connection(NET4, EGRESS).established(core)
    for side, flags in ((0, "FA"), (1, "FA"), (0, "A")):
        assert core.passes(connection.segment(side, flags))
    flood(core, 10, OTHER_PORT)
    events = core.events()
    assert [event.port_id for event in events if event.kind == END] == [PORT]
    drops = [e.sport for e in events if e.kind == DROP and e.port_id == OTHER_PORT]
    assert drops == list(range(10))


def test_flows_that_nobody_answered_leave_those_that_were_answered_room(core):
    core.set_policy(Rule(dir=EGRESS))
    flood(core, 9000)
    core.advance(200)
    connection = Connection(NET4, EGRESS, sport=7, dport=SERVICE).established(core)
    for side, flags in ((0, "FA"), (1, "FA"), (0, "A")):
        assert core.passes(connection.segment(side, flags))
    ends = core.events()
    assert len([end for end in ends if end.proto == 17]) == EVENTS // 5 + 1
    assert len([end for end in ends if end.proto == 6]) == 1
    assert core.lost == 9000 - len(ends) + 1


def test_what_a_former_engine_had_not_told_counts(core_module):
    size = SESSIONS_AT + 64 * 320
    memory = core_module.ffi.new("char[]", size)
    for engine in range(2):
        core = Core(core_module, sessions=64)
        core.lib.sg_core_adopt(core.core, memory, size, 1, core.now)
        core.set_policy()
        frame = NET4.out(udp(dport=9 + engine))
        for n in range(5000):
            core.feed(frame[:34] + n.to_bytes(2, "big") + frame[36:])
    told = core.events()
    assert len(told) == ALONE + 2
    assert core.lost == 0


def test_denials_between_two_addresses_are_of_one_application(node):
    """Also where the port has used up its share: a sum of two would name one of them wrongly."""
    node.judge_by(asks_for("HTTP"))
    core = node.core
    flood(core, ALONE + 1)
    for port, said in ((1, SSH_CLIENT), (2, NOISE), (3, SSH_CLIENT)):
        wire = Wire(core, NET4, sport=port).opens()
        wire.says(0, said)
        wire.waits(3.1)
    core.advance(11)
    told = Counter()
    for event in core.events():
        if event.proto == TCP and event.kind == DROP:
            assert event.sport == 0
            told[app_name(event.app)] += event.packets
    assert told == {"SSH": 2, "unknown": 1}
