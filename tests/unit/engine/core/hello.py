"""TLS ClientHellos as clients write them, cut into records at will.

In: what it offers. Out: bytes. I/O: none.
"""

from __future__ import annotations

import hashlib


def sized(width: int, body: bytes) -> bytes:
    """`body` behind its length."""
    return len(body).to_bytes(width, "big") + body


def extension(number: int, body: bytes) -> bytes:
    return number.to_bytes(2, "big") + sized(2, body)


def alpn(*names: bytes) -> bytes:
    return extension(16, sized(2, b"".join(sized(1, name) for name in names)))


def sni(name: bytes) -> bytes:
    return extension(0, sized(2, b"\0" + sized(2, name)))


def records(message: bytes, size: int = 16384) -> bytes:
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + sized(2, piece) for piece in pieces)


def hello(*extensions: bytes, version: bytes = b"\x03\x03", size: int = 16384) -> bytes:
    """A ClientHello whose records hold `size` bytes each."""
    body = version + bytes(range(32)) + sized(1, b"s" * 32)
    body += sized(2, b"\x13\x01\x13\x02\xc0\x2f") + sized(1, b"\0")
    if extensions:
        body += sized(2, b"".join(extensions))
    return records(b"\x01" + sized(3, body), size)


SERVER_HELLO = records(b"\x02" + sized(3, b"\x03\x03" + bytes(32) + b"\0\x13\x01\0"))
BIG = extension(51, bytes(1216))
"""A key share of the size of X25519MLKEM768's."""
RETRY_RANDOM = hashlib.sha256(b"HelloRetryRequest").digest()


def versions(*numbers: int) -> bytes:
    """What a client offers, in supported_versions."""
    return extension(43, sized(1, b"".join(one.to_bytes(2, "big") for one in numbers)))


def server_hello(
    version: int = 0x304, *, retry: bool = False, legacy: int = 0x303, size: int = 16384
) -> bytes:
    """A ServerHello that chooses this version, or asks for another ClientHello."""
    random = RETRY_RANDOM if retry else bytes(32)
    body = legacy.to_bytes(2, "big") + random + sized(1, b"s" * 32) + b"\x13\x01\0"
    if version > 0x303:
        body += sized(2, extension(43, version.to_bytes(2, "big")))
    return records(b"\x02" + sized(3, body), size)


CIPHER_CHANGE = b"\x14\x03\x03\0\1\1"
DATA = b"\x17\x03\x03" + sized(2, bytes(40))
