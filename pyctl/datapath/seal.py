"""Seals of the entries that the agent writes, as segctl_seal.h has them.

In: a key, the fields of a value. Out: the value with its seal, by which a program knows that what it read is
whole and of that key. I/O: none.
"""

from __future__ import annotations

import struct
from typing import Any

from pyctl import abi

_SECRET = 0x9E3779B97F4A7C15
_LOW, _ALL = (1 << 32) - 1, (1 << 64) - 1


def pack_sealed(name: str, key: bytes, **fields: Any) -> bytes:
    """Return a struct of segctl_abi.h packed from fields, with the seal of the key and of what precedes the seal."""
    value = abi.pack(name, **fields)
    at = abi.ffi.offsetof(f"struct {name}", "seal")
    seal = struct.pack("=I", entry_seal(key, value[:at]))
    return value[:at] + seal + value[at + len(seal) :]


def entry_seal(*parts: bytes) -> int:
    """Return seg_entry_seal() of the parts, each filled up with zeros to whole words of 8 bytes."""
    whole = b"".join(part.ljust(-(-len(part) // 8) * 8, b"\0") for part in parts)
    seal = 0
    for number, (word,) in enumerate(struct.iter_unpack("=Q", whole)):
        secret = _SECRET * (2 * number + 1) & _ALL
        low = (word & _LOW) + (secret & _LOW) & _LOW
        seal += low * ((word >> 32) + (secret >> 32) & _LOW)
    seal &= _ALL
    return (seal ^ seal >> 32) & _LOW
