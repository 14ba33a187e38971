"""How agent and engine frame what they say: sans-io.

In: bytes in pieces of any size. Out: messages. I/O: none.

A message is `SGE1`, the length of a JSON object, the length of a blob (both 32 bits, network
order), the object, the blob. A request is {"op": NAME, …}; an answer is {"ok": true, …} or
{"ok": false, "error": {…}}. Descriptors travel with SCM_RIGHTS beside the first byte; "fds" says
how many belong to the message.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

from pyctl.errors import BY_CODE, SegctlError

MAGIC = b"SGE1"
HEAD = struct.Struct("!4sII")
MAX_OBJECT = 256 << 10
MAX_BLOB = 16 << 20
MAX_FDS = 8


class ProtocolError(SegctlError):
    """An error of the other side, which does not speak this protocol; the connection is useless then."""


@dataclass(frozen=True)
class Message:
    """A request or an answer."""

    body: dict[str, Any]
    blob: bytes = b""


def encode(message: Message) -> bytes:
    """Return the bytes of a message; ProtocolError if the other side would not accept its size."""
    text = json.dumps(message.body, separators=(",", ":")).encode()
    if len(text) > MAX_OBJECT or len(message.blob) > MAX_BLOB:
        raise ProtocolError(
            f"a message of {len(text)} + {len(message.blob)} bytes is too large"
        )
    return HEAD.pack(MAGIC, len(text), len(message.blob)) + text + message.blob


class Decoder:
    """A decoder that cuts a byte stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages completed by `data`, oldest first.

        Raises ProtocolError as soon as the stream cannot become a message.
        """
        self._buffer += data
        found = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> Message | None:
        if len(self._buffer) < HEAD.size:
            if not MAGIC.startswith(self._buffer[: len(MAGIC)]):
                raise ProtocolError("not a message of this protocol")
            return None
        magic, text_len, blob_len = HEAD.unpack_from(self._buffer)
        if magic != MAGIC:
            raise ProtocolError("not a message of this protocol")
        if text_len > MAX_OBJECT or blob_len > MAX_BLOB:
            raise ProtocolError(
                f"a message of {text_len} + {blob_len} bytes is too large"
            )
        end = HEAD.size + text_len + blob_len
        if len(self._buffer) < end:
            return None
        text = bytes(self._buffer[HEAD.size : HEAD.size + text_len])
        blob = bytes(self._buffer[HEAD.size + text_len : end])
        del self._buffer[:end]
        try:
            body = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"a message without JSON: {error}") from error
        if not isinstance(body, dict):
            raise ProtocolError("a message whose JSON is no object")
        return Message(body, blob)


def error_body(error: SegctlError) -> dict[str, Any]:
    """Return the body of the answer that carries an error."""
    return {
        "ok": False,
        "error": {
            "code": error.code,
            "tried": error.tried,
            "state": error.state,
            "advice": error.advice,
            "errno": error.errno,
        },
    }


def raise_error(body: dict[str, Any]) -> None:
    """Raise the error that an answer carries, as its own class; do nothing if the answer is ok."""
    if body.get("ok"):
        return
    error = body.get("error") or {}
    raise BY_CODE.get(str(error.get("code")), SegctlError)(
        str(error.get("tried", "the engine refused, and did not say why")),
        state=str(error.get("state", "")),
        advice=str(error.get("advice", "")),
        errno=error.get("errno"),
    )
