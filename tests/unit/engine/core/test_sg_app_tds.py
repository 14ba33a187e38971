"""TDS is known by a PRELOGIN whose options fit, or by a LOGIN whose length is its own."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import Sample


def packet(body: bytes, *, kind: int = 0x12, status: int = 1, wrong: int = 0) -> Sample:
    head = struct.pack(">BBHHBB", kind, status, 8 + len(body) + wrong, 0, 1, 0)
    return Sample(head + body)


def options(*found: tuple[int, bytes], shift: int = 0) -> bytes:
    at = 5 * len(found) + 1 + shift
    heads = data = b""
    for token, value in found:
        heads += struct.pack(">BHH", token, at + len(data), len(value))
        data += value
    return heads + b"\xff" + data


VERSION = (0, b"\x0f\0\0\0\0\0")
USUAL = options(VERSION, (1, b"\0"), (2, b"\0"), (3, bytes(4)), (4, b"\0"))


def login(version: int = 0x74000004, wrong: int = 0) -> bytes:
    return struct.pack("<III", 94 + wrong, version, 4096) + bytes(82)


def test_a_first_packet_is_proof(core_module):
    assert_recognises(
        core_module,
        "TDS",
        packet(USUAL),
        packet(options(VERSION)),
        packet(login(), kind=0x10),
        packet(login(0x71000001), kind=0x10),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "TDS",
        packet(USUAL, kind=0x11),
        packet(USUAL, status=0),
        packet(options(VERSION, (1, b"\0"), shift=1)),
        packet(options((1, b"\0"), VERSION)),
        packet(options(VERSION, (10, b"\0"))),
        packet(options((0, bytes(5)), (1, b"\0"))),
        packet(USUAL, wrong=-30),
        packet(login(wrong=1), kind=0x10),
        packet(login(0x75000000), kind=0x10),
    )
