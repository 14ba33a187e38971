"""Hellos in SSL 2's form."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.threats import payload


def hello(version: int, ciphers: int = 9, *, said: int | None = None) -> bytes:
    body = b"\x01" + version.to_bytes(2)
    body += (ciphers if said is None else said).to_bytes(2) + bytes([0, 0, 0, 16])
    body += bytes(ciphers) + bytes(16)
    return (0x8000 | len(body)).to_bytes(2) + body


def answer(version: int) -> bytes:
    body = b"\x04\0\x01" + version.to_bytes(2) + bytes(30)
    return (0x8000 | len(body)).to_bytes(2) + body


@pytest.mark.parametrize(
    ("client", "server", "threats"),
    [
        (hello(0x0002), b"", ["ssl"]),
        (hello(0x0301), b"", []),
        (hello(0x0301), answer(2), ["ssl"]),
        (hello(0x0303), b"\x16\x03\x03\0\x02\x02\0", []),
        (hello(0x0002, said=300), b"", ["ssl_cipher_overflow"]),
        (hello(0x0301, said=300), b"", ["ssl_cipher_overflow"]),
        (hello(0x0301, said=25), b"", []),
        (hello(0x0002, 10), b"", []),
        (b"\x80\x2e\x01\x12\x34" + bytes(40), b"", []),
        (b"\x80\0\0\x28" + bytes(40), answer(2), []),
        (b"GET / HTTP/1.1\r\n", answer(2), []),
    ],
)
def test_hellos(core_module, client, server, threats):
    assert payload(core_module, client, server)[0] == threats
