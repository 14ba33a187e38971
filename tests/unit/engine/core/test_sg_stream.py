"""The first bytes of a TCP connection: in order whatever way they come, one version of each, within bounds."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine.core.streams import (
    BEYOND,
    DIFFERS,
    KEPT,
    NEW,
    NO_ROOM,
    PIECES,
    REPEATS,
    USELESS,
    WAITS,
    WINDOW_MAX,
    NaiveStream,
    Segment,
    Stream,
    overlap_at_all,
    overlaps,
    pieces,
)

STREAM_MAX = 36 * 1024
SMALL = 2048
FIRSTS = st.tuples(*[st.sampled_from([0, 1, 2**31 - 20, 2**32 - 1, 2**32 - 30])] * 2)
TEXT = random.Random(1).randbytes(2 * KEPT)
PAIRS, TRIPLETS = tuple(overlaps(2)), tuple(overlaps(3))


@pytest.fixture
def make(core_module: Any) -> Iterator[Any]:
    """Name: make. Scope: function. Depends: core_module. Streams, each freed to the last byte."""
    made: list[Stream] = []

    def new(*args: Any, **options: Any) -> Stream:
        made.append(Stream(core_module, *args, **options))
        return made[-1]

    yield new
    for stream in made:
        stream.close()


@pytest.fixture
def stream(make: Any) -> Stream:
    """Name: stream. Scope: function. Depends: make. Both sides have started; a side's numbers wrap after 9 bytes."""
    return make((2**32 - 9, 2**31 - 3))


def text(at: int, end: int, **said: Any) -> Segment:
    """Return a segment of the one text that the sides send."""
    return Segment(at, TEXT[at:end] if at >= 0 else TEXT[at:] + TEXT[:end], **said)


# In order


def test_bytes_come_in_order_of_both_sides(stream):
    assert stream.add(text(0, 10)) == NEW
    assert stream.add(text(0, 30, side=1, ack=10)) == NEW
    assert stream.add(text(10, 20, ack=30)) == NEW
    assert stream.read(0) == TEXT[:20]
    assert stream.read(1) == TEXT[:30]


def test_what_came_early_waits_for_what_is_before_it(stream):
    assert stream.add(text(20, 30)) == WAITS
    assert stream.add(text(10, 20)) == WAITS
    assert stream.read() == b""
    assert stream.add(text(0, 10)) == NEW
    assert stream.read() == TEXT[:30]


def test_a_byte_that_was_there_repeats_and_a_segment_may_bring_more(stream):
    stream.add(text(0, 10))
    assert stream.add(text(0, 10)) == stream.add(text(3, 7)) == REPEATS
    assert stream.add(text(5, 15)) == NEW
    assert stream.add(Segment(15)) == REPEATS
    assert stream.read() == TEXT[:15]


def test_another_byte_differs_and_nothing_of_its_segment_is_kept(stream):
    stream.add(text(0, 10))
    stream.add(text(20, 30))
    assert stream.add(Segment(5, b"?" * 10)) == DIFFERS
    assert stream.add(Segment(10, b"?" * 11)) == DIFFERS
    assert stream.add(text(10, 20)) == NEW
    assert stream.read() == TEXT[:30]


def test_what_lies_beyond_the_kept_part_is_told(stream):
    assert stream.add(text(KEPT - 5, KEPT + 5)) == WAITS
    assert stream.add(text(0, KEPT - 5)) == NEW
    assert stream.read() == TEXT[:KEPT]
    assert stream.add(text(KEPT - 5, KEPT)) == REPEATS
    assert stream.add(text(KEPT - 5, KEPT + 1)) == BEYOND
    assert stream.add(text(KEPT, KEPT + 10)) == BEYOND


def test_a_long_stream_does_not_come_back_to_its_beginning(stream):
    """Sequence numbers wrap at 4 GiB; the first byte's number then names another byte."""
    stream.add(text(0, 100))
    stream.add(Segment(0, side=1, ack=100))
    step = 2**30 - 2**15
    for at in range(step, 2**32, step):
        assert stream.add(Segment(at, b"?")) == BEYOND
        assert stream.add(Segment(0, side=1, ack=at + 1)) == REPEATS
    assert stream.add(Segment(2**32, b"?" * 100)) == BEYOND
    assert stream.read() == TEXT[:100]


# What the receiver throws away


def test_a_side_that_has_not_started_sends_nothing(make):
    stream = make(started=(0,))
    assert stream.add(text(0, 10, side=1)) == USELESS
    assert stream.add(text(0, 10)) == NEW


def test_what_is_acknowledged_may_come_again_with_any_bytes(stream):
    """As some systems keep a connection alive: by a zero at the place of the last byte, which wants an answer."""
    stream.add(text(0, 10))
    assert stream.add(Segment(9, b"\0")) == DIFFERS
    stream.add(Segment(0, side=1, ack=10))
    assert stream.add(Segment(9, b"\0")) == REPEATS
    assert stream.add(Segment(-1, b"\0")) == REPEATS
    assert stream.add(Segment(5, b"\0" * 6)) == DIFFERS
    assert stream.read() == TEXT[:10]


def test_bytes_before_the_first_are_no_bytes(stream):
    assert stream.add(text(-5, 10)) == NEW
    assert stream.read() == TEXT[:10]


def test_a_segment_outside_of_any_window_is_useless(stream):
    assert stream.add(Segment(WINDOW_MAX + 1, b"?")) == USELESS
    assert stream.add(Segment(WINDOW_MAX, b"?")) == BEYOND
    assert stream.add(Segment(-(2**31) + 1, b"?")) == REPEATS


@pytest.mark.parametrize("ack", [22, 1 << 30, (1 << 31) - 1])
def test_an_ack_of_what_was_never_sent_makes_it_useless(stream, ack):
    stream.add(text(0, 20, side=1))
    assert stream.add(text(0, 10, ack=ack)) == USELESS
    assert stream.read() == b""
    assert stream.add(text(0, 10, ack=20)) == NEW


def test_a_fin_is_acknowledged_as_one_more(stream):
    stream.add(text(0, 10))
    assert stream.add(text(0, 5, side=1, ack=11)) == NEW
    assert stream.add(Segment(11, ack=5)) == REPEATS
    assert stream.is_settled


@pytest.mark.parametrize("ack", [19, 0, -1, -(1 << 30), -(1 << 31) + 20])
def test_an_older_ack_makes_nothing_useless(stream, ack):
    """Linux takes such a segment's data, if it is what it expects next."""
    stream.add(text(0, 20, side=1))
    stream.add(Segment(0, ack=20))
    assert stream.add(text(0, 10, ack=ack)) == NEW


@pytest.mark.parametrize("now", [1000, 2**31, 2**32 - 1, 2**32 + 50])
def test_what_is_older_than_what_its_receiver_echoes_is_useless(stream, now):
    stream.add(text(0, 10, ack=0, stamp=now))
    stream.add(Segment(0, side=1, ack=10, stamp=5, echo=now))
    stream.add(Segment(0, side=1, ack=10, stamp=5, echo=now - 9))
    assert stream.add(text(10, 20, ack=0, stamp=now - 2)) == USELESS
    assert stream.add(text(10, 20, ack=0, stamp=now - 1)) == NEW
    assert stream.add(text(20, 30, ack=0)) == NEW
    assert stream.add(text(30, 40, ack=0, stamp=now + 2**31 - 1)) == NEW


def test_timestamps_count_only_as_far_as_the_receiver_echoes_them(stream):
    """It may have agreed to none, or have thrown away the newest. A SYN's echo is none."""
    stream.add(Segment(0, side=1, stamp=5, echo=1000), syn=True)
    stream.add(text(0, 10, ack=0, stamp=1000))
    assert stream.add(text(10, 20, ack=0, stamp=1)) == NEW
    stream.add(Segment(0, side=1, ack=20))
    assert stream.add(text(20, 30, ack=0, stamp=1)) == NEW


# SYNs


def test_a_syn_starts_its_side_and_its_data_counts(make):
    stream = make(started=())
    assert stream.add(text(0, 30), syn=True) == NEW
    assert stream.add(text(0, 20, side=1, ack=30), syn=True) == NEW
    assert stream.add(text(30, 40, ack=20)) == NEW
    assert stream.read() == TEXT[:40]
    assert stream.add(Segment(0, b"?" * 30), syn=True) == REPEATS


def test_data_after_a_syn_is_compared_with_the_syns(make):
    """A server without fast open ignores a SYN's data, so the client sends it again."""
    stream = make(started=())
    stream.add(text(0, 30), syn=True)
    stream.add(Segment(0, side=1, ack=0), syn=True)
    assert stream.add(Segment(0, b"?" * 30, ack=0)) == DIFFERS
    assert stream.add(text(0, 30, ack=0)) == REPEATS


def test_another_syn_counts_until_one_is_answered(make):
    stream = make(started=())
    assert stream.add(Segment(7000), syn=True) == REPEATS
    assert stream.add(Segment(0), syn=True) == REPEATS
    assert stream.add(Segment(0, side=1, ack=7000), syn=True) == USELESS
    assert stream.add(Segment(0, side=1, ack=0), syn=True) == REPEATS
    assert stream.add(text(100, 130), syn=True) == USELESS
    stream.start(0, moved=100)
    assert stream.add(text(0, 10, ack=0)) == NEW


# Settled


def test_it_is_settled_once_all_is_in_order_and_acknowledged(stream):
    assert stream.is_settled
    stream.add(text(0, 10, ack=0))
    assert not stream.is_settled
    stream.add(text(20, 30, ack=0))
    stream.add(text(0, 10, side=1, ack=10))
    stream.add(Segment(10, ack=10))
    assert not stream.is_settled, "a hole"
    stream.add(text(10, 20, ack=10))
    stream.add(Segment(10, side=1, ack=29))
    assert not stream.is_settled
    stream.add(Segment(10, side=1, ack=30))
    assert stream.is_settled


def test_what_lies_beyond_needs_no_ack(stream):
    stream.add(text(0, KEPT + 1000))
    stream.add(Segment(0, side=1, ack=KEPT - 1))
    assert not stream.is_settled
    stream.add(Segment(0, side=1, ack=KEPT))
    assert stream.is_settled


# Bounds


def test_one_that_is_stopped_keeps_what_it_has_until_that_is_acknowledged(stream):
    stream.add(text(0, 900))
    stream.add(Segment(0, TEXT[:3000], side=1))
    stream.stop()
    assert stream.add(text(900, 1800)) == BEYOND
    assert stream.add(Segment(890, bytes(20))) == DIFFERS
    assert stream.add(text(0, 900)) == REPEATS
    assert stream.add(Segment(3000, TEXT[3000:3100], side=1, ack=899)) == BEYOND
    before = stream.memory
    assert not stream.is_settled
    assert stream.add(Segment(3100, side=1, ack=1000)) == REPEATS
    assert stream.memory < before - 900
    assert stream.add(Segment(880, bytes(200))) == BEYOND, "its receiver has these"
    assert not stream.is_settled
    assert stream.add(Segment(1800, ack=3000)) == REPEATS
    assert stream.is_settled
    assert stream.memory < SMALL // 4


def test_then_holes_are_still_filled(stream):
    stream.add(text(0, 10))
    stream.add(text(20, 30))
    stream.stop()
    assert stream.add(text(10, 20)) == NEW
    assert stream.read() == TEXT[:30]
    assert stream.add(Segment(15, bytes(3))) == DIFFERS
    assert stream.add(text(25, 40)) == BEYOND
    assert stream.add(Segment(0, side=1, ack=30)) == REPEATS
    assert stream.is_settled


def test_pieces_are_bounded_and_the_first_byte_has_its_place(stream):
    for number in range(1, PIECES):
        assert stream.add(text(2 * number, 2 * number + 1)) == WAITS
    assert stream.add(text(100, 101)) == NO_ROOM
    assert stream.add(text(100, 101)) == NO_ROOM
    assert stream.add(text(0, 1)) == NEW
    assert stream.add(text(1, 2 * PIECES)) == NEW
    assert stream.read() == TEXT[: 2 * PIECES]
    assert not stream.is_settled, "the byte without a place came"
    assert stream.add(text(100, 101)) == WAITS


def test_memory_is_bounded_and_what_found_none_may_come_again(make):
    stream = make(room=8192)
    assert stream.add(text(0, 4000)) == NEW
    assert stream.add(text(4000, 9000)) == NO_ROOM
    assert stream.add(text(4000, 6000)) == NEW
    assert stream.add(text(KEPT - 1, KEPT, side=1)) == NO_ROOM
    assert stream.read() == TEXT[:6000]
    assert stream.memory <= 8192


def test_without_memory_it_says_so_and_goes_on(core_module, make):
    stream = make()
    stream.add(text(0, 100))
    core_module.lib.t_no_memory = 1
    try:
        assert not core_module.lib.sg_streams_new(1 << 20)
        assert stream.add(text(100, 2000)) == NO_ROOM
        assert stream.add(text(0, 100)) == REPEATS
    finally:
        core_module.lib.t_no_memory = 0
    assert stream.add(text(100, 2000)) == NEW
    assert stream.read() == TEXT[:2000]


def test_no_more_streams_than_there_is_memory_for(core_module):
    ffi, lib = core_module.ffi, core_module.lib
    streams = lib.sg_streams_new(4096)
    made = list(
        itertools.takewhile(bool, (lib.sg_stream_new(streams) for _ in range(100)))
    )
    assert 4096 // 256 <= len(made) < 100
    lib.sg_stream_free(streams, ffi.NULL)
    for one in made:
        lib.sg_stream_free(streams, one)
    assert lib.sg_streams_bytes(streams) == 0
    lib.sg_streams_free(streams)


@pytest.mark.parametrize(
    ("sent", "most"),
    [
        ((0, 0), 256),
        ((517, 0), 1024),
        ((1500, 0), SMALL),
        ((517, 1000), SMALL),
        ((1800, 4096), 6400),
        ((KEPT, KEPT), STREAM_MAX),
    ],
)
@pytest.mark.parametrize("step", [1, 100, 1448])
def test_a_stream_takes_little_more_than_its_bytes(make, sent, most, step):
    stream = make()
    for side, size in enumerate(sent):
        for at in range(0, size, step):
            stream.add(text(at, min(at + step, size), side=side))
    assert sum(sent) < stream.memory <= most


# However it is cut

HELLO = b"\x16\x03\x01\x07\x06\x01" + random.Random(2).randbytes(1800)
TALKS = {
    "http": (
        b"GET /a HTTP/1.1\r\nHost: db.example\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
    ),
    "tls": (HELLO, HELLO[::-1]),
    "ssh": (b"SSH-2.0-OpenSSH_9.2\r\n", b"SSH-2.0-dropbear\r\n"),
}


@pytest.mark.parametrize("talk", TALKS.values(), ids=TALKS)
@pytest.mark.parametrize("way", ["in order", "reversed", "twice", "overlapping"])
def test_a_stream_cut_at_any_byte_is_the_same(core_module, talk, way):
    for cut in range(1, max(map(len, talk))):
        stream = Stream(core_module, (2**32 - 20, 5))
        for side, whole in enumerate(talk):
            parts = [Segment(0, whole[:cut], side), Segment(cut, whole[cut:], side)]
            if way == "reversed":
                parts.reverse()
            if way == "twice":
                parts = [part for part in parts for _ in "12"]
            if way == "overlapping":
                parts.insert(1, Segment(cut // 2, whole[cut // 2 : cut + 9], side))
            assert {stream.add(part) for part in parts} <= {NEW, WAITS, REPEATS}
            assert stream.read(side) == whole
        stream.close()


@pytest.mark.parametrize("talk", TALKS.values(), ids=TALKS)
def test_a_stream_of_single_bytes_is_the_same(make, talk):
    stream = make()
    for side, whole in enumerate(talk):
        for at in range(len(whole)):
            assert stream.add(Segment(at, whole[at : at + 1], side)) == NEW
        assert stream.read(side) == whole


# However pieces overlap


def test_pieces_lie_to_each_other_in_so_many_ways():
    assert (len(PAIRS), len(TRIPLETS)) == (13, 409)


@pytest.mark.parametrize("all_places", [PAIRS, TRIPLETS], ids=["pairs", "triplets"])
@pytest.mark.parametrize("hole", [0, 1], ids=["in order", "behind a hole"])
def test_alike_pieces_make_one_text_and_others_are_told(core_module, all_places, hole):
    for places in all_places:
        for differ in (False, True):
            stream, naive = Stream(core_module), NaiveStream()
            sent = zip(places, pieces(places, 4, differ=differ), strict=True)
            told = set()
            for (begin, _), data in sent:
                one = Segment(begin * 4 + hole, data)
                told.add(stream.add(one))
                assert naive.add(one) in told
            assert (DIFFERS in told) == (differ and overlap_at_all(places))
            stream.add(Segment(0, b"\0"))
            naive.add(Segment(0, b"\0"))
            assert stream.read() == naive.read()
            stream.close()


# As a naive one does it

near = st.one_of(st.integers(-6, 60), st.integers(KEPT - 30, KEPT + 20))


@st.composite
def segments(draw: Any) -> Segment:
    """Bytes of the text, some of them changed, some alone between holes."""
    at, length = draw(near), draw(st.sampled_from([0, 1, 1, 1, 2, 7, 25, 100]))
    data = bytearray(text(at, at + length).data)
    if data and draw(st.sampled_from([False] * 9 + [True])):
        data[draw(st.integers(0, len(data) - 1))] ^= 1
    return Segment(
        at,
        bytes(data),
        draw(st.sampled_from([0, 0, 1])),
        draw(st.none() | near),
        draw(st.none() | st.integers(0, 9)),
        draw(st.integers(0, 9)),
    )


@given(st.lists(segments(), max_size=50), FIRSTS)
def test_a_stream_is_what_a_naive_one_makes(core_module, row, first):
    stream, naive = Stream(core_module, first), NaiveStream()
    try:
        for one in row:
            assert stream.add(one) == naive.add(one)
            assert stream.is_settled == naive.is_settled
        for side in (0, 1):
            assert stream.read(side) == naive.read(side)
    finally:
        stream.close()


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 30)), max_size=40))
def test_pieces_of_one_text_never_differ(core_module, row):
    stream, there = Stream(core_module), set()
    for at, length in row:
        if stream.add(text(at, at + length)) in (NEW, WAITS, REPEATS):
            there |= set(range(at, at + length))
    count = next(n for n in itertools.count() if n not in there)
    assert stream.read() == TEXT[:count]
    stream.close()
