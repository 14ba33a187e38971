"""Python's view of bpf/segctl_abi.h: sizes, constants, reasons, and packing.

In: bytes of map keys and values. Out: cffi structs over them. I/O: none. Everything here comes
from the header through the generated modules (see abi_build); nothing is typed again.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyctl._abi import ffi
from pyctl._reasons import HASH, ROWS
from pyctl.errors import SegctlError

__all__ = [
    "HASH",
    "REASON",
    "REASONS",
    "Reason",
    "constant",
    "ffi",
    "layout",
    "pack",
    "require_current",
    "sizeof",
    "ucmac",
    "unpack",
]


@dataclass(frozen=True)
class Reason:
    """A row of SEG_REASONS."""

    name: str
    """Lower case with underscores: how users and JSON see it."""
    number: int
    category: str
    """`steer`, `pass` or `drop`."""
    caption: str


REASONS = tuple(Reason(n.lower(), number, cat, cap) for n, number, cat, cap in ROWS)
REASON = {reason.name: reason for reason in REASONS}


def _constants() -> dict[str, int]:
    found: dict[str, int] = {}
    for enum in [
        "seg_limit",
        "seg_mac_prefix",
        "seg_role",
        "seg_dir",
        "seg_mode",
        "seg_verdict",
        "seg_close",
        "seg_flow_phase",
        "seg_flow_shift",
        "seg_flow_tick",
        "seg_flow_timeout",
        "seg_settle",
        "seg_producer",
        "seg_share_limit",
        "seg_share_hit",
        "seg_family",
        "seg_port_flag",
        "seg_addr_kind",
        "seg_serves",
        "seg_reason",
    ]:
        found.update(ffi.typeof(f"enum {enum}").relements)
    return found


_CONSTANTS = _constants()


def constant(name: str) -> int:
    """Return an enumerator's value by its C name; raise KeyError for an unknown name."""
    return _CONSTANTS[name]


def layout(types: Any, *structs: str) -> str:
    """Return a hash of where each field of the structs is, of what type and of what name. `types` is their FFI.

    A renamed field changes it: the name is all that says what the bytes mean.
    """
    found = [_describe(types.typeof(f"struct {name}")) for name in structs]
    return f"{zlib.crc32(repr(found).encode()):08x}"


def _describe(ctype: Any) -> Any:
    if ctype.kind == "array":
        return ctype.length, _describe(ctype.item)
    if ctype.kind not in ("struct", "union"):
        return ctype.cname
    return [
        (name, at.offset, at.bitshift, _describe(at.type)) for name, at in ctype.fields
    ]


def sizeof(struct: str) -> int:
    """Return the size of `struct NAME` in bytes."""
    return int(ffi.sizeof(f"struct {struct}"))


def pack(struct: str, **fields: Any) -> bytes:
    """Return the bytes of `struct NAME` with these fields, the rest zero."""
    value = ffi.new(f"struct {struct} *")
    for name, content in fields.items():
        setattr(value, name, content)
    return bytes(ffi.buffer(value))


def unpack(struct: str, data: bytes) -> Any:
    """Return a cffi struct that owns a copy of `data`; raise SegctlError for the wrong size."""
    if len(data) != sizeof(struct):
        raise SegctlError(
            f"a struct {struct} has {sizeof(struct)} bytes, these are {len(data)}",
            advice="the pins come from another version of segctl",
        )
    value = ffi.new(f"struct {struct} *")
    ffi.buffer(value)[:] = data
    return value


def ucmac(port_id: int) -> bytes:
    """Return the UCMAC of a port: six bytes."""
    prefix = bytes(constant(f"SEG_UCMAC_{i}") for i in range(4))
    return prefix + port_id.to_bytes(2, "big")


def require_current(folder: Path = Path(__file__).parents[1] / "bpf") -> None:
    """Raise SegctlError if the headers were changed since Python's view of them was generated: the BPF programs,
    which are compiled from them at each start, would read other fields than agent and engine write.
    """
    import hashlib  # noqa: PLC0415  the agent alone asks; OpenSSL's memory is spared in the engine
    import re  # noqa: PLC0415

    headers = sorted(folder.glob("segctl_*.h"))
    # As abi_build.contract_hash().
    text = "".join(header.read_text(encoding="utf-8") for header in headers)
    words = re.sub(r'/\*.*?\*/|"[^"]*"', " ", text, flags=re.DOTALL).split()
    if hashlib.sha256(" ".join(words).encode()).hexdigest()[:12] != HASH:
        raise SegctlError(
            f"agent and engine were built from other headers than {folder} has",
            state="nothing was touched",
            advice="run scripts/bootstrap, which builds them anew",
        )
