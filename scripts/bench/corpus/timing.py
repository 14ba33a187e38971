"""What a call of sg_recognise() costs, by the clock of one thread.

In: nothing. Out: ns a call for a few beginnings. I/O: gcc, temporary files.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from pyctl.abi_build import HEADER, ROOT

SOURCES = ROOT / "pyctl" / "engine" / "src"
PROGRAM = Path(__file__).parent.parent / "programs" / "recognise.c"


def _sized(width: int, body: bytes) -> bytes:
    return len(body).to_bytes(width, "big") + body


def _hello(key_share: int) -> bytes:
    """Return a ClientHello of 18 extensions, one of them of this size."""
    sizes = dict.fromkeys(range(100, 116), 20) | {51: key_share}
    rest = b"".join(n.to_bytes(2, "big") + _sized(2, bytes(s)) for n, s in sizes.items())  # fmt: skip
    rest += b"\0\x10" + _sized(2, _sized(2, _sized(1, b"h2") + _sized(1, b"http/1.1")))
    body = b"\3\3" + bytes(32) + _sized(1, bytes(32)) + _sized(2, bytes(32)) + b"\1\0"
    return b"\x16\3\1" + _sized(2, b"\1" + _sized(3, body + _sized(2, rest)))


def _head(fields: int) -> bytes:
    lines = [b"GET /index.html?a=b HTTP/1.1", *[b"Header: " + b"v" * 40] * fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


BEGINNINGS = {
    "TLS hello": _hello(36),
    "TLS hello, ML-KEM": _hello(1220),
    "HTTP head": _head(8),
}


def timing() -> str:
    """Return a line for each beginning: its bytes, and ns a call."""
    with tempfile.TemporaryDirectory() as scratch:
        program, files = Path(scratch, "recognise"), []
        for name, begins in BEGINNINGS.items():
            files.append(Path(scratch, name))
            files[-1].write_bytes(begins)
        sources = [f for d in ("prefix", "apps_*", "inspect") for f in SOURCES.glob(f"{d}/*.c")]  # fmt: skip
        subprocess.run(
            ["gcc", "-std=gnu11", "-O2", f"-I{SOURCES}", f"-I{HEADER.parent}", "-o", program, PROGRAM, *sources],
            check=True,
        )  # fmt: skip
        out = subprocess.run([program, *files], capture_output=True, text=True, check=True).stdout  # fmt: skip
    rows = zip(BEGINNINGS, map(str.split, out.splitlines()), strict=True)
    return "\n".join(f"{name:20}{size:>6} bytes{ns:>7} ns" for name, (size, _, ns) in rows)  # fmt: skip
