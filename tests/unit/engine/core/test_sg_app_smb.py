"""SMB is known by its magic number after a length, or by a request for a session with two names."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import UDP, Sample

NAME = b"\x20" + b"CK" + b"A" * 30 + b"\0"


def message(body: bytes, kind: int = 0, length: int | None = None) -> Sample:
    size = len(body) if length is None else length
    return Sample(struct.pack(">I", kind << 24 | size) + body)


SMB_1 = b"\xffSMB\x72" + bytes(40)
SMB_2 = b"\xfeSMB\x40\0" + bytes(94)


def datagram(
    body: bytes, *, kind: int = 0x11, names: bytes = NAME + NAME, wrong: int = 0
):
    size = len(names + body) + wrong
    head = bytes([kind, 2]) + bytes(8) + struct.pack(">HH", size, 0)
    return Sample(head + names + body, b"", UDP)


def test_a_first_message_is_proof(core_module):
    assert_recognises(
        core_module,
        "SMB",
        message(SMB_1),
        message(SMB_2),
        message(NAME + NAME, 0x81),
        datagram(SMB_1),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "SMB",
        message(SMB_1, 1),
        message(SMB_1, length=31),
        message(b"\xfcSMB" + bytes(60)),
        message(SMB_2.replace(b"\x40", b"\x41")),
        message(SMB_2, length=63),
        message(NAME, 0x81),
        message(NAME + NAME + b"\0", 0x81),
        message(NAME + NAME.lower(), 0x81),
        datagram(SMB_1, kind=0x13),
        datagram(SMB_1, wrong=1),
        datagram(SMB_1, names=NAME),
        datagram(SMB_2),
    )
