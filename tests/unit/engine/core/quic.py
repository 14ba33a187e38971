"""Initial packets of QUIC as clients write them (RFC 9001, 9369), cut into CRYPTO frames, packets and datagrams at will.

In: a ClientHello without its record. Out: datagrams. I/O: none.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

V1, V2, DRAFT_29, GREASE = 1, 0x6B3343CF, 0xFF00001D, 0x1A2A3A4A
SALTS = {
    V1: "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
    V2: "0dede3def700a6db819381be6e269dcbf9bd2ed9",
    DRAFT_29: "afbfec289993d24c9e9786f19c6111e04390a899",
}
CID, SOURCE = bytes.fromhex("8394c8f03e515708"), b"clientid"
INITIAL, ZERO_RTT, HANDSHAKE, RETRY = range(4)


def _expand(secret: bytes, label: str, size: int) -> bytes:
    name = b"tls13 " + label.encode()
    info = size.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0\1"
    return hmac.digest(secret, info, hashlib.sha256)[:size]


def keys(
    version: int, cid: bytes, side: str = "client in"
) -> tuple[bytes, bytes, bytes]:
    """Key, IV and header key."""
    initial = hmac.digest(bytes.fromhex(SALTS[version]), cid, hashlib.sha256)
    secret = _expand(initial, side, 32)
    prefix = "quicv2" if version == V2 else "quic"
    sizes = (("key", 16), ("iv", 12), ("hp", 16))
    key, iv, hp = (_expand(secret, f"{prefix} {what}", size) for what, size in sizes)
    return key, iv, hp


def number(value: int) -> bytes:
    """A variable-length number."""
    if value < 64:
        return bytes([value])
    return (value | (0x4000 if value < 16384 else 0x80000000)).to_bytes(
        2 if value < 16384 else 4, "big"
    )


def crypto(data: bytes, offset: int = 0) -> bytes:
    return b"\x06" + number(offset) + number(len(data)) + data


def first_byte(version: int, kind: int) -> int:
    return 0xC0 | (((kind + 1) % 4 if version == V2 else kind) << 4)


def initial(
    frames: bytes,
    *,
    version: int = V1,
    cid: bytes = CID,
    key_cid: bytes | None = None,
    count: int = 0,
    token: bytes = b"",
    size: int = 1200,
) -> bytes:
    """A packet; padded so that it is a datagram of `size` bytes. `key_cid`: the connection id that the keys come from."""
    head = bytes([first_byte(version, INITIAL) | 1]) + version.to_bytes(4, "big")
    head += bytes([len(cid)]) + cid + bytes([len(SOURCE)]) + SOURCE
    head += number(len(token)) + token
    padded = frames + bytes(max(0, size - len(head) - 4 - len(frames) - 16))
    head += (0x4000 | len(padded) + 18).to_bytes(2, "big") + count.to_bytes(2, "big")
    key, iv, hp = keys(version, cid if key_cid is None else key_cid)
    nonce = (int.from_bytes(iv, "big") ^ count).to_bytes(12, "big")
    packet = bytearray(head + AESGCM(key).encrypt(nonce, padded, head))
    at = len(head) - 2
    ecb = Cipher(algorithms.AES(hp), modes.ECB()).encryptor()
    mask = ecb.update(bytes(packet[at + 4 : at + 20]))
    packet[0] ^= mask[0] & 0x0F
    packet[at] ^= mask[1]
    packet[at + 1] ^= mask[2]
    return bytes(packet)


def cut(message: bytes, sizes: Sequence[int]) -> list[bytes]:
    """CRYPTO frames of these sizes, and of the rest."""
    frames, at = [], 0
    for size in [*sizes, len(message)]:
        if at < len(message):
            frames.append(crypto(message[at : at + size], at))
        at += size
    return frames


def long_header(kind: int, version: int = V1, target: bytes = SOURCE) -> bytes:
    """A packet of a server that nobody can read."""
    head = bytes([first_byte(version, kind)]) + version.to_bytes(4, "big")
    head += bytes([len(target)]) + target + b"\x04serv"
    return head + number(60) + bytes(60)
