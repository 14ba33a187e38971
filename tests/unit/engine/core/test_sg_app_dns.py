"""DNS is known by a message whose counts are what is in it, to the last byte."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import UDP, Sample

A, NS, SRV, OPT, NETBIOS = 1, 2, 33, 41, 32
ANSWER, INVERSE, NOTICE, UPDATE = 0x8000, 1 << 11, 4 << 11, 5 << 11


def name(*labels: bytes) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


WWW = name(b"www", b"example", b"org")


def question(what: bytes = WWW, kind: int = A, place: int = 1) -> bytes:
    return what + struct.pack(">HH", kind, place)


def record(what: bytes = b"\xc0\x0c", kind: int = A, data: bytes = bytes(4)) -> bytes:
    place = 1232 if kind == OPT else 1
    return what + struct.pack(">HHIH", kind, place, 60, len(data)) + data


def message(
    *parts: bytes,
    flags: int = 0x0100,
    counts: tuple[int, ...] = (1, 0, 0, 0),
    number: int = 0x1234,
) -> bytes:
    return struct.pack(">HH4H", number, flags, *counts) + b"".join(parts)


MESSAGES = [
    message(question()),
    message(question(), record(b"\0", OPT, b""), counts=(1, 0, 0, 1)),
    message(question(name(b"\xc3\xa4", b"x" * 63), SRV)),
    message(question(b"\0", NS)),
    message(question(), flags=0x0120),
    message(question(WWW, 255, 0x8001), question(), counts=(2, 0, 0, 0), number=0),
    message(question(), record(), flags=NOTICE, counts=(1, 1, 0, 0)),
    message(question(), record(), record(), flags=UPDATE, counts=(1, 0, 2, 0)),
    message(record(WWW), flags=INVERSE, counts=(0, 1, 0, 0)),
    message(record(WWW), flags=ANSWER | 0x400, counts=(0, 1, 0, 0), number=0),
    message(question(), record(), flags=ANSWER | 0x180, counts=(1, 1, 0, 0)),
]


@pytest.mark.parametrize("one", MESSAGES)
def test_a_message_is_proof(core_module, one):
    assert_recognises(core_module, "DNS", Sample(one, message(question()), UDP))
    assert_recognises(core_module, "DNS", Sample(struct.pack(">H", len(one)) + one))


NETBIOS_NAME = name(b"CK" + b"A" * 30)


@pytest.mark.parametrize(
    "one",
    [
        message(question()) + b"\0",
        message(question())[:-1],
        message(question(), counts=(2, 0, 0, 0)),
        message(question(), counts=(1, 0, 0, 1)),
        message(counts=(0, 0, 0, 0)),
        message(record(WWW), counts=(0, 1, 0, 0)),
        message(question(kind=0)),
        message(question(place=2)),
        message(question(b"\x40" + b"x" * 64 + b"\0")),
        message(question(b"\x80\0")),
        message(question(b"\xc0\x0c")),
        message(question(b"\xc0\x00")),
        message(question(name(*[b"x" * 63] * 4))),
        message(question(), flags=3 << 11),
        message(question(NETBIOS_NAME, SRV)),
        message(question(NETBIOS_NAME, NETBIOS)),
        message(question(), record(data=b"ab")[:-1], counts=(1, 1, 0, 0)),
    ],
)
def test_what_is_like_one_is_none(core_module, one):
    assert_not(core_module, "DNS", Sample(one, b"", UDP))
    whole = Sample(struct.pack(">H", len(one)) + one)
    assert_not(core_module, "DNS", whole, replace(whole, proto=UDP))
