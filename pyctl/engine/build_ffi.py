"""Builds pyctl/engine/_ffi*.so from src/*/*.c.

In: the C sources and the declarations of sg_engine.h, sg_core.h, sg_recognise.h and segctl_abi.h. Out: the
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

from pyctl import abi
from pyctl.abi_build import HEADER, HEADERS, ROOT, TYPEDEFS, preprocess

PACKAGE = Path(__file__).resolve().parent
SOURCES = PACKAGE / "src"
STAMP = PACKAGE / "_ffi.stamp"
MODULE = "pyctl.engine._ffi"
FLAGS = ["-O2", "-g", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wshadow"]
API = '#include "api/sg_engine.h"\n#include "inspect/sg_recognise.h"\n'
STORED_HEADERS = (
    '#include "report/sg_report.h"\n#include "session/sg_tcp.h"\n'
    '#include "names/sg_named.h"\n#include "names/sg_questions.h"\n'
)
STORED = (
    "sg_store",
    "sg_event_log",
    "sg_hit_log",
    "sg_named_store",
    "sg_question_store",
    "sg_session",
)
STORED_NUMBERS = (
    *("seg_dir", "seg_family", "sg_tcp_state", "sg_event_kind", "sg_answered"),
    *("sg_hit_key", "sg_store_limit", "sg_look", "sg_app_proof"),
)
# cffi's own generated file is not ours to warn about.
FLAGS += [
    "-Wno-unused-parameter",
    "-Wno-missing-field-initializers",
    "-Wno-cast-function-type",
]


def cdef() -> str:
    """Return the declarations that Python may use, in the form that `FFI.cdef` takes."""
    text = preprocess(API, f"-I{SOURCES}")
    # Linux's __u64 is `unsigned long long`, which gcc tells apart from a 64-bit uint64_t.
    typedefs = TYPEDEFS.replace("uint64_t", "unsigned long long").replace(
        "int64_t", "long long"
    )
    return typedefs + re.sub(r"^\s*;\s*$", "", text, flags=re.MULTILINE)


def stored_types(sources: Path = SOURCES) -> FFI:
    """Return the types of the memory that outlives an engine, without the functions beside them."""
    text = preprocess(STORED_HEADERS, f"-I{sources}")
    own = r"^(?:struct|enum)(?: se?g_\w+)? \{.*?^\};"
    ffi = FFI()
    found = re.findall(own, text, flags=re.MULTILINE | re.DOTALL)
    ffi.cdef("\n".join([TYPEDEFS, *found]))
    return ffi


def stored_layout(ffi: FFI) -> int:
    """Return a number for the memory that outlives an engine; a successor reads it only if its own is equal.

    Comments do not change it. Fields do, and so do the numbers that they hold, but for seg_reason's: these
    never change their meaning, and a new reason is no cause to drop sessions.
    """
    numbers = [ffi.typeof(f"enum {name}").relements for name in STORED_NUMBERS]
    text = f"{abi.layout(ffi, *STORED)} {numbers}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


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
        API,
        sources=[str(path) for path in sources],
        include_dirs=[str(SOURCES), str(HEADER.parent)],
        extra_compile_args=[*FLAGS, f"-DSG_LAYOUT={stored_layout(stored_types())}ULL"],
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
