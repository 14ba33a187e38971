"""The extension's declarations are the headers', and it is built only when they changed."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pyctl.engine import build_ffi


def test_a_changed_source_changes_the_digest(tmp_path):
    source = tmp_path / "one.c"
    source.write_text("int a;")
    before = build_ffi.digest([source])
    assert build_ffi.digest([source]) == before
    source.write_text("int b;")
    assert build_ffi.digest([source]) != before


def number(tmp_path, name, before, after):
    """The number of the stored memory's layout with one header changed."""
    shutil.copytree(build_ffi.SOURCES, tmp_path, dirs_exist_ok=True)
    (header,) = tmp_path.glob(f"*/{name}")
    text = header.read_text()
    assert before in text
    header.write_text(text.replace(before, after, 1))
    return build_ffi.stored_layout(build_ffi.stored_types(tmp_path))


NOW = build_ffi.stored_layout(build_ffi.stored_types())


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("sg_session.h", "#define SG_SECOND", "/* more */\n#define SG_SECOND"),
        ("sg_session.h", "\t__u32 slot;", "\t\t__u32   slot;  /* where it is */"),
        ("sg_session.h", "SG_TIMEOUT_UDP (30", "SG_TIMEOUT_UDP (31"),
        (
            "sg_session.h",
            "void sg_table_free(",
            "int sg_table_more(void);\nvoid sg_table_free(",
        ),
        ("sg_core.h", "__u32 max_sessions;", "__u64 max_sessions;"),
    ],
)
def test_what_lays_no_memory_out_keeps_the_sessions(tmp_path, name, before, after):
    assert number(tmp_path, name, before, after) == NOW


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("sg_session.h", "\t__u32 slot;", "\t__s32 slot;"),
        ("sg_session.h", "\t__u32 slot;", "\t__u64 slot;"),
        ("sg_session.h", "\t__u32 slot;\n\t__u32 id;", "\t__u32 id;\n\t__u32 slot;"),
        ("sg_session.h", "__u64 packets[2];", "__u64 packets[3];"),
        ("sg_session.h", "\t__u8 laddr[16];\n\t__u8 raddr", "\t__u8 raddr[16];\n\t__u8 laddr"),
        ("sg_session.h", "\t__u8 vlan;", "\t__u8 tagged;"),
        ("sg_session.h", "__u32 next_id;", "__u16 next_id;"),
        ("sg_core.h", "\t__u64 hits;\n", "\t__u64 hits;\n\t__u64 more;\n"),
        ("sg_core.h", "__u64 staged;", "__u32 staged;"),
        ("sg_event_queue.h", "SG_EVENTS = 32768", "SG_EVENTS = 16384"),
        ("sg_core.h", "SG_EVENT_DROP = 2, SG_EVENT_VIOLATION = 3", "SG_EVENT_DROP = 3, SG_EVENT_VIOLATION = 2"),
        ("sg_core.h", "SG_STORE_HITS = 1 << 22", "SG_STORE_HITS = 1 << 23"),
        ("sg_tcp.h", "SG_TCP_CLOSE = 7", "SG_TCP_CLOSE = 17"),
    ],
)  # fmt: skip
def test_another_layout_of_the_stored_memory_is_another_number(
    tmp_path, name, before, after
):
    """A renamed field too: its name is all that says what the bytes mean."""
    assert number(tmp_path, name, before, after) != NOW


def test_the_types_of_the_stored_memory_are_as_the_compiler_has_them():
    types = build_ffi.stored_types()
    sizes = {"sg_session": 304, "sg_store": 32, "sg_event": 256}
    folders = [f"-I{build_ffi.SOURCES}", f"-I{build_ffi.HEADER.parent}"]
    for name, size in sizes.items():
        header = f'_Static_assert(sizeof(struct {name}) == {size}, "");'
        source = (
            f'#include "report/sg_report.h"\n#include "session/sg_tcp.h"\n{header}\n'
        )
        subprocess.run(
            ["gcc", "-fsyntax-only", "-xc", *folders, "-"],
            input=source,
            text=True,
            check=True,
        )
        assert types.sizeof(f"struct {name}") == size
