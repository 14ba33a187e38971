"""Compressed bodies: what comes out however they are cut, and what ends a bomb."""

from __future__ import annotations

import ctypes
import gzip
import random
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.core.unzipping import (
    BOMB,
    BROKEN,
    BROTLI,
    DEFLATE,
    GZIP,
    LONG,
    MIB,
    MORE,
    NO_ROOM,
    STOPPED,
    Inflated,
    inflate,
)

TEXT = b"".join(b'{"id": %d, "name": "item %d"}\n' % (i, i * i) for i in range(400))
NOISE = random.Random(7).randbytes(20_000)


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


def brotli(data: bytes, *, window: int = 22, quality: int = 5) -> bytes:
    """Compress with the library that the package libbrotli1 has beside the decoder."""
    library = ctypes.CDLL("libbrotlienc.so.1")
    size = ctypes.c_size_t(len(data) + len(data) // 2 + 1024)
    out = ctypes.create_string_buffer(size.value)
    done = library.BrotliEncoderCompress(
        quality, window, 0, ctypes.c_size_t(len(data)), data, ctypes.byref(size), out
    )
    assert done == 1
    return out.raw[: size.value]


CODERS = {
    "gzip": (GZIP, gzip.compress),
    "zlib": (DEFLATE, zlib.compress),
    "raw deflate": (DEFLATE, raw_deflate),
    "brotli": (BROTLI, brotli),
}
coders = pytest.mark.parametrize(("coding", "code"), CODERS.values(), ids=CODERS)


@pytest.fixture(scope="module")
def module(core_module: Any) -> Any:
    """Name: module. Scope: module. Depends: core_module, zlib, brotli. With both libraries loaded."""
    assert core_module.lib.sg_unzip_load() == 0b1110
    return core_module


@coders
@pytest.mark.parametrize("data", [b"", b"a", TEXT, NOISE], ids=len)
def test_a_body_comes_out_however_it_is_cut(module, coding, code, data):
    coded = code(data)
    assert inflate(module, coding, coded).data == data
    assert inflate(module, coding, coded).whole
    for cut in range(1, min(len(coded), 300)):
        found = inflate(module, coding, coded, [cut])
        assert (found.result, found.data) == (MORE, data), cut
    if len(coded) < 5000:
        found = inflate(module, coding, coded, range(1, len(coded)))
        assert (found.result, found.data, found.whole) == (MORE, data, True)


@coders
def test_it_is_handed_on_in_small_pieces(module, coding, code):
    found = inflate(module, coding, code(TEXT * 20))
    assert found.data == TEXT * 20
    assert 0 < found.most <= 4096


@coders
def test_a_body_that_is_cut_short_gives_what_there_was(module, coding, code):
    found = inflate(module, coding, code(NOISE)[:10_000])
    assert (found.result, found.whole) == (MORE, False)
    assert NOISE.startswith(found.data)
    assert coding == BROTLI or len(found.data) > 5000


@coders
def test_a_bomb_ends(module, coding, code):
    coded = code(bytes(24 * MIB))
    found = inflate(module, coding, coded)
    assert found.result == BOMB
    assert len(found.data) <= 9 * MIB
    assert not found.data.strip(b"\0")


def test_a_bomb_behind_much_that_is_none_ends(module):
    coded = zlib.compress(random.Random(1).randbytes(MIB) + bytes(40 * MIB))
    found = inflate(module, DEFLATE, coded, range(50_000, len(coded), 1000))
    assert found.result == BOMB
    assert len(found.data) <= 10 * MIB


@coders
def test_a_row_of_zeros_is_no_bomb(module, coding, code):
    data = TEXT + bytes(MIB // 2) + TEXT
    assert inflate(module, coding, code(data)) == Inflated(MORE, data, True, 4096)


@coders
def test_more_than_all_ends(module, coding, code):
    found = inflate(module, coding, code(NOISE * 10), total=50_000, ratio=10_000)
    assert found.result == LONG
    assert 46_000 <= len(found.data) <= 50_000


@coders
def test_a_reader_may_stop(module, coding, code):
    found = inflate(module, coding, code(NOISE * 4), stop_at=9000)
    assert found.result == STOPPED
    assert 9000 <= len(found.data) <= 9000 + 4096


@coders
def test_the_last_result_is_given_again(module, coding, code):
    found = inflate(
        module, coding, code(NOISE) + b"x" * 5, range(100, 20_000, 100), total=5000
    )
    assert found.result == LONG


@pytest.mark.parametrize("coding", [GZIP, DEFLATE, BROTLI])
def test_what_is_not_coded_is_broken(module, coding):
    assert inflate(module, coding, b"\xff" + NOISE).result == BROKEN


@coders
def test_what_is_changed_is_broken_or_other(module, coding, code):
    coded = bytearray(code(NOISE))
    for at in range(0, len(coded), 1999):
        coded[at] ^= 0xFF
        found = inflate(module, coding, bytes(coded))
        assert (found.result, found.data) != (MORE, NOISE) or not found.whole or at < 10
        coded[at] ^= 0xFF


def test_gzip_may_have_several_members(module):
    coded = gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0\0"
    for cut in range(1, len(coded)):
        assert inflate(module, GZIP, coded, [cut]).data == b"one two\0\0\0"


def test_behind_what_is_no_member_of_gzip_there_is_none(module):
    coded = gzip.compress(b"one") + b"\0" + gzip.compress(b"two")
    for cut in range(1, len(coded)):
        assert inflate(module, GZIP, coded, [cut]).data.endswith(coded[-23:])


@coders
def test_what_is_behind_the_end_is_handed_on(module, coding, code):
    found = inflate(module, coding, code(b"first ") + b"4111 1111 1111 1111")
    assert (found.result, found.data) == (MORE, b"first 4111 1111 1111 1111")


def test_an_unknown_coding_has_no_arena(module):
    assert [module.lib.sg_unzip_arena(one) for one in (0, 4, 255)] == [0, 0, 0]


def test_an_arena_that_is_too_small_begins_nothing(module):
    ffi, lib = module.ffi, module.lib
    limits = ffi.new("struct sg_unzip_limits *", {"total": 1, "ratio": 1})
    for coding in (GZIP, DEFLATE, BROTLI):
        arena = ffi.new("uint8_t[]", 4096)
        assert not lib.sg_unzip_begin(arena, 4096, coding, limits)


def test_a_window_that_is_larger_than_the_arena_ends(module):
    data = random.Random(3).randbytes(9 * MIB)
    found = inflate(module, BROTLI, brotli(data, window=24, quality=1), ratio=1000)
    assert found.result in (NO_ROOM, MORE)
    # Where the encoder's pieces are short, a small window does.
    assert found.result == NO_ROOM or found.data == data


def test_the_usual_window_has_room(module):
    data = b"".join(b"%d;%d\n" % (i, i * 7919) for i in range(400_000))
    for quality in (1, 5):
        found = inflate(module, BROTLI, brotli(data, window=22, quality=quality))
        assert (found.result, found.data == data) == (MORE, True)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([GZIP, DEFLATE, BROTLI]), st.binary(max_size=400), st.data())
def test_any_bytes_end_the_same_way_however_they_are_cut(
    core_module, coding, data, more
):
    core_module.lib.sg_unzip_load()
    seed = {GZIP: gzip.compress, DEFLATE: zlib.compress, BROTLI: brotli}[coding](TEXT)
    if more.draw(st.booleans()):
        at = more.draw(st.integers(0, len(seed)))
        data = seed[:at] + data + seed[at + 1 :]
    cuts = sorted(more.draw(st.lists(st.integers(0, len(data)), max_size=5)))
    whole = inflate(core_module, coding, data)
    cut = inflate(core_module, coding, data, cuts)
    assert whole.result == cut.result
    if whole.whole:
        assert whole.data == cut.data
    # Brotli may keep its last byte back where its input is cut short.
    assert whole.data.startswith(cut.data) or cut.data.startswith(whole.data)
