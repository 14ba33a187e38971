"""TCP's first bytes: segments by offset, the engine's stream of them, and a naive one to compare it with.

In: segments whose places are counted from their side's first byte. Out: what each one was, and the bytes of both
sides. I/O: none.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

KEPT = 16384
PIECES = 16
NEW, WAITS, REPEATS, DIFFERS, BEYOND, USELESS, NO_ROOM = range(7)
BOTH = (0, 1)
WINDOW_MAX = 65535 << 14


@dataclass(frozen=True)
class Segment:
    """Bytes of a side from an offset on."""

    at: int
    data: bytes = b""
    side: int = 0
    ack: int | None = None
    """An offset of the other side."""
    stamp: int | None = None
    echo: int = 0
    """Which of the other side's timestamps it has seen, if it has a stamp and an ACK."""

    @property
    def end(self) -> int:
        return self.at + len(self.data)


class Stream:
    """A struct sg_stream."""

    def __init__(
        self,
        module: Any,
        first: tuple[int, int] = (1000, 2000),
        room: int = 1 << 20,
        started: tuple[int, ...] = BOTH,
    ) -> None:
        self._ffi, self._lib = module.ffi, module.lib
        self._first = first
        self._all = self._lib.sg_streams_new(room)
        self._stream = self._lib.sg_stream_new(self._all)
        assert self._stream
        for side in started:
            self.start(side)

    def close(self) -> None:
        """Free it; nothing of it is left."""
        self._lib.sg_stream_free(self._all, self._stream)
        assert self.memory == 0
        self._lib.sg_streams_free(self._all)

    def start(self, side: int, moved: int = 0) -> None:
        """Name a side's first byte, or another than it is."""
        first = (self._first[side] + moved) % 2**32
        self._lib.sg_stream_start(self._stream, side, first)

    def add(self, segment: Segment, *, syn: bool = False) -> int:
        """Return what the segment was."""
        head = self._ffi.new("struct sg_segment_head *")
        head.side, head.starts = segment.side, syn
        head.seq = (self._first[segment.side] + segment.at) % 2**32
        if segment.ack is not None:
            head.has_ack = 1
            head.ack = (self._first[1 - segment.side] + segment.ack) % 2**32
        if segment.stamp is not None:
            head.has_timestamp = 1
            head.timestamp = segment.stamp % 2**32
            head.echo = segment.echo % 2**32
        data = self._ffi.from_buffer("uint8_t[]", segment.data)
        return self._lib.sg_stream_add(
            self._all, self._stream, head, data, len(segment.data)
        )

    def read(self, side: int = 0) -> bytes:
        """Return the bytes that are there in order."""
        length = self._ffi.new("uint32_t *")
        data = self._lib.sg_stream_bytes(self._stream, side, length)
        assert bool(data) == bool(length[0])
        return bytes(self._ffi.buffer(data, length[0])) if length[0] else b""

    def stop(self) -> None:
        """Keep nothing more."""
        self._lib.sg_stream_close(self._all, self._stream)

    @property
    def is_settled(self) -> bool:
        return bool(self._lib.sg_stream_is_settled(self._stream))

    @property
    def memory(self) -> int:
        """Bytes that it takes in all."""
        return self._lib.sg_streams_bytes(self._all)


@dataclass
class _Side:
    """What the naive stream knows of a side."""

    kept: dict[int, int] = field(default_factory=dict)
    sent: int = 0
    acked: int = 0
    echo: int = 0

    @property
    def pieces(self) -> int:
        return sum(place - 1 not in self.kept for place in self.kept)

    @property
    def in_order(self) -> bytes:
        count = next(n for n in itertools.count() if n not in self.kept)
        return bytes(self.kept[place] for place in range(count))


class NaiveStream:
    """The same by a dictionary of bytes, without numbers that wrap and without memory that ends."""

    def __init__(self) -> None:
        self._sides = (_Side(), _Side())

    def add(self, segment: Segment) -> int:
        """Return what the segment was."""
        side, other = self._sides[segment.side], self._sides[1 - segment.side]
        if (why := self._thrown_away(segment, side, other)) is not None:
            return why
        brought = {
            place: byte
            for place, byte in enumerate(segment.data, segment.at)
            if 0 <= place < KEPT
        }
        lacks = segment.end > side.acked
        if lacks and any(
            side.kept.get(at, byte) != byte for at, byte in brought.items()
        ):
            return DIFFERS
        self._note(segment, side, other)
        if not segment.data or not lacks:
            return REPEATS
        if not brought.keys() - side.kept.keys():
            return BEYOND if segment.end > KEPT else REPEATS
        return self._keep(side, brought)

    def _thrown_away(self, segment: Segment, side: _Side, other: _Side) -> int | None:
        """Return what a segment is that says nothing to its receiver; None: it does."""
        if segment.end < side.acked:
            return REPEATS
        older = (
            segment.stamp is not None and other.echo and segment.stamp < other.echo - 1
        )
        wrong = segment.ack is not None and segment.ack > other.sent + 1
        far = segment.at > side.acked + WINDOW_MAX
        return USELESS if older or wrong or far else None

    @staticmethod
    def _note(segment: Segment, side: _Side, other: _Side) -> None:
        if segment.data:
            side.sent = max(side.sent, segment.end)
        if segment.ack is not None:
            other.acked = max(other.acked, min(segment.ack, other.sent))
            if segment.stamp is not None:
                side.echo = max(side.echo, segment.echo)

    @staticmethod
    def _keep(side: _Side, brought: dict[int, int]) -> int:
        joined = _Side(side.kept | brought)
        if joined.pieces > PIECES - (0 not in joined.kept):
            return NO_ROOM
        more = len(joined.in_order) > len(side.in_order)
        side.kept = joined.kept
        return NEW if more else WAITS

    def read(self, side: int = 0) -> bytes:
        """Return the bytes that are there in order."""
        return self._sides[side].in_order

    @property
    def is_settled(self) -> bool:
        return all(
            len(side.in_order) == min(side.sent, KEPT) <= side.acked
            for side in self._sides
        )


Places = tuple[tuple[int, int], ...]


def overlaps(count: int) -> Iterator[Places]:
    """Each way in which so many pieces can lie to one another: (first, end) of each, their ends being ranks.

    They are the weak orders of all ends that set each piece's end behind its begin: of two pieces the 13 relations
    of Allen's algebra, of three pieces 409.
    """
    for ranks in itertools.product(range(2 * count), repeat=2 * count):
        places = tuple(zip(ranks[::2], ranks[1::2], strict=True))
        used = set(ranks)
        if used == set(range(len(used))) and all(a < b for a, b in places):
            yield places


def pieces(places: Places, unit: int, *, differ: bool) -> list[bytes]:
    """Return the bytes of each piece, `unit` of them for a rank: alike where they overlap, or no two alike."""
    return [
        bytes(
            (place * 7 + (60 * number if differ else 0)) % 256
            for place in range(begin * unit, end * unit)
        )
        for number, (begin, end) in enumerate(places)
    ]


def overlap_at_all(places: Places) -> bool:
    """Return whether a byte is in two pieces."""
    return any(
        max(a[0], b[0]) < min(a[1], b[1]) for a, b in itertools.combinations(places, 2)
    )
