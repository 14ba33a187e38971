"""Texts scanned as the engine scans them: Vectorscan in stream mode, byte by byte and whole, decoded where it decodes.

In: patterns, a part, a text. Out: ids of the patterns that fire. I/O: libhs.so.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cffi import FFI

from pyctl.model.sensors.sensor import CONFIRM_NUMBERS, Pattern

STREAM = 2
TAIL = 512
"""Bytes that the engine keeps for a confirmation."""
FFI_HS = FFI()
FFI_HS.cdef(
    """
    typedef struct { char *message; int expression; } hs_error;
    typedef int (*hs_matched)(unsigned, unsigned long long, unsigned long long, unsigned, void *);
    int hs_compile_multi(const char **, const unsigned *, const unsigned *, unsigned, unsigned, void *, void **, hs_error **);
    int hs_free_database(void *);
    int hs_alloc_scratch(void *, void **);
    int hs_open_stream(void *, unsigned, void **);
    int hs_scan_stream(void *, const char *, unsigned, unsigned, void *, hs_matched, void *);
    int hs_close_stream(void *, void *, hs_matched, void *);
    int hs_stream_size(void *, size_t *);
    """
)


class Scanner:
    """The patterns of one part."""

    def __init__(self, patterns: Sequence[Pattern], core: Any) -> None:
        self._hs, self._core = FFI_HS.dlopen("libhs.so.5"), core
        self._patterns = patterns
        texts = [FFI_HS.new("char[]", one.regex.encode("latin-1")) for one in patterns]
        self._database = FFI_HS.new("void **")
        error = FFI_HS.new("hs_error **")
        count = len(patterns)
        result = self._hs.hs_compile_multi(
            texts,
            [0] * count,
            list(range(count)),
            count,
            STREAM,
            FFI_HS.NULL,
            self._database,
            error,
        )
        if result:
            bad = error[0]
            which = patterns[bad.expression].id if bad.expression >= 0 else "all"
            raise ValueError(f"{which}: {FFI_HS.string(bad.message).decode()}")
        self._scratch = FFI_HS.new("void **")
        assert not self._hs.hs_alloc_scratch(self._database[0], self._scratch)

    @property
    def stream_bytes(self) -> int:
        """What each stream takes."""
        size = FFI_HS.new("size_t *")
        assert not self._hs.hs_stream_size(self._database[0], size)
        return size[0]

    def scan(self, data: bytes, cuts: Iterable[int] = ()) -> set[str]:
        """Return ids of the patterns that fire, and are confirmed, on bytes that come up to each of `cuts`."""
        found: set[str] = set()

        @FFI_HS.callback("hs_matched")
        def matched(number, _begin, end, _flags, _context):
            one = self._patterns[number]
            if self._is_confirmed(one, data[max(0, end - TAIL) : end]):
                found.add(one.id)
            return 0

        stream = FFI_HS.new("void **")
        assert not self._hs.hs_open_stream(self._database[0], 0, stream)
        at, scratch = 0, self._scratch[0]
        for end in (*cuts, len(data)):
            piece = data[at:end]
            self._hs.hs_scan_stream(
                stream[0], piece, len(piece), 0, scratch, matched, FFI_HS.NULL
            )
            at = end
        self._hs.hs_close_stream(stream[0], scratch, matched, FFI_HS.NULL)
        return found

    def _is_confirmed(self, pattern: Pattern, data: bytes) -> bool:
        kind = CONFIRM_NUMBERS[pattern.confirm]
        if not kind:
            return True
        bytes_ = self._core.ffi.new("uint8_t[]", data)
        return bool(self._core.lib.sg_confirm(kind, bytes_, len(data)))


def decoded(core: Any, data: bytes, cuts: Iterable[int] = ()) -> bytes:
    """Return what the engine decodes these bytes to, which come up to each of `cuts`."""
    ffi, lib = core.ffi, core.lib
    decoder = ffi.new("struct sg_http_decoder *")
    found, at = b"", 0
    for end in (*cuts, len(data)):
        room = ffi.new("uint8_t[]", end - at + 13)
        given = ffi.new("uint8_t[]", data[at:end] or b"\0")
        found += bytes(
            ffi.buffer(room, lib.sg_http_decode(decoder, given, end - at, room))
        )
        at = end
    room = ffi.new("uint8_t[]", 13)
    return found + bytes(ffi.buffer(room, lib.sg_http_decode_end(decoder, room)))
