"""Answers of HTTP/1 by hand: bytes of a server in, answers with their bodies out.

In: bytes, requests. Out: answers. I/O: none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MORE, HEAD, FRAMING, SWITCHED, WRONG = range(5)
PLAIN, GZIP, DEFLATE, BROTLI, CODED = range(5)
TO_THE_END = 2**64 - 1


@dataclass
class Answer:
    """What is told of an answer."""

    status: int
    body: bytes = b""
    whole: bool = True
    """Its end was told."""
    coding: int = PLAIN
    chunked: bool = False
    switches: bool = False


def expect(module: Any, reader: Any, method: str, becomes: int = 0) -> int:
    """Note a request that the client has sent."""
    return module.lib.sg_http_answers_expect(reader, method == "HEAD", becomes)


class Server:
    """A server's side, read as it comes: units that are not complete wait, bodies are taken as they are there."""

    def __init__(self, module: Any, *requests: str | tuple[str, int]) -> None:
        self._module = module
        self.reader = module.ffi.new("struct sg_http_answers *")
        for one in requests:
            method, becomes = (one, 0) if isinstance(one, str) else one
            assert expect(module, self.reader, method, becomes) == 0
        self.found: list[Answer] = []
        self.is_wrong = self.is_switched = False
        self.rest = b""
        self._body = 0
        self._last = False

    def says(self, data: bytes) -> None:
        """Take more bytes."""
        self.rest += data
        while not self.is_wrong and not self.is_switched and self._step():
            pass

    def _step(self) -> bool:
        if self._body:
            taken, self.rest = self.rest[: self._body], self.rest[self._body :]
            self.found[-1].body += taken
            if self._body != TO_THE_END:
                self._body -= len(taken)
            self._finish()
            return bool(self.rest)
        return bool(self.rest) and self._read()

    def _read(self) -> bool:
        ffi, lib = self._module.ffi, self._module.lib
        answer = ffi.new("struct sg_http_answer *")
        bytes_ = ffi.new("uint8_t[]", self.rest)
        step = lib.sg_http_answers_read(self.reader, bytes_, len(self.rest), answer)
        self.is_wrong = step.unit == WRONG
        self.is_switched = step.unit == SWITCHED
        if step.unit in (MORE, WRONG, SWITCHED):
            return False
        assert step.used <= len(self.rest)
        self.rest = self.rest[step.used :]
        if step.unit == HEAD:
            switches, chunked = bool(answer.switches), bool(answer.chunked)
            self.found.append(
                Answer(answer.status, b"", False, answer.coding, chunked, switches)
            )
        self._body, self._last = step.body, bool(step.last)
        self._finish()
        return True

    def _finish(self) -> None:
        if not self._body and self._last:
            self.found[-1].whole = True


def read(
    module: Any,
    data: bytes,
    requests: Sequence[str | tuple[str, int]],
    cuts: Sequence[int] = (),
) -> list[Answer] | None:
    """Return the answers of these bytes, which come up to each of `cuts` and then whole; None: they are wrong."""
    server, at = Server(module, *requests), 0
    for end in (*cuts, len(data)):
        server.says(data[at:end])
        at = end
    return None if server.is_wrong else server.found
