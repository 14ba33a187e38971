"""Spark is known by a frame around a serialised object, a message of authentication or a file's name."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import Sample

REQUEST, STREAM, ONE_WAY = 3, 6, 9
JAVA = b"\xac\xed\0\5sr\0\1a"


def text(body: bytes) -> bytes:
    return struct.pack(">H", len(body)) + body


def address(host: bytes) -> bytes:
    return b"\1" + text(host) + struct.pack(">I", 7077)


def blocks(kind: int, name: bytes) -> bytes:
    return bytes([kind]) + struct.pack(">I", len(name)) + name + bytes(20)


CALL = address(b"driver") + address(b"executor-1") + text(b"Master") + JAVA
SIGN_ON = b"\xfb" + struct.pack(">I", 3) + b"app" + bytes(9)


def frame(kind: int, body: bytes, *, wrong: int = 0, outer: int = 0) -> Sample:
    number = bytes(7) + b"\1" if kind == REQUEST else b""
    inner = bytes([kind]) + number + struct.pack(">I", len(body) + wrong) + body
    return Sample(struct.pack(">Q", 8 + len(inner) + outer) + inner)


def test_a_first_message_is_proof(core_module):
    assert_recognises(
        core_module,
        "Spark",
        frame(REQUEST, CALL),
        frame(ONE_WAY, b"\0" + address(b"a") + text(b"Worker") + JAVA),
        frame(REQUEST, SIGN_ON),
        frame(REQUEST, b"\xea" + SIGN_ON[1:]),
        frame(REQUEST, blocks(0, b"app-20240101000000-0001")),
        frame(REQUEST, blocks(9, b"application_1_2")),
        frame(STREAM, b"/jars/job.jar"),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "Spark",
        frame(4, CALL),
        frame(REQUEST, CALL, wrong=1),
        frame(REQUEST, CALL, outer=-1),
        frame(REQUEST, CALL.replace(b"\xac\xed", b"\xac\xee")),
        frame(REQUEST, b"\2" + CALL[1:]),
        frame(REQUEST, address(b"\x01") + CALL),
        frame(REQUEST, SIGN_ON.replace(b"\3app", b"\x7fapp")),
        frame(REQUEST, blocks(0, b"shop")),
        frame(REQUEST, blocks(16, b"app-1")),
        frame(REQUEST, blocks(0, b"app-1")[:-24]),
        frame(STREAM, b"/etc/passwd"),
    )
