"""Targets and forms decoded: escapes, escapes of escapes, and what is none; however they are cut, and against an oracle."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.model.sensors.scanning import decoded


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        (b"", b""),
        (b"/a/b?c=d", b"/a/b?c=d"),
        (b"%27", b"'"),
        (b"%2e%2E", b".."),
        (b"%2527", b"'"),
        (b"%252527", b"%27"),
        (b"%%32%37", b"'"),
        (b"a+b%2Bc", b"a b+c"),
        (b"%252B", b"+"),
        (b"%u0027%U002f", b"'/"),
        (b"%u2215", b"?"),
        (b"%uff0e%uFF0F", b"./"),
        (b"%25u0027", b"'"),
        (b"%c0%ae%c0%af", b"./"),
        (b"\xc0\xae", b"."),
        (b"%c1%9c", b"\\"),
        (b"%c0a%c1", b"\xc0a\xc1"),
        (b"%c0%c0%ae", b"\xc0."),
        (b"%00", b"\0"),
        (b"%e2%82%ac", b"\xe2\x82\xac"),
        (b"%", b"%"),
        (b"100%", b"100%"),
        (b"%4", b"%4"),
        (b"%4g%zz", b"%4g%zz"),
        (b"%u12", b"%u12"),
        (b"%u12g4%41", b"%u12g4A"),
        (b"%%%41", b"%%A"),
        (b"%4%31", b"A"),
    ],
)
def test_what_is_encoded_comes_out_however_it_is_cut(core_module, given_, wanted):
    assert decoded(core_module, given_) == wanted
    for cut in range(len(given_)):
        assert decoded(core_module, given_, [cut]) == wanted
    assert decoded(core_module, given_, range(len(given_))) == wanted


def once(data: bytes) -> bytes:
    def byte(match: re.Match[bytes]) -> bytes:
        code = int(match[1] or match[2], 16)
        if 0xFF01 <= code <= 0xFF5E:
            code += 0x21 - 0xFF01
        return bytes([code]) if code < 256 else b"?"

    return re.sub(rb"(?i)%u([0-9a-f]{4})|%([0-9a-f]{2})", byte, data)


def oracle(data: bytes) -> bytes:
    twice = once(once(data.replace(b"+", b" ")))
    return re.sub(
        rb"([\xc0\xc1])([\x80-\xbf])",
        lambda match: bytes([(match[1][0] & 1) << 6 | match[2][0] & 0x3F]),
        twice,
    )


@settings(max_examples=1500)
@given(
    st.lists(
        st.sampled_from([*b"%%%%%u0123456789afAFgc+ /", 0xC0, 0xC1, 0xAE, 0]),
        max_size=24,
    ),
    st.lists(st.integers(0, 24), max_size=3),
)
def test_decoding_is_that_of_a_naive_reading(core_module, data, cuts):
    data = bytes(data)
    found = decoded(core_module, data, sorted(cut for cut in cuts if cut <= len(data)))
    assert found == oracle(data)


@given(st.binary(max_size=40))
def test_bytes_that_are_not_encoded_are_known_beforehand(core_module, data):
    ffi, lib = core_module.ffi, core_module.lib
    decoder = ffi.new("struct sg_http_decoder *")
    if not lib.sg_http_is_encoded(decoder, data, len(data)):
        assert decoded(core_module, data) == data


def test_what_is_not_complete_counts_as_encoded(core_module):
    ffi, lib = core_module.ffi, core_module.lib
    decoder = ffi.new("struct sg_http_decoder *")
    room = ffi.new("uint8_t[20]")
    for begin in (b"%", b"%2", b"%25", b"%c0"):
        lib.sg_http_decode(decoder, begin, len(begin), room)
        assert lib.sg_http_is_encoded(decoder, b"a", 1)
        lib.sg_http_decode_end(decoder, room)
        assert not lib.sg_http_is_encoded(decoder, b"a", 1)
