"""Frames of all kinds that two parsers may read differently: made, mutated, cut short. In: a seed. Out: bytes. No I/O."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

INBOUND, GSO, TAGGED, SHORT_HEAD = 1, 2, 4, 8
POD, WORLD = "02 42 ac 11 00 02", "02 42 ac 11 00 01"
GROUPS = ("ff ff ff ff ff ff", "01 00 5e 00 00 16", "33 33 00 00 00 01")
TCP, UDP, ICMP, IGMP, ICMP6, SCTP = 6, 17, 1, 2, 58, 132
HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60
PROTOS = (
    *[TCP, UDP, ICMP, ICMP6, SCTP] * 4,
    IGMP,
    4,
    41,
    47,
    50,
    51,
    103,
    135,
    139,
    140,
    253,
    254,
)
HOPS = (64, 1, 255)
TCP_FLAGS = (
    0x10,
    0x18,
    0x02,
    0x12,
    0x11,
    0x14,
    0x04,
    0x01,
    0x00,
    0x3F,
    0x13,
    0x16,
    0x29,
    0xC2,
)
ICMP_TYPES = (0, 3, 4, 5, 8, 9, 11, 12, 13, 14, 17)
ICMP6_TYPES = (1, 2, 3, 4, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 143, 200)
OPTIONS = (
    "01" * 4,
    "44 04 05 00",
    "83 07 04 0a 00 00 01 00",
    "89 03 04 00",
    "94 04 00 00",
    "00" * 4,
    "07 04 83 00",
    "82 0b" + "00" * 10,
)
ADDRESSES4 = (
    "0a 00 00 02",
    "c0 00 02 01",
    "e0 00 00 16",
    "ff ff ff ff",
    "ef 01 02 03",
    "00 00 00 00",
)
ADDRESSES6 = (
    "fd 00" + "00" * 13 + "02",
    "20 01 0d b8" + "00" * 11 + "01",
    "ff 02" + "00" * 13 + "16",
    "00" * 16,
)


@dataclass(frozen=True)
class Frame:
    """What an interface would give the programs."""

    data: bytes
    flags: int = 0
    tci: int = 0

    def packed(self) -> bytes:
        """The frame behind `struct given` of parsers_lab.c."""
        return struct.pack("=HHBx", len(self.data), self.tci, self.flags) + self.data


class Maker:
    """A row of frames that a seed decides."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def frames(self, count: int) -> Iterator[Frame]:
        """Half of them as they were made, the others with bytes changed or missing."""
        dice = self._random
        for _ in range(count):
            data, flags, tci = self._link(), dice.getrandbits(1), 0
            chance = dice.random()
            if chance < 0.35:
                data = self._mutant(data)
            elif chance < 0.5:
                data = data[: dice.randrange(14, len(data) + 1)]
            if dice.random() < 0.05:
                flags |= GSO
            if dice.random() < 0.05:
                flags, tci = flags | TAGGED, dice.choice((0, 0x2000, 1, 0x0FFF))
            if dice.random() < 0.1:
                flags |= SHORT_HEAD
            yield Frame(data, flags, tci)

    def _pick(self, *choices: str) -> bytes:
        return bytes.fromhex(self._random.choice(choices))

    def _mutant(self, data: bytes) -> bytes:
        dice, out = self._random, bytearray(data)
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            at = dice.randrange(12, min(len(out), 110))
            out[at] = dice.choice(
                (0, 255, out[at] ^ 1 << dice.randrange(8), dice.getrandbits(8))
            )
        return bytes(out)

    def _link(self) -> bytes:
        dice = self._random
        to = self._pick(POD, POD, POD, *GROUPS)
        macs = to + bytes.fromhex(WORLD)
        kind = dice.random()
        if kind < 0.46:
            rest = b"\x08\x00" + self._ip4()
        elif kind < 0.94:
            rest = b"\x86\xdd" + self._ip6()
        elif kind < 0.96:
            rest = b"\x08\x06" + bytes.fromhex("0001080006040001") + dice.randbytes(20)
        elif kind < 0.98:
            tag = dice.choice((b"\x81\x00", b"\x88\xa8")) + dice.randbytes(2)
            rest = tag + b"\x08\x00" + self._ip4()
        else:
            rest = dice.randbytes(2 + dice.randrange(60))
        # A short frame's padding, and what a device leaves behind.
        return macs + rest + bytes(dice.choice((0, 0, 0, 1, 6, 46)))

    def _ip4(self) -> bytes:
        dice = self._random
        member = dice.random() < 0.1
        proto, hops = (IGMP, 1) if member else (dice.choice(PROTOS), dice.choice(HOPS))
        options = b"".join(
            self._pick(*OPTIONS) for _ in range(dice.choice((0, 0, 0, 0, 1, 2)))
        )[:40]
        options += bytes(-len(options) % 4)
        body = self._transport(proto, 4)
        fragment = dice.choice(
            (0, 0, 0, 0, 0, 0, 0x4000, 0x8000, 0x2000, 0x2003, 0x0001, 0x1FFF)
        )
        head = struct.pack(
            "!BBHHHBBH",
            0x45 + len(options) // 4, dice.choice((0, 0x28)), 20 + len(options) + len(body), dice.getrandbits(16), fragment,
            hops, proto, 0,
        )  # fmt: skip
        to = self._pick(*ADDRESSES4[2:] if member else ADDRESSES4)
        return head + self._pick(*ADDRESSES4) + to + options + body

    def _ip6(self) -> bytes:
        dice = self._random
        local = dice.random() < 0.15
        proto, hops = (
            (ICMP6, dice.choice((1, 255)))
            if local
            else (dice.choice(PROTOS), dice.choice(HOPS))
        )
        chain = [
            dice.choice((HOP, ROUTING, FRAGMENT, DESTINATION, DESTINATION))
            for _ in range(
                dice.choice((0, 1) if local else (0, 0, 0, 1, 1, 2, 3, 5, 9))
            )
        ]
        if chain and dice.random() < 0.3:
            chain[0] = HOP
        body = b"".join(
            self._extension(kind, following)
            for kind, following in zip(chain, [*chain, proto][1:], strict=True)
        ) + self._transport(proto, 6)
        length = dice.choice((len(body),) * 12 + (0,))
        head = struct.pack(
            "!IHBB",
            0x60000000,
            length,
            chain[0] if chain else proto,
            hops,
        )
        to = self._pick(ADDRESSES6[2] if local else dice.choice(ADDRESSES6))
        return head + self._pick(*ADDRESSES6) + to + body

    def _extension(self, kind: int, following: int) -> bytes:
        dice = self._random
        if kind == FRAGMENT:
            offset = dice.choice((0, 0, 0, 1, 8, 0xFFF8))
            return struct.pack("!BBHI", following, 0, offset, dice.getrandbits(32))
        if kind == ROUTING:
            return bytes(
                [
                    following,
                    0,
                    dice.choice((0, 2, 4)),
                    dice.choice((0, 0, 1)),
                    0,
                    0,
                    0,
                    0,
                ]
            )
        size = dice.choice((0, 0, 0, 1, 2))
        content = self._pick(
            "01 04 00 00 00 00",
            "00 00 00 00 00 00",
            "c2 04 00 01 00 00",
            "05 02 00 00 01 00",
        )
        return bytes([following, size]) + content + bytes(8 * size)

    def _transport(self, proto: int, version: int) -> bytes:
        dice = self._random
        ports = struct.pack(
            "!HH", *dice.choice(((40000, 443), (68, 67), (67, 68), (547, 546)))
        )
        data = dice.randbytes(dice.choice((0, 0, 1, 12, 40)))
        if proto == TCP:
            words = dice.choice((5, 5, 5, 8, 15, 4))
            flags = dice.choice(TCP_FLAGS)
            options = b"\x01" * (max(words - 5, 0) * 4)
            return (
                ports
                + dice.randbytes(8)
                + bytes([words << 4, flags])
                + bytes(6)
                + options
                + data
            )
        if proto == UDP:
            length = 8 + len(data) + dice.choice((0,) * 8 + (-1, 1, -8))
            return ports + struct.pack("!Hxx", max(length, 0)) + data
        if proto == SCTP:
            return ports + bytes(8) + bytes([dice.choice((0, 1, 2, 3)), 0, 0, 4]) + data
        if proto in (ICMP, ICMP6):
            kind = dice.choice(ICMP_TYPES if proto == ICMP else ICMP6_TYPES)
            code = dice.choice((0, 0, 0, 1, 3))
            quoted = (
                (self._ip4() if version == 4 else self._ip6())[:60]
                if dice.random() < 0.1
                else b""
            )
            return bytes([kind, code]) + dice.randbytes(6) + quoted + data
        return data + bytes(8)
