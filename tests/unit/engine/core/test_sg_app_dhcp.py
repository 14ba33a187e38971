"""DHCP is known by its magic number and its options; of version 6 by the client's identifier."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import UDP, Sample

DISCOVER = b"\x35\1\1"
NAME = b"\x0c\3box"
END = b"\xff"


def version_4(
    options: bytes, *, operation: int = 1, magic: bytes = b"\x63\x82\x53\x63"
) -> Sample:
    head = bytes([operation, 1, 6, 0]) + bytes(4) + bytes(228)
    return Sample(head + magic + options, b"", UDP)


def option(number: int, body: bytes) -> bytes:
    return struct.pack(">HH", number, len(body)) + body


CLIENT = option(1, b"\0\1\0\1" + bytes(10))
WANTED = option(6, b"\0\x17")


def version_6(kind: int, *options: bytes) -> Sample:
    return Sample(bytes([kind]) + b"abc" + b"".join(options), b"", UDP)


def test_a_message_is_proof(core_module):
    assert_recognises(
        core_module,
        "DHCP",
        version_4(DISCOVER + NAME + END + bytes(60)),
        version_4(b"\0\0" + NAME + b"\x35\1\5" + END, operation=2),
        version_6(1, CLIENT, WANTED),
        version_6(11, WANTED, CLIENT),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "DHCP",
        version_4(NAME + END),
        version_4(DISCOVER + NAME),
        version_4(DISCOVER + NAME[:-1]),
        version_4(b"\x35\1\x13" + END),
        version_4(DISCOVER + END, operation=3),
        version_4(DISCOVER + END, magic=b"\x63\x82\x53\x64"),
        version_6(1, WANTED),
        version_6(12, CLIENT),
        version_6(1, option(1, b"\0\5" + bytes(10))),
        version_6(1, CLIENT[:-1]),
    )
