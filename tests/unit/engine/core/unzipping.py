"""Bodies decoded by the engine: compressed bytes in, pieces out.

In: bytes. Out: bytes and how it ended. I/O: none but the dynamic loader's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MORE, BROKEN, BOMB, LONG, NO_ROOM, STOPPED = range(6)
GZIP, DEFLATE, BROTLI = 1, 2, 3
MIB = 1 << 20


@dataclass(frozen=True)
class Inflated:
    """What came of a body."""

    result: int
    data: bytes
    whole: bool
    most: int
    """Bytes of the largest piece that was handed on."""


def inflate(
    module: Any,
    coding: int,
    data: bytes,
    cuts: Sequence[int] = (),
    *,
    total: int = 64 * MIB,
    ratio: int = 100,
    stop_at: int = 1 << 40,
    size: int | None = None,
) -> Inflated:
    """Decode bytes that come up to each of `cuts` and then whole; all lie in memory of their own size."""
    ffi, lib = module.ffi, module.lib
    lib.sg_unzip_load()
    size = lib.sg_unzip_arena(coding) if size is None else size
    arena = ffi.new("uint8_t[]", size)
    limits = ffi.new("struct sg_unzip_limits *", {"total": total, "ratio": ratio})
    stream = lib.sg_unzip_begin(arena, size, coding, limits)
    assert stream
    found, most = bytearray(), 0

    @ffi.callback("int(void *, const uint8_t *, uint32_t)")
    def read(_ctx, piece, length):
        nonlocal most
        found.extend(ffi.buffer(piece, length))
        most = max(most, length)
        return len(found) >= stop_at

    at, result = 0, MORE
    for end in (*cuts, len(data)):
        bytes_ = ffi.new("uint8_t[]", data[at:end] or b"\0")
        result = lib.sg_unzip_add(stream, bytes_, end - at, read, ffi.NULL)
        at = end
    return Inflated(result, bytes(found), bool(lib.sg_unzip_is_whole(stream)), most)
