"""A ClientHello is read through records of any size, and every length in it must fit."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.hello import (
    BIG,
    SERVER_HELLO,
    alpn,
    extension,
    hello,
    records,
    sized,
    sni,
)
from tests.unit.engine.core.recognise import (
    CERTAIN,
    GUESS,
    UNKNOWN,
    Sample,
    assert_recognised,
    told,
)

USUAL = (sni(b"a.example"), alpn(b"h2", b"http/1.1"))


@pytest.mark.parametrize("size", [1, 4, 7, 37, 1000, 16384])
def test_it_may_come_in_records_of_any_size(core_module, size):
    assert_recognised(core_module, "TLS", Sample(hello(*USUAL, size=size)))


def test_one_of_two_segments_is_no_other_than_one_of_one(core_module):
    assert_recognised(core_module, "TLS", Sample(hello(*USUAL, BIG), SERVER_HELLO))


@pytest.mark.parametrize("minor", range(5))
def test_it_may_have_any_version_and_no_extensions(core_module, minor):
    old = hello(version=bytes([3, minor]))
    assert_recognised(core_module, "TLS", Sample(old))


def test_the_form_of_ssl_2_is_one_too(core_module):
    ciphers, challenge = bytes(range(9)), bytes(16)
    lengths = sized(2, ciphers)[:2] + b"\0\0" + sized(2, challenge)[:2]
    for version in (b"\x03\x01", b"\0\x02"):
        body = b"\x01" + version + lengths + ciphers + challenge
        head = (0x8000 | len(body)).to_bytes(2, "big")
        assert_recognised(core_module, "TLS", Sample(head + body))
        assert told(core_module, Sample(b"\x80\xff" + body)) == UNKNOWN


def body_with(rest: bytes) -> bytes:
    return records(b"\x01" + sized(3, b"\x03\x03" + bytes(32) + rest))


@pytest.mark.parametrize(
    "asks",
    [
        hello(*USUAL).replace(b"\x16\x03\x01", b"\x16\x04\x01"),
        hello(*USUAL).replace(b"\x16\x03\x01", b"\x17\x03\x01"),
        hello(version=b"\x03\x05"),
        hello(version=b"\x02\x03"),
        b"\x16\x03\x01\0\0" + hello(),
        body_with(b"\x21" + bytes(33) + b"\0\2\x13\x01\1\0"),
        body_with(b"\0\0\0\1\0"),
        body_with(b"\0\0\3abc\1\0"),
        body_with(b"\0\0\2\x13\1\0\0"),
        body_with(b"\0\0\2\x13\1\1\0\0\1"),
        hello(extension(16, b"\0\5\2h2")),
        hello(extension(16, b"\0\3\3h2")),
        hello(extension(16, b"\0\1\0")),
        SERVER_HELLO,
    ],
)
def test_a_length_that_does_not_fit_is_none(core_module, asks):
    assert CERTAIN not in told(core_module, Sample(asks, b"\xf4"))


def test_a_part_of_one_is_a_guess(core_module):
    whole = hello(*USUAL)
    assert told(core_module, Sample(whole[:10])) == (None, None)
    for cut in range(11, len(whole)):
        assert told(core_module, Sample(whole[:cut])) == ("TLS", GUESS)


def test_no_more_of_one_is_read_than_is_kept_of_a_side(core_module):
    fits = extension(51, bytes(16000))
    assert told(core_module, Sample(hello(fits, size=64))) == ("TLS", GUESS)
    assert told(core_module, Sample(hello(fits))) == ("TLS", CERTAIN)
    assert told(core_module, Sample(hello(extension(51, bytes(40000))))) == (
        "TLS",
        GUESS,
    )
