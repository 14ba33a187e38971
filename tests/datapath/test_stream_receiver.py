"""A stream of the engine beside a real receiver: its bytes are ours, or we said that a copy differs."""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Iterator
from typing import Any, Self

import pytest

from tests.lab.net.raw_tcp import ACK, SYN, Answer, RawClient, Tun
from tests.unit.engine.core import extension
from tests.unit.engine.core.streams import (
    DIFFERS,
    NEW,
    NO_ROOM,
    REPEATS,
    USELESS,
    WAITS,
    Segment,
    Stream,
    overlaps,
    pieces,
)

UNIT = 4
TEXT = random.Random(1).randbytes(10500)
REPLY = random.Random(2).randbytes(20)
DROPPED = (DIFFERS, USELESS, NO_ROOM)
ROWS, ROUNDS = 400, 6
FAST_OPEN = 0x602
"""TCP fast open for each listener, without cookies."""


@pytest.fixture(scope="module")
def core_module(request: pytest.FixtureRequest) -> Any:
    """Name: core_module. Scope: module. Depends: gcc. Built once for each state of the sources."""
    return extension.build(request.config.cache.mkdir("segctl-core"))


@pytest.fixture(params=[4, 6], ids=["ipv4", "ipv6"])
def tun(lab, request: pytest.FixtureRequest) -> Iterator[Tun]:
    """Name: tun. Scope: function. Depends: lab. A kernel that listens, of each IP version."""
    with Tun(lab.netns("receiver"), request.param) as made:
        yield made


class Beside:
    """One connection, and the engine's stream of it."""

    ports = itertools.cycle(range(20000, 60000))

    def __init__(
        self, core_module: Any, tun: Tun, *, inline: bool, stamp: int | None = None
    ) -> None:
        self.inline = inline
        """Whether what the stream does not take is not sent, as an engine in the path does."""
        self.differed = False
        self.kept: dict[int, int] = {}
        self._stamp = stamp
        self.client = RawClient(tun, next(self.ports), 2**32 - 9, stamp)
        self._core_module = core_module

    def open(self, data: bytes = b"") -> None:
        """Shake hands."""
        answers = self.client.open(data)
        self.stream = Stream(self._core_module, self.client.first, started=())
        self.stream.add(Segment(0, data, stamp=self._stamp), syn=True)
        self._heard(answers)
        self.stream.add(Segment(0, ack=0, stamp=self._stamp))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.client.close()
        self.stream.close()

    def send(self, segment: Segment) -> int:
        """Send a segment by way of the stream; return what it was."""
        if self.is_over:
            return DIFFERS
        was = self.stream.add(segment)
        self.differed |= was == DIFFERS
        if was in (NEW, WAITS):
            self.kept |= dict(enumerate(segment.data, segment.at))
        if not self.inline or was not in DROPPED:
            flags = ACK if segment.ack is not None else 0
            self.client.send(
                segment.at, segment.data, flags, segment.ack, segment.stamp
            )
        if not self.is_over:
            self._heard(self.client.answers())
        return was

    @property
    def is_over(self) -> bool:
        """Whether the receiver got two versions of a byte, which was told."""
        return self.differed and not self.inline

    def reply(self, data: bytes) -> None:
        """Let the server's program send."""
        self.client.server.sendall(data)
        self._heard(self.client.answers())

    def _heard(self, answers: list[Answer]) -> None:
        """Show the stream what the receiver sent."""
        for one in answers:
            syn = bool(one.flags & SYN)
            at = (one.seq + syn - self.client.first[1] + 2**31) % 2**32 - 2**31
            ack = (one.ack - self.client.first[0] + 2**31) % 2**32 - 2**31
            segment = Segment(at, one.data, 1, ack, *one.stamps or ())
            assert self.stream.add(segment, syn=syn) not in DROPPED

    def complete(self, length: int, step: int = 0, **said: int | None) -> bytes:
        """Send all that was kept once more, and what was not, in pieces of a step; return what the program reads.

        What a window has no room for now is sent again.
        """
        whole, step, got = self._whole(length), step or length, b""
        for _, at in itertools.product(range(ROUNDS), range(0, length, step)):
            assert self.send(Segment(at, whole[at : at + step], **said)) not in DROPPED
            got += self.client.ready()
            if len(got) >= length:
                return got
        return got + self.client.received(length - len(got))

    def _whole(self, length: int) -> bytes:
        return bytes(self.kept.get(at, TEXT[at]) for at in range(length))


@pytest.mark.parametrize("hole", [0, UNIT], ids=["in-order", "behind-a-hole"])
@pytest.mark.parametrize("inline", [True, False], ids=["inline", "tap"])
def test_pieces_that_overlap_in_any_way_are_read_as_here(
    core_module, tun, hole, inline
):
    """The 409 ways of three pieces, alike and not."""
    for places, differ in itertools.product(overlaps(3), (False, True)):
        with Beside(core_module, tun, inline=inline) as beside:
            beside.open()
            for (begin, _), data in zip(
                places, pieces(places, UNIT, differ=differ), strict=True
            ):
                beside.send(Segment(hole + begin * UNIT, data, ack=0))
            assert differ or not beside.differed
            if not beside.is_over:
                length = hole + max(end for _, end in places) * UNIT
                got = beside.complete(length, ack=0)
                assert got == beside.stream.read(), places


def row(dice: random.Random, *, stamps: bool) -> Iterator[Segment]:
    """Make segments of any kind: some of changed bytes, wrong ACKs or old timestamps."""
    for _ in range(dice.randrange(2, 12)):
        at, length = dice.randrange(-6, 60), dice.choice((0, 1, 4, 15, 40))
        data = bytearray(dice.randbytes(max(0, -at)) + TEXT[max(0, at) :])[:length]
        if data and dice.random() < 0.3:
            data[dice.randrange(len(data))] ^= 1
        ack = dice.choice((0, 0, 0, 10, 20, 20, 21, 22, -1, 2**29, -(2**30), 2**31))
        stamp = 1000 + dice.choice((0, 0, 0, 1, 2, 9, -1, -2, -(2**30)))
        yield Segment(at, bytes(data), 0, ack, stamp if stamps else None)


@pytest.mark.parametrize("stamps", [False, True], ids=["plain", "timestamps"])
@pytest.mark.parametrize("inline", [True, False], ids=["inline", "tap"])
def test_segments_of_any_kind_are_read_as_here(core_module, tun, stamps, inline):
    """What is thrown away here, is so there; and what is not, never makes another text."""
    seed = random.randrange(1 << 30)
    whole = 0
    for number in range(seed, seed + ROWS):
        dice = random.Random(number)
        stamp = 1000 if stamps else None
        with Beside(core_module, tun, inline=inline, stamp=stamp) as beside:
            beside.open()
            beside.reply(REPLY)
            for one in row(dice, stamps=stamps):
                beside.send(one)
            if not beside.is_over:
                newest = 2000 if stamps else None
                got = beside.complete(100, ack=20, stamp=newest)
                assert got == beside.stream.read(), number
                whole += 1
    assert whole > ROWS // 10


def large_row(dice: random.Random) -> Iterator[Segment]:
    """Make segments of which a small window takes some, with holes, and bytes that are changed."""
    at = 0
    for _ in range(dice.randrange(4, 25)):
        at = min(9000, dice.choice((at, at, at, dice.randrange(9000))))
        data = bytearray(TEXT[at : at + dice.choice((1, 100, 500, 1400))])
        if dice.random() < 0.15:
            data[dice.randrange(len(data))] ^= 1
        yield Segment(at, bytes(data), 0, 0)
        at += len(data)


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "tap"])
def test_a_receiver_with_a_small_window_reads_as_here(core_module, tun, inline):
    """It throws away what does not fit, which the stream keeps: then that is what must come again."""
    tun.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    seed, whole = random.randrange(1 << 30), 0
    for number in range(seed, seed + ROWS // 4):
        with Beside(core_module, tun, inline=inline) as beside:
            beside.open()
            for one in large_row(random.Random(number)):
                beside.send(one)
            if not beside.is_over:
                got = beside.complete(len(TEXT), 350, ack=0)
                assert got == beside.stream.read(), number
                whole += 1
    assert whole > 10


@pytest.mark.parametrize("fast_open", [False, True], ids=["ignored", "taken"])
def test_the_data_of_a_syn_is_the_streams_first(core_module, lab, fast_open):
    ns = lab.netns("receiver")
    ns.sysctl("ipv4/tcp_fastopen", FAST_OPEN if fast_open else 0)
    with Tun(ns, 4) as tun, Beside(core_module, tun, inline=True) as beside:
        beside.open(TEXT[:10])
        assert beside.stream.is_settled == fast_open
        was = beside.send(Segment(0, b"?" * 10, 0, 0))
        assert was == (REPEATS if fast_open else DIFFERS)
        assert beside.complete(50, ack=0) == beside.stream.read() == TEXT[:50]
