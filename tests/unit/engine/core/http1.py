"""Requests of HTTP by hand: bytes or segments of a client in, requests out.

In: bytes. Out: requests, and what each segment was. I/O: none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyctl.model.apps import app_name

MORE, REQUEST, FRAMING, WRONG, NO_MEMORY = range(5)
STAYS, WEBSOCKET, TUNNEL, HTTP2, OTHER = range(5)
PASS, WAIT, AGAIN, AHEAD, REFUSED, NOT_HTTP, DIFFER, NO_ROOM, LOST = range(9)
FIRST = 2**32 - 20
"""A side's first sequence number; it wraps soon."""


@dataclass(frozen=True)
class Request:
    """What is told of a request."""

    method: str
    host: str
    paths: tuple[str, ...]
    body: int | str = 0
    """Its length, or "chunked"."""
    becomes: int = STAYS
    app: str | None = "HTTP"


def request_of(ffi: Any, raw: Any) -> Request:
    """A struct sg_http_request as a value."""

    def text(part: Any) -> str:
        return bytes(ffi.buffer(part.at, part.len)).decode("latin-1")

    paths = tuple(text(raw.paths[i]) for i in range(raw.readings))
    body = "chunked" if raw.chunked else raw.body
    return Request(
        text(raw.method), text(raw.host), paths, body, raw.becomes, app_name(raw.app)
    )


def read(module: Any, data: bytes, cuts: Sequence[int] = ()) -> list[Request] | None:
    """The requests of these bytes, which come up to each of `cuts` and then whole; None: they are wrong.

    What is handed in lies in memory of its own size.
    """
    ffi, lib = module.ffi, module.lib
    reader = ffi.new("struct sg_http_reader *")
    request = ffi.new("struct sg_http_request *")
    found, at = [], 0
    for end in (*cuts, len(data)):
        while at < end:
            bytes_ = ffi.new("uint8_t[]", data[at:end])
            step = lib.sg_http_read(reader, bytes_, end - at, request)
            if step.unit == WRONG:
                return None
            if step.unit == MORE:
                break
            assert 0 < step.used <= end - at
            if step.unit == REQUEST:
                found.append(request_of(ffi, request))
            at += step.used + step.body
    return found


@dataclass
class Client:
    """A client's side as struct sg_requests reads it, and what of it crosses."""

    module: Any
    judge: Callable[[Request], bool] = lambda _request: True
    room: int = 1 << 20
    parts: bool = False
    """What begins like an allowed request passes."""
    http2: bool = False
    found: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ffi, self._lib = self.module.ffi, self.module.lib
        self._all = self._lib.sg_streams_new(self.room)
        self._requests = self._ffi.new("struct sg_requests *")
        begun = self._lib.sg_requests_begin(self._all, self._requests, FIRST, 0)
        assert begun == 0
        if self.http2:
            assert self._lib.sg_inflate_load(b"libnghttp2.so.14") == 0
            turned = self._lib.sg_requests_turn_http2(self._all, self._requests, 0)
            assert turned == 0
        self._judged = self._ffi.callback(
            "int(void *, const struct sg_http_request *)", self._judge
        )

    def _judge(self, _ctx: Any, raw: Any) -> int:
        if raw.is_part:
            return not (self.parts and self.judge(request_of(self._ffi, raw)))
        self.found.append(request_of(self._ffi, raw))
        return not self.judge(self.found[-1])

    def close(self) -> None:
        """Free it; nothing of it is left."""
        self._lib.sg_requests_end(self._all, self._requests)
        assert self.memory == 0
        self._lib.sg_streams_free(self._all)

    @property
    def memory(self) -> int:
        return self._lib.sg_streams_bytes(self._all)

    @property
    def becomes(self) -> int:
        return self._requests.becomes

    def says(self, at: int, data: bytes) -> int:
        """Hand in a segment whose first byte is the side's byte `at`."""
        seq, bytes_ = (FIRST + at) % 2**32, self._ffi.new("uint8_t[]", data or b"\0")
        return self._lib.sg_requests_add(
            self._all,
            self._requests,
            seq,
            bytes_,
            len(data),
            self._judged,
            self._ffi.NULL,
        )

    def acknowledged(self, at: int) -> None:
        ack = (FIRST + at) % 2**32
        self._lib.sg_window_acknowledge(self._all, self._requests.window, ack)
