"""NTP is known by 48 bytes in their ranges; a query of control by the answer with its number."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import GUESS, UDP, Sample, told

CLIENT, SERVER, BROADCAST = 3, 4, 5


def time(
    mode: int = CLIENT,
    *,
    version: int = 4,
    stratum: int = 0,
    poll: int = 6,
    precision: int = -23,
    delay: int = 0,
    tail: bytes = b"",
) -> bytes:
    first = version << 3 | mode
    head = struct.pack(">BBbbII", first, stratum, poll, precision, delay, delay)
    return head + bytes(28) + b"12345678" + tail


def control(number: int = 9, bits: int = 2, first: int = 0x16) -> bytes:
    return struct.pack(">BBHHHHH", first, bits, number, 0, 0, 0, 0)


def sample(asks: bytes, answers: bytes = b"") -> Sample:
    return Sample(asks, answers, UDP)


def test_a_request_for_the_time_is_proof(core_module):
    assert_recognises(
        core_module,
        "NTP",
        sample(time(), time(SERVER, stratum=2)),
        sample(b"\x1b" + bytes(47)),
        sample(time(version=3, precision=32, poll=-6)),
        sample(time(tail=bytes(20))),
        sample(time(tail=bytes(24 + 16))),
        sample(time(BROADCAST, stratum=1, delay=0xFFFF)),
    )


def test_control_is_proven_by_its_answer(core_module):
    private = b"\x17\0\3\x2a" + bytes(4)
    assert told(core_module, sample(control())) == ("NTP", GUESS)
    assert_recognises(
        core_module,
        "NTP",
        sample(control(), control(bits=0x82)),
        sample(private, b"\x97\0\3\x2a" + bytes(4)),
    )
    assert_not(
        core_module,
        "NTP",
        sample(control(), control(bits=2)),
        sample(control(), control(8, 0x82)),
        sample(control(first=0xD6), control(bits=0x82)),
        sample(private, private),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "NTP",
        sample(time()[:-1]),
        sample(time(tail=b"\0")),
        sample(time(tail=bytes(12))),
        sample(time(mode=0)),
        sample(time(SERVER, poll=0)),
        sample(time(version=5)),
        sample(time(version=0)),
        sample(time(stratum=17)),
        sample(time(poll=18)),
        sample(time(precision=1)),
        sample(time(precision=-33)),
        sample(time(delay=16 << 16)),
    )
