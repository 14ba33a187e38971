"""The core as a Python extension, and what its functions of I/O call.

In: the sources. Out: a module with ffi and lib. I/O: the compiler. Each call goes to the Core that its handle names.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from pathlib import Path
from typing import Any

from cffi import FFI

from pyctl.abi_build import HEADER, ROOT, TYPEDEFS, preprocess
from tests.unit.engine.core.shared import SHARED, bind_shared

SOURCES = ROOT / "pyctl" / "engine" / "src"
WITH_INPUT = {"io", "engine"}
"""Folders of what acts on the kernel; its one pure rule is tested, too."""
FILES = tuple(
    file
    for file in sorted(SOURCES.glob("*/*.c"))
    if file.parent.name not in WITH_INPUT or file.name == "sg_cpu_affinity_rule.c"
)
HEADERS = "".join(
    f'#include "{name}.h"\n'
    for name in (
        *("engine/sg_cpu_affinity_rule", "base/sg_share", "payload/sg_payload_threats"),
        *("packet/sg_tcp_options", "stream/sg_stream", "inspect/sg_recognise"),
        *("look/sg_requests", "stream/sg_tape", "answer/sg_http_answers"),
        *("http/sg_http_parts", "http/sg_http_decode"),
        *("confirm/sg_confirm", "inflate/sg_unzip", "inflate/sg_arena"),
        *("policy/sg_policy", "inspect/sg_tell", "condition/sg_condition"),
        *("dns/sg_dns", "names/sg_dns_streams"),
    )
)
NO_MEMORY = """
#include <malloc.h>
#include <stdlib.h>
int t_no_memory;
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return t_no_memory ? NULL : __real_calloc(count, size);
}
__attribute__((constructor)) static void map_large(void)
{
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
}
"""
"""While a test says so, the core gets no memory. Its large tables are mapped anew for each core: zeroing them in the heap
would be most of a test's time."""
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wno-unused-parameter"]
UBSAN = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
ASAN = ["-fsanitize=address"] if os.environ.get("SEGCTL_TEST_ASAN") else []
"""To use it, run pytest with LD_PRELOAD=$(gcc -print-file-name=libasan.so)."""
CALLBACKS = (
    """
extern int t_no_memory;
void free(void *);
extern "Python" int t_send(void *, const struct sg_frame *);
extern "Python" int t_put(void *, int, const void *, const struct seg_flow *, unsigned long long);
extern "Python" int t_get(void *, int, const void *, struct seg_flow *);
extern "Python" int t_delete(void *, int, const void *, struct seg_flow *);
extern "Python" int t_service(void *, const struct seg_service_key *, const struct seg_service *);
extern "Python" int t_class_put(void *, const struct seg_class_key *, uint32_t);
extern "Python" int t_class_delete(void *, const struct seg_class_key *);
extern "Python" void t_class_use(void *, uint32_t);
extern "Python" void t_credit(void *, uint16_t, long long);
"""
    + SHARED
)


def build(directory: Path) -> Any:
    """The core as a Python extension with undefined-behaviour traps; kept in `directory`."""
    text = preprocess(HEADERS, f"-I{SOURCES}")
    declarations = (
        TYPEDEFS.replace("uint64_t", "unsigned long long").replace(
            "int64_t", "long long"
        )
        + re.sub(r"^(\s*;\s*|static inline [\s\S]*?^\})$", "", text, flags=re.MULTILINE)
        + CALLBACKS
    )
    state = hashlib.sha256((declarations + str(ASAN)).encode())
    for path in (*SOURCES.glob("*/sg_*"), HEADER, Path(__file__)):
        state.update(path.name.encode() + path.read_bytes())
    name = f"segctl_core_{state.hexdigest()[:12]}"
    found = list(directory.glob(f"{name}*.so"))
    if not found:
        ffi = FFI()
        ffi.cdef(declarations)
        ffi.set_source(
            name,
            HEADERS + NO_MEMORY,
            sources=[str(path) for path in FILES],
            include_dirs=[str(SOURCES), str(HEADER.parent)],
            extra_compile_args=["-std=gnu11", "-O1", "-g", *WARNINGS, *UBSAN, *ASAN],
            extra_link_args=[*UBSAN, *ASAN, "-Wl,--wrap=calloc"],
        )
        found = [Path(ffi.compile(tmpdir=str(directory)))]
    spec = importlib.util.spec_from_file_location(name, found[0])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _bind(module.ffi)
    return module


def _bind(ffi: Any) -> None:
    """The world's functions: each belongs to the Core in ctx."""

    @ffi.def_extern()
    def t_send(ctx, frame):
        return ffi.from_handle(ctx).on_send(frame)

    @ffi.def_extern()
    def t_put(ctx, family, key, flow, generation):
        return ffi.from_handle(ctx).on_put(family, key, flow, generation)

    @ffi.def_extern()
    def t_get(ctx, family, key, flow):
        return ffi.from_handle(ctx).on_get(family, key, flow)

    @ffi.def_extern()
    def t_delete(ctx, family, key, flow):
        return ffi.from_handle(ctx).on_delete(family, key, flow)

    @ffi.def_extern()
    def t_service(ctx, key, service):
        return ffi.from_handle(ctx).on_service(key, service)

    @ffi.def_extern()
    def t_credit(ctx, port_id, connections):
        ffi.from_handle(ctx).credits[port_id] = connections

    bind_shared(ffi)
    _bind_classes(ffi)


def _bind_classes(ffi: Any) -> None:
    @ffi.def_extern()
    def t_class_put(ctx, key, number):
        return ffi.from_handle(ctx).classes.put(bytes(ffi.buffer(key)), number)

    @ffi.def_extern()
    def t_class_delete(ctx, key):
        return ffi.from_handle(ctx).classes.delete(bytes(ffi.buffer(key)))

    @ffi.def_extern()
    def t_class_use(ctx, version):
        ffi.from_handle(ctx).classes.version = version
