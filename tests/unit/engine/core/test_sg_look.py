"""What waits for its application: every order, room, and what a successor of the engine makes of it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pyctl.model.policy import Action
from pyctl.model.workload import Mode
from tests.unit.engine.core.app_flow import (
    DECIDED,
    GET,
    OK,
    OVER,
    PENDING,
    SSH_CLIENT,
    SSH_SERVER,
    Wire,
    always,
    asks_for,
    payload,
    resets,
)
from tests.unit.engine.core.harness import EGRESS, Core
from tests.unit.engine.core.hello import SERVER_HELLO, hello, sni
from tests.unit.engine.core.node import Node
from tests.unit.engine.core.stored import SESSIONS_AT
from tests.unit.engine.core.test_sg_adopt import ROOM
from tests.unit.engine.core.test_sg_judge_http import only
from tests.unit.engine.core.wire import NETS, Connection, parse

V4 = NETS[0]
LONG = b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: b.example\r\n\r\n"
FRAMES_MAX, STREAMS_MAX = 8 << 20, 256 << 20
A_FLOW_HOLDS = 23
SHAKES = ((0, "S"), (1, "SA"), (0, "A"))
PORTS_AT = 34
CHECKED = b"\2" + bytes(9)


def with_bytes(frame: bytes, at: int, put: bytes) -> bytes:
    return frame[:at] + put + frame[at + len(put) :]


def cut(data: bytes, places: list[int]) -> list[tuple[int, bytes]]:
    """Offsets and pieces of `data`, cut at these places."""
    ends = sorted({0, len(data), *places})
    return [(start, data[start:end]) for start, end in pairwise(ends)]


def segment(connection: Connection, side: int, at: int, data: bytes) -> bytes:
    """A segment of the side whose first byte has offset `at`."""
    before = list(connection.seq)
    connection.seq[side] = (1001, 5001)[side] + at
    made = connection.segment(side, "PA", data)
    connection.seq = before
    return made


def joined(frames: list[bytes]) -> bytes:
    """What a receiver reads of the client's frames, whose first byte has number 1001."""
    read = bytearray()
    pieces = sorted(
        (parse(frame)["TCP"].seq - 1001, payload(frame)) for frame in frames
    )
    for at, piece in pieces:
        assert at <= len(read), "a hole"
        assert read[at : at + len(piece)] == piece[: max(0, len(read) - at)]
        read[at:] = read[at:] if len(read) - at > len(piece) else piece
    return bytes(read)


@st.composite
def sendings(draw, data: bytes) -> list[tuple[int, bytes]]:
    """The data in pieces, in any order, some of them twice."""
    pieces = cut(data, draw(st.lists(st.integers(1, len(data) - 1), max_size=6)))
    again = draw(st.lists(st.sampled_from(pieces), max_size=3))
    return draw(st.permutations(pieces + again))


@settings(max_examples=60, deadline=None)
@given(sendings(LONG))
def test_any_cutting_and_order_is_the_same_to_what_is_allowed(core_module, pieces):
    node = Node(core_module)
    node.judge_by(asks_for("HTTP"))
    wire = Wire(node.core, V4).opens()
    sent = [
        frame
        for at, piece in pieces
        for frame in wire.feed(segment(wire.connection, 0, at, piece))
    ]
    assert wire.session.app == 1
    assert wire.session.look == DECIDED
    assert not wire.resets
    assert joined(sent) == LONG
    # A piece that comes twice after the decision is a retransmission, and passes as one.
    assert len(sent) <= len(pieces)
    assert node.core.counters().get("waited_in_vain", 0) == 0
    node.core.close()


@settings(max_examples=40, deadline=None)
@given(sendings(LONG))
def test_and_to_what_is_denied(core_module, pieces):
    node = Node(core_module)
    node.judge_by(asks_for("SSH"))
    wire = Wire(node.core, V4).opens()
    for at, piece in pieces:
        wire.feed(segment(wire.connection, 0, at, piece))
    assert wire.across == [b"", b""]
    assert wire.session.verdict == 2
    assert wire.session.app == 1
    assert 2 <= wire.resets <= len(pieces) + 2
    node.core.close()


@settings(max_examples=40, deadline=None)
@given(sendings(SSH_CLIENT), sendings(SSH_SERVER), st.randoms())
def test_both_directions_wait_for_each_other(core_module, asked, answered, chance):
    node = Node(core_module)
    node.judge_by(asks_for("SSH"))
    wire = Wire(node.core, V4).opens()
    sides = [(0, one) for one in asked] + [(1, one) for one in answered]
    chance.shuffle(sides)
    for side, (at, piece) in sides:
        wire.feed(segment(wire.connection, side, at, piece))
    assert wire.session.app == 9
    assert len(wire.across[0]) >= len(SSH_CLIENT)
    assert len(wire.across[1]) >= len(SSH_SERVER)
    node.core.close()


def test_a_guess_that_is_allowed_lets_its_side_go_on_and_the_answer_waits(node, net):
    node.judge_by(asks_for("TLS"))
    wire = Wire(node.core, net).opens()
    asks = hello()
    wire.says(0, asks[:60])
    wire.says(0, asks[60:])
    assert wire.across[0] == asks
    assert wire.app[0] == "TLS"
    wire.waits(60)
    assert not wire.resets
    wire.says(1, SERVER_HELLO)
    assert wire.across == [asks, SERVER_HELLO]
    assert wire.app == ("TLS", 2)


def test_a_guess_that_is_denied_waits(node, net):
    node.judge_by(asks_for("SSH"))
    wire = Wire(node.core, net).opens()
    wire.says(0, hello()[:60])
    assert wire.across == [b"", b""]
    wire.waits(3.2)
    assert wire.across == [b"", b""]
    assert wire.resets == 2


def test_a_port_holds_half_of_the_room_and_the_rest_is_unknown(core_module):
    """Tiny segments, of which each flow holds as many as it may."""
    node = Node(core_module)
    node.core.close()
    node.core = Core(core_module, sessions=8000)
    node.judge_by(asks_for("SSH", unknown=Action.DENY))
    connection = Connection(V4, EGRESS)
    opening = [connection.segment(side, flags) for side, flags in SHAKES]
    piece = connection.segment(0, "PA", b"a")
    held = 0
    for number in range(2000):
        port = (10000 + number).to_bytes(2)
        for side, frame in zip((0, 1, 0), opening, strict=True):
            node.core.feed(with_bytes(frame, PORTS_AT + 2 * side, port))
        mine = with_bytes(piece, PORTS_AT, port)
        for at in range(A_FLOW_HOLDS):
            seq = with_bytes(mine, PORTS_AT + 4, (1001 + at).to_bytes(4))
            held += node.core.feed(seq, vnet=CHECKED) == []
        if node.core.counters().get("hold_memory"):
            break
    cost = FRAMES_MAX // 2 / held
    assert 120 < cost < 180
    assert "policy_deny" in node.core.drops()
    node.core.close()


def test_a_flow_holds_its_bound_and_what_is_beyond_it_comes_again(node, net):
    """Tiny segments: what they cost is bounded, too."""
    node.judge_by(asks_for("HTTP"))
    wire = Wire(node.core, net).opens()
    pieces = [segment(wire.connection, 0, at, LONG[at : at + 1]) for at in range(60)]
    for piece in pieces:
        wire.feed(piece)
    refused = node.core.counters()["not_held"]
    assert 30 < refused < 40
    assert wire.across == [b"", b""]
    wire.feed(segment(wire.connection, 0, 60, LONG[60:]))
    assert wire.app == ("HTTP", 2)
    for piece in pieces:
        wire.feed(piece)
    assert wire.across[0][-60:] == LONG[:60]


def test_a_frame_whose_payload_is_beyond_the_first_bytes_does_not_wait(node, net):
    node.judge_by(asks_for("HTTP"))
    wire = Wire(node.core, net).opens()
    wire.feed(segment(wire.connection, 0, 5, bytes(20000)))
    assert node.core.counters()["not_held"] == 1
    assert wire.across == [b"", b""]


def test_of_what_waits_the_payload_is_kept_once_and_crosses_as_it_came(node, net):
    node.judge_by(asks_for("TLS"))
    wire = Wire(node.core, net).opens()
    whole = hello(sni(b"a" * 1200))
    first, second = (
        segment(wire.connection, 0, at, whole[at : at + 900]) for at in (0, 900)
    )
    assert wire.feed(second) == []
    assert wire.feed(first) == [second, first]


def test_a_port_leaves_others_half_of_the_memory_for_first_bytes(core_module):
    """Segments behind a hole, of connections that never tell what they are."""
    node = Node(core_module)
    node.core.close()
    node.core = Core(core_module, sessions=40000)
    node.judge_by(asks_for("SSH", unknown=Action.DENY))
    connection = Connection(V4, EGRESS)
    opening = [connection.segment(side, flags) for side, flags in SHAKES]
    connection.seq[0] += 1
    piece = connection.segment(0, "PA", bytes(16000))
    flows = 0
    while not node.core.counters().get("hold_memory"):
        flows += 1
        port = (10000 + flows).to_bytes(2)
        for side, frame in zip((0, 1, 0), opening, strict=True):
            node.core.feed(with_bytes(frame, PORTS_AT + 2 * side, port))
        node.core.feed(with_bytes(piece, PORTS_AT, port), vnet=CHECKED)
        assert flows < 20000
    assert STREAMS_MAX // 2 * 0.95 < flows * 16500 < STREAMS_MAX // 2 * 1.05
    node.core.close()


class Successor:
    """Engines one after the other on the same memory."""

    def __init__(self, module, *rules):
        self.memory = module.ffi.new("char[]", SESSIONS_AT + ROOM + 4096)
        self.module, self.rules = module, rules
        self.node = self.next()

    def next(self) -> Node:
        node = Node(self.module)
        node.core.close()
        before = getattr(self, "node", None)
        node.core = Core(self.module, sessions=64)
        if before:
            node.core.now, node.core.flows = before.core.now, before.core.flows
            node.core.generation = before.core.generation
        core = node.core
        core.lib.sg_core_adopt(core.core, self.memory, SESSIONS_AT + ROOM, 1, core.now)
        node.judge_by(*self.rules)
        self.node = node
        return node


def test_of_a_dead_engine_all_that_waited_comes_again(core_module, net):
    engines = Successor(core_module, asks_for("HTTP"))
    wire = Wire(engines.node.core, net).opens()
    assert wire.says(0, GET[:9]) == []
    wire.core = engines.next().core
    assert wire.session.look == PENDING
    wire.connection.seq[0] -= 9
    wire.says(0, GET)
    assert wire.across[0] == GET
    assert wire.app == ("HTTP", 2)


def test_if_some_of_it_crossed_it_is_unknown(core_module, net):
    engines = Successor(core_module, asks_for("TLS"), always())
    wire = Wire(engines.node.core, net).opens()
    wire.says(0, hello()[:60])
    crossed = wire.across[0]
    wire.core = engines.next().core
    wire.says(0, hello()[60:])
    assert wire.app == (("unknown", 0) if crossed else ("TLS", 1))
    assert wire.session.look == (OVER if crossed else PENDING)


def test_nor_is_it_known_by_what_comes_in_its_place_after_a_blind_reset(node, net):
    node.judge_by(asks_for("TLS"))
    wire = Wire(node.core, net).opens()
    wire.says(0, hello()[:60])
    assert wire.across[0] == hello()[:60]
    wire.says(1, SERVER_HELLO[:5])
    wire.acknowledges(1)
    wire.feed(wire.connection.segment(0, "R"))
    wire.waits(4)
    wire.connection.seq[0] -= 60
    wire.says(0, hello(sni(b"b.example")))
    assert wire.across == [hello()[:60], b""]
    assert wire.app == ("unknown", 0)


def test_what_is_known_stays_known(core_module, net):
    engines = Successor(core_module, asks_for("HTTP"))
    wire = Wire(engines.node.core, net).opens()
    wire.says(0, GET)
    wire.core = engines.next().core
    wire.says(1, OK)
    assert wire.across == [GET, OK]
    assert (wire.app, wire.session.look) == (("HTTP", 2), OVER)


def test_where_the_next_request_begins_no_successor_knows(core_module, net):
    engines = Successor(core_module, only("/index.html"))
    wire = Wire(engines.node.core, net).opens()
    wire.says(0, GET)
    wire.core = engines.next().core
    wire.says(1, OK)
    assert wire.across == [GET, b""]
    assert (wire.app, wire.session.look) == (("unknown", 0), OVER)


def test_the_end_of_an_engine_frees_what_waits(core_module):
    node = Node(core_module)
    node.judge_by(asks_for("HTTP"))
    wire = Wire(node.core, V4, EGRESS).opens()
    assert not resets(wire.says(0, GET[:3]))
    node.core.close()


def test_where_nothing_is_held_a_guess_has_time_for_its_answer(node, net):
    node.judge_by(asks_for("TLS"), mode=Mode.MONITOR)
    wire = Wire(node.core, net).opens()
    wire.says(0, hello()[:60])
    wire.waits(5)
    wire.says(0, hello()[60:])
    assert wire.app[0] == "TLS"
    assert not wire.session.violation
