"""What Python knows of the header is generated from it, whenever header or generator changed."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from cffi import FFI

from pyctl import abi, abi_build

GENERATOR = Path(abi_build.__file__)


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """The headers as files of the test's own."""
    made = [tmp_path / header.name for header in abi_build.HEADERS]
    for copy, header in zip(made, abi_build.HEADERS, strict=True):
        copy.write_bytes(header.read_bytes())
    monkeypatch.setattr(abi_build, "HEADERS", made)
    return made


def test_a_header_with_an_old_date_is_generated_anew_all_the_same(tmp_path, copies):
    """A copy keeps the date of what was copied."""
    assert not abi_build.is_current(tmp_path)
    abi_build.build(tmp_path)
    assert abi_build.is_current(tmp_path)
    copies[0].write_text(copies[0].read_text() + "/* another */\n")
    os.utime(copies[0], (1, 1))
    assert not abi_build.is_current(tmp_path)


def test_another_generator_generates_anew(tmp_path, monkeypatch):
    abi_build.build(tmp_path)
    other = tmp_path / "generator.py"
    other.write_text("another")
    monkeypatch.setattr(abi_build, "__file__", str(other))
    assert not abi_build.is_current(tmp_path)


def test_what_is_generated_is_what_the_header_declares(tmp_path):
    abi_build.build(tmp_path)
    found = runpy.run_path(str(tmp_path / "_reasons.py"))
    assert found["ROWS"] == abi_build.reasons()
    assert found["HASH"] == abi_build.contract_hash()
    ffi = runpy.run_path(str(tmp_path / "_abi.py"))["ffi"]
    parsed = FFI()
    parsed.cdef(abi_build.cdef())
    assert ffi.list_types() == parsed.list_types()
    assert ffi.sizeof("struct seg_port") == parsed.sizeof("struct seg_port")


def test_reasons_are_the_rows_of_the_header_in_their_order():
    rows = abi_build.reasons()
    text = next(h for h in abi_build.HEADERS if "reasons" in h.name).read_text()
    places = [text.index(f"({name}, {number},") for name, number, _, _ in rows]
    assert places == sorted(places)
    assert len(rows) == len(re.findall(r"\(\w+, \d+, \w+,", text))


def test_a_header_that_gcc_refuses_generates_nothing(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        abi_build.preprocess("#error no\n")
    assert abi_build.preprocess("#ifdef HERE\nint a;\n#endif\n", "-DHERE").strip() == (
        "int a;"
    )


@pytest.mark.parametrize(
    ("words", "current", "builds"),
    [
        ((), True, True),
        (("--if-changed",), True, False),
        (("--if-changed",), False, True),
    ],
)
def test_the_program_builds_where_asked_or_needed(monkeypatch, words, current, builds):
    """Run as a program, it is for the tree that it is in: nothing is written, and what was is played."""
    written: list[str] = []
    generated = abi_build._digest(GENERATOR, *abi_build.HEADERS)
    stands = generated if current else "another's"
    monkeypatch.delitem(sys.modules, "pyctl.abi_build")
    monkeypatch.setattr(sys, "argv", ["abi_build", *words])
    monkeypatch.setattr(Path, "exists", lambda _: True)
    monkeypatch.setattr(Path, "read_text", lambda _, **__: stands)
    monkeypatch.setattr(Path, "write_text", lambda path, _: written.append(path.name))
    monkeypatch.setattr(FFI, "emit_python_code", lambda _, path: written.append(path))
    runpy.run_module("pyctl.abi_build", run_name="__main__")
    assert bool(written) is builds


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("/* seg_ports: key", "/* Ports: key", True),
        ("\t__u16 port_id;\n\t__u8 role;", "\t__u16 port_id;\n\n\t__u8  role;", True),
        ('"ARP passes"', '"ARP goes by"', True),
        ("__u32 peer_ifindex;", "__s32 peer_ifindex;", False),
        ("__u32 peer_ifindex;", "__u32 other_ifindex;", False),
        ("\t__u64 share_seed;", "\t__u64 pad;\n\t__u64 share_seed;", False),
        ("payload : 1;", "payload : 2;", False),
        ("SEG_DIR_EGRESS = 1, SEG_DIR_INGRESS = 2", "SEG_DIR_EGRESS = 2, SEG_DIR_INGRESS = 1", False),
        ("X(ARP, 4, pass,", "X(ARP, 4, drop,", False),
        ("session, secret[0]", "session, secret[2]", False),
    ],
)  # fmt: skip
def test_pins_are_kept_while_the_contract_is_the_same(
    tmp_path, monkeypatch, before, after, same
):
    copies = [tmp_path / header.name for header in abi_build.HEADERS]
    texts = [header.read_text() for header in abi_build.HEADERS]
    assert sum(text.count(before) for text in texts)
    for copy, text in zip(copies, texts, strict=True):
        copy.write_text(text.replace(before, after))
    monkeypatch.setattr(abi_build, "HEADERS", copies)
    assert (abi_build.contract_hash() == abi.HASH) is same
