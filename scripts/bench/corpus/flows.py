"""The first bytes of both sides in order, and what the engine's recognisers say of them as they come.

In: packets of a capture. Out: Flows with what was said. I/O: none.
Of several connections between the same two ends, as nDPI counts, the first is the flow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pyctl.engine._binding import ffi, lib
from pyctl.model.apps import UNKNOWN, app_name
from scripts.bench.corpus.captures import ACK, RST, SYN, TCP, End, Packet

KEPT = 16384
Pair = tuple[int, frozenset[End]]
CERTAIN, GUESS = 2, 1


@dataclass
class Side:
    """What one end sent: bytes in order from the first on, and pieces behind a hole."""

    first: int | None = None
    data: bytearray = field(default_factory=bytearray)
    later: dict[int, bytes] = field(default_factory=dict)
    acked: int = 0

    def acknowledge(self, ack: int) -> None:
        """Note that the other end has all that is before `ack`."""
        if self.first is not None:
            count = (ack - self.first) & 0xFFFFFFFF
            self.acked = max(self.acked, count if count < 1 << 31 else 0)

    @property
    def is_partial(self) -> bool:
        """Whether the other end had bytes that are not in the capture; a FIN counts as one."""
        return len(self.data) < KEPT and self.acked > len(self.data) + 1

    def add(self, seq: int, data: bytes) -> bool:
        """Take a segment in; return whether more bytes are in order."""
        if self.first is None:
            self.first = seq
        at, before = (seq - self.first) & 0xFFFFFFFF, len(self.data)
        if at < 1 << 31 and len(data) > len(self.later.get(at, b"")):
            self.later[at] = data
        for start in sorted(self.later):
            if start <= len(self.data):
                self.data += self.later.pop(start)[len(self.data) - start :]
        del self.data[KEPT:]
        return len(self.data) > before


class Flow:
    """A connection or a pair of datagrams' ends."""

    def __init__(self, packet: Packet) -> None:
        self.proto = packet.proto
        self.ends = [packet.source, packet.target]
        self.sides = [Side(), Side()]
        self.begun = packet.proto != TCP
        """Its first packet is in the capture."""
        self._known: Any = ffi.new("struct sg_recognised *")

    def add(self, packet: Packet) -> None:
        """Take in a packet of either side, and ask."""
        if self.proto == TCP and packet.flags & SYN and not packet.data:
            self._start(packet)
            return
        if self.is_settled:
            return
        side = self.ends.index(packet.source)
        if packet.flags & ACK:
            self.sides[1 - side].acknowledge(packet.ack)
        if not packet.data:
            return
        if self.proto != TCP:
            more = not self.sides[side].data
            if more:
                self.sides[side].data += packet.data
        else:
            seq = packet.seq + bool(packet.flags & SYN)
            self.begun |= bool(packet.flags & SYN)
            more = self.sides[side].add(seq, packet.data)
        if more:
            self._ask()

    def _start(self, packet: Packet) -> None:
        if any(side.data for side in self.sides):
            return
        self.begun = True
        opener = packet.target if packet.flags & ACK else packet.source
        if opener != self.ends[0]:
            self.ends.reverse()
            self.sides.reverse()
        side = self.ends.index(packet.source)
        self.sides[side].first = (packet.seq + 1) & 0xFFFFFFFF
        if packet.flags & ACK:
            self.sides[1 - side].first = packet.ack

    def _ask(self) -> None:
        sides = [ffi.from_buffer("uint8_t[]", bytes(s.data)) for s in self.sides]
        lengths = [len(side.data) for side in self.sides]
        prefix = ffi.new("struct sg_prefix *", (sides, lengths, self.proto))
        lib.sg_recognise(prefix, self._known)

    @property
    def is_settled(self) -> bool:
        """Whether nothing can change what was said."""
        return self.proof == CERTAIN or self._known.app == UNKNOWN

    @property
    def proof(self) -> int:
        """The enum sg_app_proof."""
        return int(self._known.proof)

    @property
    def app(self) -> str | None:
        """The application that was told, or guessed."""
        return app_name(self._known.app)

    @property
    def is_partial(self) -> bool:
        """Whether the capture lacks the flow's beginning, or bytes after it."""
        return not self.begun or any(side.is_partial for side in self.sides)

    def cut_otherwise(self) -> str | None:
        """Cut a connection at every byte, either side first; return what is then said that was not, None if nothing is."""
        sides = [bytes(side.data) for side in self.sides]
        buffers = [ffi.from_buffer("uint8_t[]", side) for side in sides]
        for first in (0, 1):
            known, lengths = ffi.new("struct sg_recognised *"), [0, 0]
            for side in (first, 1 - first):
                for length in range(len(sides[side]) + 1):
                    lengths[side] = length
                    prefix = ffi.new("struct sg_prefix *", (buffers, lengths, TCP))
                    lib.sg_recognise(prefix, known)
            if (known.app, known.proof) != (self._known.app, self._known.proof):
                return f"{app_name(known.app)} {known.proof}, side {first} first"
        return None

    def spoke(self) -> bool:
        """Return whether either side sent anything."""
        return any(side.data for side in self.sides)


def flows(packets: Iterable[Packet]) -> dict[Pair, Flow]:
    """Return the flows of a capture by their protocol and ends."""
    found: dict[Pair, Flow] = {}
    over: set[Pair] = set()
    for packet in packets:
        pair = packet.proto, frozenset((packet.source, packet.target))
        flow = found.get(pair)
        if flow is None:
            flow = found[pair] = Flow(packet)
        if pair in over:
            continue
        flow.add(packet)
        if packet.flags & RST and flow.spoke():
            over.add(pair)
    return found
