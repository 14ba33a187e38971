"""HTTP/2 as clients write it, and as the engine reads it.

In: frames, fields. Out: bytes; requests. I/O: none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hpack import Encoder

from tests.unit.engine.core.http1 import (
    MORE,
    NO_MEMORY,
    REQUEST,
    WRONG,
    Request,
    request_of,
)

LIBRARY = b"libnghttp2.so.14"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING = range(7)
GOAWAY, WINDOW_UPDATE, CONTINUATION = range(7, 10)
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 1, 1, 4, 8, 32

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HUFFMAN = {
    "a": "00011", "c": "00100", "e": "00101", "i": "00110", "o": "00111", "t": "01001",
    "-": "010110", "/": "011000", "g": "100110", "l": "101000", "n": "101010",
    "p": "101011", "r": "101100", "w": "1111000", "b": "100011", "y": "1111010",
    ";": "11111011", "+": "11111111011", "j": "1110100", "s": "01000",
    "d": "100100", "v": "1110111", ".": "010111",
}  # fmt: skip
"""RFC 7541, appendix B: what the names here need of it."""


def frame(kind: int, payload: bytes, flags: int = 0, stream: int = 1) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def connection(*frames: bytes) -> bytes:
    """The preface, SETTINGS, and these."""
    return PREFACE + frame(4, bytes(6), 0, 0) + b"".join(frames)


def plain(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def huffman(text: str) -> bytes:
    bits = "".join(HUFFMAN[letter] for letter in text)
    bits += "1" * (-len(bits) % 8)
    code = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    return bytes([0x80 | len(code)]) + code


GRPC = plain("application/grpc")

Fields = Sequence[tuple[str, str]]


def asks(path: str = "/", *more: tuple[str, str], **said: str) -> list[tuple[str, str]]:
    """The fields of a request; `said` replaces :method, :scheme or :authority."""
    pseudo = {"method": "GET", "scheme": "http", "authority": "a.example", **said}
    return [
        *((f":{name}", text) for name, text in pseudo.items()),
        (":path", path),
        *more,
    ]


def grpc(path: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    """The fields of a call."""
    kind = (("content-type", "application/grpc"), ("te", "trailers"))
    return asks(path, *kind, *more, method="POST")


class Speaker:
    """A client with its table."""

    def __init__(self) -> None:
        self.encoder = Encoder()
        self.stream = -1

    def block(self, fields: Fields) -> bytes:
        return bytes(self.encoder.encode(list(fields)))

    def opens(self, fields: Fields, flags: int = END_STREAM | END_HEADERS) -> bytes:
        """A request on the next stream."""
        self.stream += 2
        return frame(HEADERS, self.block(fields), flags, self.stream)

    def says(self, data: bytes, flags: int = END_STREAM) -> bytes:
        return frame(DATA, data, flags, self.stream)


def speak(*requests: Fields) -> bytes:
    """A connection of these requests, one after the other."""
    speaker = Speaker()
    return connection(*(speaker.opens(each) for each in requests))


def read(
    module: Any, data: bytes, cuts: Sequence[int] = (), room: int = 1 << 20
) -> list[Request] | None:
    """The requests of these bytes, which come up to each of `cuts` and then whole; None: they are wrong."""
    found, is_right = read_on(module, data, cuts, room)
    return found if is_right else None


def read_on(
    module: Any, data: bytes, cuts: Sequence[int] = (), room: int = 1 << 20
) -> tuple[list[Request], bool]:
    """The requests before what is wrong, and whether nothing is."""
    ffi, lib = module.ffi, module.lib
    assert lib.sg_inflate_load(LIBRARY) == 0
    every = lib.sg_streams_new(room)
    reader = ffi.new("struct sg_http2_reader *")
    assert lib.sg_http2_begin(reader, every, 0) == 0
    request = ffi.new("struct sg_http_request *")
    found: list[Request] = []
    at, is_right = 0, True
    for end in (*cuts, len(data)):
        reader.left = 1 << 20
        while at < end and is_right:
            bytes_ = ffi.new("uint8_t[]", data[at:end])
            step = lib.sg_http2_read(reader, bytes_, end - at, request)
            if step.unit in {WRONG, NO_MEMORY}:
                is_right = False
            elif step.unit == MORE:
                break
            else:
                assert 0 < step.used <= end - at
                if step.unit == REQUEST:
                    found.append(request_of(ffi, request))
                at += step.used + step.body
    lib.sg_http2_end(reader)
    assert lib.sg_streams_bytes(every) == 0
    lib.sg_streams_free(every)
    return found, is_right
