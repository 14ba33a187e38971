"""Builds pyctl/engine/_ffi*.so from src/*/*.c.

In: the C sources and the declarations of sg_engine.h, sg_core.h and segctl_abi.h. Out: the
extension and a stamp (hash of all that went in), both ignored by git. I/O: gcc, three files.
The declarations are the headers themselves after `gcc -E`, so no number is typed twice.
"""

from __future__ import annotations

import hashlib
import re
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cffi import FFI

from pyctl.abi_build import HEADER, HEADERS, ROOT, TYPEDEFS, preprocess

PACKAGE = Path(__file__).resolve().parent
SOURCES = PACKAGE / "src"
STAMP = PACKAGE / "_ffi.stamp"
MODULE = "pyctl.engine._ffi"
FLAGS = ["-O2", "-g", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wshadow"]
# cffi's own generated file is not ours to warn about.
FLAGS += [
    "-Wno-unused-parameter",
    "-Wno-missing-field-initializers",
    "-Wno-cast-function-type",
]


def cdef() -> str:
    """Return the declarations that Python may use, in the form that `FFI.cdef` takes."""
    text = preprocess('#include "api/sg_engine.h"\n', f"-I{SOURCES}")
    # Linux's __u64 is `unsigned long long`, which gcc tells apart from a 64-bit uint64_t.
    typedefs = TYPEDEFS.replace("uint64_t", "unsigned long long").replace(
        "int64_t", "long long"
    )
    return typedefs + re.sub(r"^\s*;\s*$", "", text, flags=re.MULTILINE)


def layout() -> int:
    """Return a number for the layout of the memory that outlives an engine; it is read only if equal."""
    state = hashlib.sha256(HEADER.read_bytes())
    for name in ("core", "event_queue", "hits", "session"):
        (header,) = SOURCES.glob(f"*/sg_{name}.h")
        # The folders in include lines do not matter for the layout.
        state.update(re.sub(rb'(#include ")\w+/', rb"\1", header.read_bytes()))
    return int.from_bytes(state.digest()[:8], "little")


def digest(sources: Sequence[Path]) -> str:
    """Return a hash of everything that decides what the extension is."""
    state = hashlib.sha256(f"{sys.version} {sysconfig.get_platform()} {FLAGS}".encode())
    for path in (*sources, *sorted(SOURCES.glob("*/*.h")), *HEADERS, Path(__file__)):
        state.update(path.name.encode() + path.read_bytes())
    return state.hexdigest()


def build(sources: Sequence[Path] | None = None, *, force: bool = False) -> Path:
    """Build the extension in place if the stamp does not match; return its path.

    Raises CalledProcessError or cffi.VerificationError where gcc refuses.
    """
    sources = sorted(SOURCES.glob("*/*.c")) if sources is None else list(sources)
    target = PACKAGE / f"_ffi{sysconfig.get_config_var('EXT_SUFFIX')}"
    wanted = digest(sources)
    if not force and target.exists() and STAMP.exists() and STAMP.read_text() == wanted:
        return target
    ffi = FFI()
    ffi.cdef(cdef())
    ffi.set_source(
        MODULE,
        '#include "api/sg_engine.h"\n',
        sources=[str(path) for path in sources],
        include_dirs=[str(SOURCES), str(HEADER.parent)],
        extra_compile_args=[*FLAGS, f"-DSG_LAYOUT={layout()}ULL"],
        extra_link_args=["-pthread"],
    )
    with tempfile.TemporaryDirectory(prefix="segctl-ffi-") as scratch:
        built = Path(ffi.compile(tmpdir=scratch, target=f"_ffi{target.suffixes[-1]}"))
        # Beside the old one and renamed over it: a running engine keeps the file it mapped.
        fresh = target.with_suffix(".new")
        fresh.write_bytes(built.read_bytes())
        fresh.chmod(0o755)
        fresh.rename(target)
    STAMP.write_text(wanted)
    return target


if __name__ == "__main__":
    print(build(force="--force" in sys.argv[1:]).relative_to(ROOT))  # noqa: T201 a program
