"""Cassandra is known by OPTIONS, or by STARTUP with the version of its language."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import Sample

STARTUP, OPTIONS, QUERY = 1, 5, 7


def frame(
    kind: int, body: bytes = b"", *, version: int = 4, flags: int = 0, wrong: int = 0
):
    stream = b"\0" if version < 3 else b"\0\0"
    head = bytes([version, flags]) + stream + bytes([kind])
    return Sample(head + struct.pack(">I", len(body) + wrong) + body)


def texts(*pairs: tuple[bytes, bytes]) -> bytes:
    every = [text for pair in pairs for text in pair]
    return struct.pack(">H", len(pairs)) + b"".join(
        struct.pack(">H", len(text)) + text for text in every
    )


CQL = texts((b"DRIVER_NAME", b"x"), (b"CQL_VERSION", b"3.0.0"))


def test_a_first_frame_is_proof(core_module):
    assert_recognises(
        core_module,
        "Cassandra",
        frame(OPTIONS),
        frame(OPTIONS, version=5, flags=0x10),
        frame(OPTIONS, version=0x42),
        frame(STARTUP, CQL),
        frame(STARTUP, CQL, version=2),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "Cassandra",
        frame(OPTIONS, b"x"),
        frame(OPTIONS, version=6),
        frame(OPTIONS, version=0x43),
        frame(OPTIONS, version=2),
        frame(OPTIONS, flags=1),
        frame(QUERY, CQL),
        frame(STARTUP, CQL, wrong=1),
        frame(STARTUP, texts((b"VERSION", b"CQL_VERSION"))),
        frame(STARTUP, b"\0\0"),
    )
