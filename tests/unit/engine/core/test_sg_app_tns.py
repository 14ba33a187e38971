"""TNS is known by a CONNECT packet and the parenthesis that its descriptor begins with."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import Sample

TEXT = b"(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=shop)))"


def connect(
    text: bytes = TEXT,
    *,
    kind: int = 1,
    version: int = 318,
    one: int = 1,
    offset: int = 58,
    wrong: int = 0,
    follows: bool = False,
) -> Sample:
    fields = (version, 300, 0x0C41, 8192, 65535, 0x7F08, 0, one, len(text), offset)
    body = struct.pack(">10H", *fields).ljust(offset - 8, b"\0")
    length = offset + (0 if follows else len(text)) + wrong
    return Sample(struct.pack(">HHBBH", length, 0, kind, 0, 0) + body + text)


def test_a_connect_packet_is_proof(core_module):
    assert_recognises(
        core_module,
        "TNS",
        connect(),
        connect(version=313, one=0x100, offset=34),
        connect(follows=True),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "TNS",
        connect(kind=2),
        connect(version=299),
        connect(version=331),
        connect(one=2),
        connect(b"x" + TEXT),
        connect(wrong=1),
        connect(offset=91),
        connect(b""),
    )
