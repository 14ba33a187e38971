"""Encodings of targets and forms, taken off twice however the bytes are cut."""

from __future__ import annotations

import pytest


def decoded(module, data: bytes, cut: int = 0) -> bytes:
    ffi, lib = module.ffi, module.lib
    state = ffi.new("struct sg_http_decode *")
    out = b""
    for part, ends in ((data[:cut], 0), (data[cut:], 1)):
        room = ffi.new("uint8_t[]", len(part) + 4)
        given = ffi.new("uint8_t[]", part or b"\0")
        count = lib.sg_http_decode(state, given, len(part), ends, room)
        assert count <= len(part) + 4
        out += bytes(room)[:count]
    return out


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"/a?b=%27+or+1", b"/a?b=' or 1"),
        (b"%2527", b"'"),
        (b"%252527", b"%27"),
        (b"%2b+", b"+ "),
        (b"100%", b"100%"),
        (b"%2", b"%2"),
        (b"%zz%4x%41", b"%zz%4xA"),
        (b"%%41", b"%A"),
        (b"%25%32%37", b"'"),
        (b"", b""),
    ],
)
def test_each_cut(core_module, data, wanted):
    for cut in range(len(data) + 1):
        assert decoded(core_module, data, cut) == wanted, cut
