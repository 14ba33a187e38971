"""The extension's declarations are the headers', and it is built only when they changed."""

from __future__ import annotations

import re

from pyctl.engine import build_ffi
from pyctl.engine._binding import Lib, lib


def test_every_function_that_python_types_is_declared_and_exported():
    declared = build_ffi.cdef()
    for name in (name for name in vars(Lib) if name.startswith("sg_")):
        assert re.search(rf"\b{name}\(", declared), name
        assert callable(getattr(lib, name))


def test_every_function_of_the_engine_header_is_typed():
    header = (build_ffi.SOURCES / "api/sg_engine.h").read_text()
    declared = set(re.findall(r"\b(sg_(?:engine|rings)_\w+)\(", header))
    assert declared == {name for name in vars(Lib) if name.startswith("sg_")}


def test_a_changed_source_changes_the_digest(tmp_path):
    source = tmp_path / "one.c"
    source.write_text("int a;")
    before = build_ffi.digest([source])
    assert build_ffi.digest([source]) == before
    source.write_text("int b;")
    assert build_ffi.digest([source]) != before
