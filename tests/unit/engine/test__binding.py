"""The extension as Python sees it: every function typed, every -errno an error."""

from __future__ import annotations

import errno
import re

import pytest

from pyctl.engine import build_ffi
from pyctl.engine._binding import Lib, check, constant, ffi, lib, pack_array, sizeof
from pyctl.errors import SegctlError


def test_every_function_that_python_types_is_declared_and_exported():
    declared = build_ffi.cdef()
    for name in (name for name in vars(Lib) if name.startswith("sg_")):
        assert re.search(rf"\b{name}\(", declared), name
        assert callable(getattr(lib, name))


def test_every_function_of_the_engine_header_is_typed():
    header = (build_ffi.SOURCES / "api/sg_engine.h").read_text()
    declared = set(re.findall(r"\b(sg_(?:engine|rings)_\w+)\(", header))
    beside = {"sg_event_fold", "sg_recognise"}
    assert declared | beside == {name for name in vars(Lib) if name.startswith("sg_")}


@pytest.mark.parametrize("result", [0, 1, 300])
def test_what_is_no_error_is_returned(result):
    assert check(result, "trying") == result


def test_an_errno_is_an_error_that_says_what_was_tried():
    with pytest.raises(SegctlError) as raised:
        check(-errno.ENOENT, "opening it", state="nothing was done", advice="try")
    error = raised.value
    assert (error.errno, error.state, error.advice) == (
        errno.ENOENT,
        "nothing was done",
        "try",
    )
    assert error.tried == "opening it: No such file or directory"


def test_a_constant_is_the_headers_and_an_unknown_one_is_an_error():
    assert constant("SG_FDS") == constant("SG_FD_STATE") + 1
    with pytest.raises(AttributeError):
        constant("SG_NOTHING")


def test_structs_are_packed_by_name_or_in_their_order():
    named = pack_array("sg_rule", [{"id": 7, "action": 2}, {}])
    assert len(named) == 2 * sizeof("sg_rule")
    first = ffi.from_buffer("struct sg_rule[]", named)
    assert (first[0].id, first[0].action, first[1].id) == (7, 2, 0)
    assert pack_array("sg_rule", []) == b""
    fields = [name for name, _ in ffi.typeof("struct sg_rule").fields]
    ordered = pack_array("sg_rule", [(9,)])
    assert getattr(ffi.from_buffer("struct sg_rule[]", ordered)[0], fields[0]) == 9
