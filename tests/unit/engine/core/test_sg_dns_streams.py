"""DNS over TCP: read however it is cut, for as long as the connection lives."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

from tests.unit.engine.core.dns import (
    CNAME,
    CUT,
    Tcp,
    address,
    answer,
    name,
    question,
    record,
)
from tests.unit.engine.core.harness import EGRESS
from tests.unit.engine.core.wire import NETS, Connection

DB = "db.example.org"
FOUR = NETS[0]


def test_six_names_then_a_cut_answer_then_the_same_over_tcp(four):
    hops = [DB, *(f"hop{i}.example" for i in range(6))]
    records = [record(CNAME, name(to), owner=name(at)) for at, to in pairwise(hops)]
    whole = [*records, address(four.net.peer, owner=name(hops[-1]))]
    assert four.asks(question(DB))
    assert four.hears(answer(DB, records, flags=CUT))
    assert four.counts() == {"truncated": 1}
    asking = Connection(FOUR, EGRESS, dport=53)
    tcp = Tcp(four, asking)
    tcp.says(0, question(DB))
    tcp.says(1, answer(DB, whole))
    assert four.connects()


def test_messages_on_tcp_are_read_however_they_are_cut(four):
    """Each cut in two, and several messages in a row in pieces of any size."""
    asks = question(DB)
    tells = answer(DB, [address("192.0.2.1"), address("192.0.2.2")])
    framed = struct.pack("!H", len(tells)) + tells
    for cut in range(1, len(framed)):
        tcp = Tcp(four, Connection(FOUR, EGRESS, sport=1000 + cut, dport=53))
        tcp.says(0, asks)
        assert tcp.sends(1, "A", framed[:cut])
        before = four.counts().get("learnt", 0)
        assert tcp.sends(1, "PA", framed[cut:])
        assert four.counts()["learnt"] == before + 2
    tcp = Tcp(four, Connection(FOUR, EGRESS, sport=999, dport=53))
    before, dice = four.counts()["learnt"], random.Random(1)
    for _ in range(8):
        tcp.says(0, asks)
        for _ in range(5):
            tcp.says(0, question("x.example"))
    for ident in range(32):
        tcp.says(0, question(DB, ident=ident + 100))
    row = b"".join(
        struct.pack("!H", len(one)) + one
        for one in (
            *[tells] * 8,
            *(answer(DB, [address("192.0.2.1")] * 2, ident=i + 100) for i in range(32)),
        )
    )
    while row:
        size = dice.randint(1, 90)
        assert tcp.sends(1, "A", row[:size])
        row = row[size:]
    assert four.counts()["learnt"] == before + 80


def test_a_segment_before_its_turn_is_dropped_and_comes_again(four):
    tcp = Tcp(four, Connection(FOUR, EGRESS, dport=53))
    tcp.says(0, question(DB))
    tells = answer(DB, [address(four.net.peer)])
    framed = struct.pack("!H", len(tells)) + tells
    first, second = tcp.made(1, "A", framed[:20]), tcp.made(1, "PA", framed[20:])
    assert not four.core.passes(second)
    assert four.core.drops() == {"dns_order": 1}
    for frame in (first, first, second, second):
        assert four.core.passes(frame)
    assert four.counts() == {"learnt": 1}
    (session,) = four.core.sessions()
    assert list(session.packets) == [3, 5]


def test_a_question_over_tcp_in_the_syn_counts(four):
    connection = Connection(FOUR, EGRESS, dport=53)
    tcp = Tcp.__new__(Tcp)
    tcp.world, tcp.connection = four, connection
    asks = question(DB)
    assert tcp.sends(0, "S", struct.pack("!H", len(asks)) + asks)
    assert tcp.sends(1, "SA")
    assert tcp.sends(0, "A")
    tcp.says(1, answer(DB, [address(four.net.peer)]))
    assert four.connects()


def test_a_thousand_addresses_of_one_name_are_known(four):
    ips = [f"10.2.{i // 250}.{i % 250 + 1}" for i in range(1024)]
    tcp = Tcp(four, Connection(FOUR, EGRESS, dport=53))
    tcp.says(0, question(DB))
    tcp.says(1, answer(DB, [address(ip) for ip in ips]))
    assert four.counts() == {"learnt": 1024}
    assert four.connects(peer=ips[0], sport=1)
    assert four.connects(peer=ips[-1], sport=2)


class Streams:
    """Streams of two ports by hand."""

    def __init__(self, module):
        self.ffi, self.lib = module.ffi, module.lib
        self.secret = self.ffi.new("char[16]")
        self.key = self.ffi.cast("struct sg_hash_key *", self.secret)
        self.all = self.ffi.new("struct sg_dns_streams *")
        assert self.lib.sg_dns_streams_init(self.all, self.key) == 0
        self.shares = [self.ffi.new("struct sg_dns_share *") for _ in range(2)]
        self.heard = []
        self.tell = self.ffi.callback(
            "void(void *, const uint8_t *, uint32_t)",
            lambda _context, _bytes, length: self.heard.append(length),
        )

    def opens(self, port: int, flow: int):
        """A connection's stream, at its first byte; NULL: there is no room."""
        made = self.lib.sg_dns_stream_of(self.all, self.shares[port], flow)
        if made:
            self.lib.sg_dns_stream_start(made, 0, 0)
        return made

    def says(self, port: int, stream, data: bytes, seq: int = 0) -> int:
        held = self.ffi.from_buffer(bytearray(data))
        segment = self.ffi.new("struct sg_dns_segment *", (held, len(data), seq, 0))
        share = self.shares[port]
        return self.lib.sg_dns_stream_add(
            self.all, share, stream, segment, 0, self.tell, self.ffi.NULL
        )


TAKEN, LOST = 0, 2


def test_connections_of_one_port_leave_room_for_anothers(core_module):
    streams = Streams(core_module)
    assert sum(bool(streams.opens(0, flow)) for flow in range(1, 5000)) == 2048
    assert sum(bool(streams.opens(1, flow)) for flow in range(5000, 9000)) == 1024
    for flow in range(1, 5000):
        streams.lib.sg_dns_stream_end(streams.all, streams.shares[0], flow)
    assert streams.shares[0].streams == 0
    assert streams.opens(1, 9001)


def test_messages_that_one_port_begins_leave_memory_for_anothers(core_module):
    """Each is 64 KiB long, and never ends."""
    streams = Streams(core_module)
    begun = b"\xff\xff" + bytes(40000)
    told = [streams.says(0, streams.opens(0, flow), begun) for flow in range(1, 300)]
    assert told.count(TAKEN) == 128
    assert streams.shares[0].bytes == 8 << 20
    other = streams.opens(1, 1000)
    assert streams.says(1, other, b"\0\3x") == TAKEN
    assert streams.says(1, other, b"yz", seq=3) == TAKEN
    assert streams.heard == [3]
    for flow in range(1, 300):
        streams.lib.sg_dns_stream_end(streams.all, streams.shares[0], flow)
    assert (streams.all.bytes, streams.shares[0].bytes) == (0, 0)
