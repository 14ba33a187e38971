"""Which worker a frame is for, computed a third time: from the frame's bytes, in Python.

Depends on: nothing. Programs and socket filters are held against it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

MIX = 0x9E3779B1
_ERRORS = {4: {3, 4, 5, 11, 12}, 6: set(range(128))}
_ICMP = {4: 1, 6: 58}
_PLACES = {4: (12, 4), 6: (8, 16)}
"""Where the source address is, and how long each is."""


def pair_of(frame: bytes) -> int:
    """The XOR of the words of both addresses, or of those that an ICMP error quotes; 0: it is not IP."""
    version = {0x0800: 4, 0x86DD: 6}.get(int.from_bytes(frame[12:14], "big"), 0)
    packet = frame[14:]
    if not version or len(packet) < {4: 20, 6: 40}[version]:
        return 0
    header, protocol = 40, packet[6]
    if version == 4:
        header, protocol = (packet[0] & 15) * 4, packet[9]
    fragment = version == 4 and int.from_bytes(packet[6:8], "big") & 0x3FFF
    quoted = packet[header + 8 :]
    is_error = (
        protocol == _ICMP[version]
        and not fragment
        and len(quoted) >= {4: 20, 6: 40}[version]
        and packet[header] in _ERRORS[version]
    )
    return _xor(_addresses(quoted if is_error else packet, version))


def worker_of(frame: bytes, workers: int) -> int:
    """The number of the frame's worker."""
    return worker_of_pair(pair_of(frame), workers)


def worker_of_pair(pair: int, workers: int) -> int:
    """The number of the worker of that pair."""
    return ((pair * MIX & 0xFFFFFFFF) >> 16) * workers >> 16


def worker_of_ips(one: str, other: str, workers: int) -> int:
    """The number of the worker of what two addresses say to each other."""
    family = socket.AF_INET6 if ":" in one else socket.AF_INET
    both = socket.inet_pton(family, one) + socket.inet_pton(family, other)
    return worker_of_pair(_xor(both), workers)


def _addresses(packet: bytes, version: int) -> bytes:
    place, length = _PLACES[version]
    return packet[place : place + 2 * length]


def _words(raw: bytes) -> Iterator[int]:
    yield from struct.unpack(f"!{len(raw) // 4}I", raw)


def _xor(raw: bytes) -> int:
    found = 0
    for word in _words(raw):
        found ^= word
    return found
