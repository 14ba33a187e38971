"""RDP is known by a cookie or a choice of security; without either by what comes next."""

from __future__ import annotations

import struct

import pytest

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import GUESS, UDP, Sample, told


def connect(
    body: bytes = b"", *, kind: int = 0xE0, wrong: int = 0, group: int = 0
) -> bytes:
    x224 = bytes([6 + len(body) + wrong, kind]) + bytes(4) + bytes([group]) + body
    return struct.pack(">BBH", 3, 0, 4 + len(x224)) + x224


def negotiate(flags: int = 0, protocols: int = 3, size: int = 8) -> bytes:
    return struct.pack("<BBHI", 1, flags, size, protocols)


COOKIE = b"Cookie: mstshash=me\r\n"
CORRELATION = b"\6\0\x24\0" + bytes(32)
T125 = b"\3\0\1\x9c\2\xf0\x80\x7f\x65" + bytes(40)


def opening(up: int = 1232, size: int = 1232, flags: int = 1) -> Sample:
    head = struct.pack(">IHHIHH", 0xFFFFFFFF, 64, flags, 7, up, 1232)
    return Sample(head.ljust(size, b"\0"), b"", UDP)


def test_a_request_is_proof(core_module):
    assert_recognises(
        core_module,
        "RDP",
        Sample(connect(negotiate())),
        Sample(connect(COOKIE + negotiate(1, 0x0B))),
        Sample(connect(COOKIE)),
        Sample(connect(negotiate(8) + CORRELATION)),
        Sample(connect() + T125),
        opening(),
    )


def test_a_request_without_anything_is_a_guess(core_module):
    for rest in (b"", T125[:8], b"\3\0\0\x16\2\xf0\x80\x32" + bytes(20)):
        assert told(core_module, Sample(connect() + rest)) == ("RDP", GUESS)


@pytest.mark.parametrize(
    "asks",
    [
        connect(negotiate(size=9)),
        connect(negotiate(flags=4)),
        connect(negotiate(protocols=0x40)),
        connect(negotiate() + b"\0"),
        connect(negotiate(8)),
        connect(COOKIE[:-2]),
        connect(b"Cookie: \x01\r\n"),
        connect(b"\xc1\2\1\0\xc2\2\1\2\xc0\1\x0a"),
        connect(negotiate(), kind=0xD0),
        connect(negotiate(), wrong=1),
        connect(negotiate(), group=1),
        b"\2" + connect(negotiate())[1:],
    ],
)
def test_what_is_like_one_is_none(core_module, asks):
    assert_not(core_module, "RDP", Sample(asks))


def test_a_datagram_that_is_like_one_is_none(core_module):
    question = Sample(b"\xff\xff\xff\xffTSource Engine Query\0", b"", UDP)
    assert_not(
        core_module,
        "RDP",
        opening(up=1000),
        opening(size=100),
        opening(flags=4),
        question,
    )
