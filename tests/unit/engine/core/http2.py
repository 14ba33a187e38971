"""HTTP/2 as clients write it.

In: frames. Out: bytes. I/O: none.
"""

from __future__ import annotations

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
