"""Where the running kernel's struct sk_buff keeps what tc programs are not shown.

In: the kernel's BTF. Out: byte offsets. I/O: reads /sys/kernel/btf/vmlinux. A packet whose checksum is
unfinished says where a later device is to write it: two bytes anywhere, which no field of __sk_buff tells.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

VMLINUX = Path("/sys/kernel/btf/vmlinux")
_MAGIC, _HEADER = 0xEB9F, struct.Struct("=HBBIIIII")
_TYPE, _MEMBER = struct.Struct("=III"), struct.Struct("=III")
_STRUCT, _UNION = 4, 5
_EXTRA = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8)}
_EXTRA |= {14: (4, 0), 15: (0, 12), 17: (4, 0), 19: (0, 12)}
"""Kind → bytes after the type: a fixed number, and a number for each of its vlen."""
_WANTED = frozenset({"head", "data", "csum_start", "ip_summed"})


@dataclass(frozen=True)
class SkbLayout:
    """Byte offsets in struct sk_buff; all 0: not known."""

    head: int = 0
    data: int = 0
    csum_start: int = 0
    """csum_offset follows it."""
    ip_summed: int = 0
    """The offset of the byte that holds it."""
    ip_summed_shift: int = 0
    """The shift of its two bits in that byte."""


def read(path: Path = VMLINUX) -> SkbLayout:
    """Return the layout, with all offsets 0 if the kernel's BTF cannot be read."""
    try:
        return parse(path.read_bytes())
    except (OSError, ValueError, struct.error):
        return SkbLayout()


def parse(blob: bytes) -> SkbLayout:
    """Return the layout from a BTF blob. ValueError if it has no such struct."""
    magic, _version, _flags, start, types, length, strings, _ = _HEADER.unpack_from(
        blob
    )
    if magic != _MAGIC:
        raise ValueError("no BTF of this machine's byte order")
    names = start + strings
    begin, end = start + types, start + types + length
    places: list[int] = [0]
    found = None
    at = begin
    while at < end:
        places.append(at)
        name, info, _size = _TYPE.unpack_from(blob, at)
        kind, count = info >> 24 & 0x1F, info & 0xFFFF
        if kind == _STRUCT and _text(blob, names + name) == "sk_buff":
            found = at
        fixed, each = _EXTRA.get(kind, (0, 0))
        at += _TYPE.size + fixed + each * count
    if found is None:
        raise ValueError("no struct sk_buff")
    bits: dict[str, int] = {}
    _collect(blob, names, places, found, 0, bits)
    if not bits.keys() >= _WANTED:
        raise ValueError("struct sk_buff lacks a member")
    return SkbLayout(
        head=bits["head"] // 8,
        data=bits["data"] // 8,
        csum_start=bits["csum_start"] // 8,
        ip_summed=bits["ip_summed"] // 8,
        ip_summed_shift=bits["ip_summed"] % 8,
    )


def _collect(
    blob: bytes, names: int, places: list[int], at: int, base: int, bits: dict[str, int]
) -> None:
    """Collect the bit offsets of the wanted members, also from structs and unions without a name."""
    _name, info, _size = _TYPE.unpack_from(blob, at)
    for number in range(info & 0xFFFF):
        member = at + _TYPE.size + number * _MEMBER.size
        name, kind, offset = _MEMBER.unpack_from(blob, member)
        # With the kind flag the upper byte is a bit field's size.
        offset = base + (offset & 0xFFFFFF if info >> 31 else offset)
        text = _text(blob, names + name)
        if text in _WANTED:
            bits.setdefault(text, offset)
        elif not text:
            inner = places[kind]
            if _TYPE.unpack_from(blob, inner)[1] >> 24 & 0x1F in (_STRUCT, _UNION):
                _collect(blob, names, places, inner, offset, bits)


def _text(blob: bytes, at: int) -> str:
    return blob[at : blob.index(b"\0", at)].decode(errors="replace")
