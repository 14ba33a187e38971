"""Elements of ASN.1's BER, for samples.

In: tags and bodies. Out: bytes. I/O: none.
"""

from __future__ import annotations

SEQUENCE, INTEGER, TEXT, ENUMERATED, BOOLEAN, OBJECT = 0x30, 2, 4, 10, 1, 6


def element(tag: int, *parts: bytes, wide: bool = False) -> bytes:
    """With the shortest length, or as Windows writes it, in four bytes."""
    body = b"".join(parts)
    if wide:
        return bytes([tag, 0x84]) + len(body).to_bytes(4, "big") + body
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    return bytes([tag, 0x82]) + len(body).to_bytes(2, "big") + body


def number(value: int, tag: int = INTEGER) -> bytes:
    return element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))
