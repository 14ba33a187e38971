"""QUIC is known by the client's padded Initial, or by an answer to its connection ids."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import (
    GUESS,
    UDP,
    UNKNOWN,
    Sample,
    assert_recognised,
    told,
)

V1, V2 = b"\0\0\0\1", b"\x6b\x33\x43\xcf"
DCID, SCID = bytes(range(8)), b"\xaa" * 5


def initial(
    version: bytes = V1,
    first: int = 0xC3,
    *,
    dcid: bytes = DCID,
    scid: bytes = SCID,
    token: bytes = b"",
    size: int = 1200,
) -> bytes:
    """An Initial that fills a datagram of `size` bytes."""
    head = bytes([first]) + version + bytes([len(dcid)]) + dcid
    head += bytes([len(scid)]) + scid
    if first & 0x30 == (0x10 if version == V2 else 0):
        head += bytes([len(token)]) + token
    rest = size - len(head) - 2
    return head + (0x4000 | rest).to_bytes(2, "big") + bytes(rest)


def answer(version: bytes = V1, to: bytes = SCID, of: bytes = b"\xbb" * 8) -> bytes:
    return initial(version, 0xC0, dcid=to, scid=of, size=200)


@pytest.mark.parametrize(
    "asks",
    [
        initial(),
        initial(V2, 0xD1),
        initial(b"\xff\0\0\x1d"),
        initial(b"\x1a\x2a\x3a\x4a"),
        initial(token=b"t" * 40, size=1350),
        initial(scid=b""),
        initial(b"Q050"),
        b"\x0d" + DCID + b"Q043\x01" + bytes(1337),
        b"\xc3Q046\x50" + DCID + bytes(1336),
    ],
)
def test_a_padded_initial_is_proof(core_module, asks):
    assert_recognised(core_module, "QUIC", Sample(asks, b"", UDP))


@pytest.mark.parametrize("asks", [initial(size=600), initial(first=0xD3, size=77)])
def test_another_first_packet_is_a_guess_until_it_is_answered(core_module, asks):
    assert told(core_module, Sample(asks, b"", UDP)) == ("QUIC", GUESS)
    assert_recognised(core_module, "QUIC", Sample(asks, answer(), UDP))
    negotiation = answer(bytes(4), of=DCID)
    assert_recognised(core_module, "QUIC", Sample(asks, negotiation, UDP))
    for other in (answer(V2), answer(to=b"\xab" * 5), answer(bytes(4)), b"\x43" * 40):
        assert told(core_module, Sample(asks, other, UDP)) == UNKNOWN


@pytest.mark.parametrize(
    "asks",
    [
        initial(b"\0\0\0\2"),
        initial(bytes(4)),
        initial(first=0x83),
        initial(first=0x43),
        initial(V2, 0xC3),
        initial(dcid=b"d" * 21),
        initial(scid=b"s" * 21),
        initial(first=0xE3),
        initial()[:-1],
        initial()[:6],
        b"\x0d" + DCID + b"Q043\x01" + bytes(100),
        b"\x0d" + DCID + b"Q093\x01" + bytes(1337),
        b"\xc3Q046\x55" + DCID + bytes(1336),
    ],
)
def test_what_is_like_one_is_none(core_module, asks):
    assert told(core_module, Sample(asks, b"", UDP)) == UNKNOWN
