"""MQTT is known by CONNECT, its name and level, and fields that fill the length."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import Sample

CLEAN, WILL, USER, PASSWORD = 0x02, 0x04, 0x80, 0x40


def field(body: bytes) -> bytes:
    return struct.pack(">H", len(body)) + body


def length(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([0x80 | value & 127, value >> 7])


def connect(
    *fields: bytes,
    name: bytes = b"MQTT",
    level: int = 4,
    flags: int = CLEAN,
    properties: bytes = b"",
    wrong: int = 0,
    kind: int = 0x10,
) -> Sample:
    head = field(name) + struct.pack(">BBH", level, flags, 60)
    body = head + properties + b"".join(field(one) for one in fields)
    return Sample(bytes([kind]) + length(len(body) + wrong) + body)


EXPIRES = b"\5\x11" + struct.pack(">I", 60)


def test_connect_is_proof(core_module):
    assert_recognises(
        core_module,
        "MQTT",
        connect(b"sensor-7"),
        connect(b"", name=b"MQIsdp", level=3),
        connect(b"a", b"b", b"c", b"me", level=0x84, flags=WILL | 8 | USER),
        connect(b"a", b"t", b"gone", b"me", b"pw", flags=WILL | USER | PASSWORD),
        connect(b"x" * 200, properties=EXPIRES, level=5),
        connect(b"a", b"token", properties=b"\0", level=5, flags=PASSWORD),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "MQTT",
        connect(b"sensor-7", kind=0x11),
        connect(b"sensor-7", name=b"MQTS"),
        connect(b"sensor-7", level=6),
        connect(b"sensor-7", level=3),
        connect(b"sensor-7", name=b"MQIsdp"),
        connect(b"sensor-7", flags=CLEAN | 1),
        connect(b"sensor-7", flags=0x18 | WILL),
        connect(b"sensor-7", flags=0x08),
        connect(b"a", b"pw", flags=PASSWORD),
        connect(b"sensor-7", wrong=1),
        connect(b"sensor-7", wrong=-1),
        connect(b"sensor-7", b"more"),
        connect(b"a", properties=b"\x7f", level=5),
    )


def test_ldap_is_not_taken_for_it(core_module):
    bind = b"\x30\x0c\2\1\1\x60\7\2\1\3\4\0\x80\0"
    assert_not(core_module, "MQTT", Sample(bind))
