"""The timestamps of a TCP header, as Linux finds it."""

from __future__ import annotations

import struct

import pytest

STAMPS = (0x01020304, 7)
STAMP = bytes([8, 10]) + struct.pack("!II", *STAMPS)
NOP, END = b"\1", b"\0"
SACK_OK, MSS = bytes([4, 2]), bytes([2, 4, 5, 180])


@pytest.fixture
def stamp(core_module):
    """Name: stamp. Scope: function. Depends: core_module. Options → TSval and TSecr, or None."""

    def read(options: bytes, *, there: int = 60, words: int | None = None):
        filled = options.ljust(-(-len(options) // 4) * 4, END)
        offset = 5 + len(filled) // 4 if words is None else words
        header = bytes(12) + bytes([offset << 4, 0x10]) + bytes(6) + filled
        held = core_module.ffi.from_buffer("uint8_t[]", header[:there])
        value, echo = (core_module.ffi.new("uint32_t *") for _ in "12")
        found = core_module.lib.sg_tcp_timestamp(held, len(held), value)
        assert core_module.lib.sg_tcp_echo(held, len(held), echo) == found
        return (value[0], echo[0]) if found else None

    return read


@pytest.mark.parametrize(
    "options",
    [
        NOP + NOP + STAMP,
        STAMP,
        MSS + SACK_OK + STAMP + NOP,
        bytes([8, 10]) + bytes(8) + STAMP,
        STAMP + bytes([5, 40]),
        STAMP + bytes([5, 0]),
        STAMP + END + bytes([8, 10]) + bytes(8),
        STAMP + bytes([8, 6]) + bytes(4),
    ],
)
def test_a_timestamp_is_found_and_the_last_one_counts(stamp, options):
    assert stamp(options) == STAMPS


@pytest.mark.parametrize(
    "options",
    [
        b"",
        NOP * 40,
        END + STAMP,
        MSS + SACK_OK,
        bytes([5, 0]) + STAMP,
        bytes([5, 1]) + STAMP,
        bytes([5, 40]) + STAMP,
        bytes([8, 9]) + bytes(7),
        NOP * 3 + bytes([8]),
    ],
)
def test_none_is_found_where_linux_finds_none(stamp, options):
    assert stamp(options) is None


def test_what_is_not_there_is_not_read(stamp):
    assert stamp(STAMP, there=29) is None
    assert stamp(STAMP, there=30) == STAMPS
    assert stamp(STAMP, words=5) is None
    assert stamp(STAMP, words=15) == STAMPS
