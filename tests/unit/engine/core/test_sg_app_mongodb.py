"""MongoDB is known by a request's head and the document that agrees with it."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import Sample

DOCUMENT = struct.pack("<I", 19) + b"\x10isMaster\0" + struct.pack("<I", 1) + b"\0"


def message(body: bytes, kind: int = 2013, *, answers: int = 0, wrong: int = 0):
    head = struct.pack("<IIII", 16 + len(body) + wrong, 7, answers, kind)
    return Sample(head + body)


def msg(document: bytes = DOCUMENT, flags: int = 0, section: int = 0) -> bytes:
    tail = bytes(4) if flags & 1 else b""
    return struct.pack("<IB", flags, section) + document + tail


def query(name: bytes = b"admin.$cmd", flags: int = 4) -> bytes:
    return (
        struct.pack("<I", flags) + name + b"\0" + struct.pack("<ii", 0, -1) + DOCUMENT
    )


FIXED = DOCUMENT[:4].replace(b"\x13", b"\x17") + DOCUMENT[4:]


def test_a_first_message_is_proof(core_module):
    assert_recognises(
        core_module,
        "MongoDB",
        message(msg()),
        message(msg(flags=1)),
        message(msg(b"\5\0\0\0\0")),
        message(query(), 2004),
        message(query(), 2004, answers=0xFFFFFFFF),
        message(struct.pack("<IIB", 2013, 60, 2) + bytes(20), 2012),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "MongoDB",
        message(msg(), answers=1),
        message(msg(), 2014),
        message(msg(flags=4)),
        message(msg(section=1)),
        message(msg(FIXED)),
        message(msg(), wrong=-2),
        message(msg(DOCUMENT.replace(b"\x10", b"\x14"))),
        message(query(b"admin"), 2004),
        message(query(b"a.\x01"), 2004),
        message(query(flags=1), 2004),
        message(struct.pack("<IIB", 1, 60, 2) + bytes(20), 2012),
    )
