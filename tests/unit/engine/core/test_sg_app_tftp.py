"""TFTP is known by a request with a mode; the server's flow by the block and its acknowledgement."""

from __future__ import annotations

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import GUESS, UDP, Sample, told


def sample(asks: bytes, answers: bytes = b"") -> Sample:
    return Sample(asks, answers, UDP)


DATA, ACKNOWLEDGE = b"\0\3\0\1" + b"x" * 512, b"\0\4\0\1"
FIRST_ACKNOWLEDGE = b"\0\4\0\0"


def test_a_request_is_proof(core_module):
    assert_recognises(
        core_module,
        "TFTP",
        sample(b"\0\1boot.img\0octet\0"),
        sample(b"\0\2a b\0NetASCII\0"),
        sample(b"\0\1boot.img\0octet\0blksize\x001428\0tsize\x000\0"),
        sample(b"\0\6tsize\x00512\0"),
    )


def test_a_block_is_proven_by_its_acknowledgement(core_module):
    assert told(core_module, sample(DATA)) == ("TFTP", GUESS)
    assert_recognises(
        core_module,
        "TFTP",
        sample(DATA, ACKNOWLEDGE),
        sample(FIRST_ACKNOWLEDGE, DATA),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "TFTP",
        sample(b"\0\1boot.img\0octets\0"),
        sample(b"\0\1boot.img\0octe\0"),
        sample(b"\0\1\0octet\0"),
        sample(b"\0\1boot\x01\0octet\0"),
        sample(b"\0\1boot.img\0octet"),
        sample(b"\0\1boot.img\0octet\0x"),
        sample(b"\0\6size\x00512\0"),
        sample(b"\0\7boot.img\0octet\0"),
        sample(DATA, b"\0\4\0\2"),
        sample(DATA, ACKNOWLEDGE + b"\0"),
        sample(b"\0\3\0\2x", b"\0\4\0\2"),
        sample(FIRST_ACKNOWLEDGE, ACKNOWLEDGE),
    )
