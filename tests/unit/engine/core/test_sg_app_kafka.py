"""Kafka is known by requests that fill their length, or by an answer with the request's number."""

from __future__ import annotations

import struct

import pytest

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import GUESS, Sample, told

PRODUCE, METADATA, HANDSHAKE, VERSIONS = 0, 3, 17, 18


def request(kind: int, version: int, body: bytes, *, wrong: int = 0) -> bytes:
    head = struct.pack(">HHI", kind, version, 7) + text(b"app") + body
    return struct.pack(">I", len(head) + wrong) + head


def text(name: bytes) -> bytes:
    return struct.pack(">H", len(name)) + name


def answer(number: int) -> bytes:
    return struct.pack(">II", 10, number) + bytes(6)


SOFTWARE = b"\0" + b"\5java" + b"\x063.7.0" + b"\0"
WHOLE = [
    request(VERSIONS, 0, b""),
    request(VERSIONS, 0, bytes(4)),
    request(VERSIONS, 3, SOFTWARE),
    request(METADATA, 1, b"\xff\xff\xff\xff"),
    request(METADATA, 4, struct.pack(">I", 1) + text(b"orders") + b"\1"),
    request(METADATA, 8, struct.pack(">I", 0) + b"\1\0\0"),
    request(HANDSHAKE, 1, text(b"SCRAM-SHA-256")),
    request(VERSIONS, 0, b"").replace(text(b"app"), b"\xff\xff").replace(b"\x0d", b"\x0a"),
]  # fmt: skip


@pytest.mark.parametrize("asks", WHOLE)
def test_a_whole_first_request_is_proof(core_module, asks):
    assert_recognises(core_module, "Kafka", Sample(asks))


def test_another_request_is_proven_by_its_answer(core_module):
    asks = request(PRODUCE, 9, bytes(40))
    assert told(core_module, Sample(asks)) == ("Kafka", GUESS)
    assert_recognises(core_module, "Kafka", Sample(asks, answer(7)))
    nameless = asks.replace(text(b"app"), text(b"")).replace(b"\x35", b"\x32")
    assert_not(
        core_module, "Kafka", Sample(asks, answer(8)), Sample(nameless, answer(7))
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "Kafka",
        Sample(request(VERSIONS, 0, b"x")),
        Sample(request(VERSIONS, 3, SOFTWARE + b"\0")),
        Sample(request(VERSIONS, 3, SOFTWARE[:-1])),
        Sample(request(METADATA, 1, struct.pack(">I", 2) + text(b"orders"))),
        Sample(request(METADATA, 4, struct.pack(">I", 0) + b"\2")),
        Sample(request(HANDSHAKE, 2, text(b"PLAIN"))),
        Sample(request(93, 0, b""), answer(7)),
        Sample(request(PRODUCE, 21, b""), answer(7)),
        Sample(request(VERSIONS, 0, b"", wrong=-1)),
    )
