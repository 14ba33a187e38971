"""Couchbase is known by HELLO, and by mechanisms that Memcached spells differently."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import GUESS, Sample, told

HELLO, LIST, AUTH = 0x1F, 0x20, 0x21


def packet(kind: int, key: bytes = b"", value: bytes = b"", magic: int = 0x80) -> bytes:
    total = len(key) + len(value)
    head = struct.pack(">BBHBBHI", magic, kind, len(key), 0, 0, 0, total)
    return head + b"\1\2\3\4" + bytes(8) + key + value


def listed(names: bytes) -> bytes:
    return packet(LIST, value=names, magic=0x81)


def test_a_first_request_is_proof(core_module):
    assert_recognises(
        core_module,
        "Couchbase",
        Sample(packet(HELLO, b"libcouchbase/3", b"\0\1\0\7\0\x12")),
        Sample(packet(AUTH, b"SCRAM-SHA512", b"n,,n=a,r=b")),
        Sample(packet(LIST), listed(b"SCRAM-SHA512 SCRAM-SHA1 PLAIN")),
    )


def test_what_memcached_has_too_is_a_guess(core_module):
    assert told(core_module, Sample(packet(LIST)))[1] == GUESS
    assert_not(
        core_module,
        "Couchbase",
        Sample(packet(LIST), listed(b"PLAIN SCRAM-SHA-1")),
        Sample(packet(AUTH, b"PLAIN", b"\0a\0b")),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "Couchbase",
        Sample(packet(HELLO, b"libcouchbase/3")),
        Sample(packet(HELLO, b"a", b"\0\1\0")),
        Sample(packet(HELLO, b"a", b"\0\0")),
        Sample(packet(HELLO, b"a", b"\1\1")),
        Sample(packet(HELLO, b"a", b"\0\1", magic=0x81)),
        Sample(packet(0x22, b"SCRAM-SHA512")),
    )
