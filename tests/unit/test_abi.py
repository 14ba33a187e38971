"""segctl_abi.h as gcc lays it out and as Python reads it; its list of reasons."""

from __future__ import annotations

import subprocess

import pytest
from cffi import FFI

from pyctl import abi, abi_build
from pyctl.abi_build import HEADER, HEADERS
from pyctl.errors import SegctlError

STRUCTS = abi.ffi.list_types()[1]


def members(name):
    """Those that have an address: bit-fields have none."""
    fields = abi.ffi.typeof(f"struct {name}").fields
    return [member for member, field in fields if field.bitsize < 0]


def test_gcc_and_python_agree_on_every_member(tmp_path):
    rows = "\n".join(
        f'printf("{name} {member} %zu %zu\\n", sizeof(struct {name}), '
        f"offsetof(struct {name}, {member}));"
        for name in STRUCTS
        for member in members(name)
    )
    source = tmp_path / "layout.c"
    source.write_text(
        f'#include <stdio.h>\n#include <stddef.h>\n#include "{HEADER}"\n'
        f"int main(void) {{\n{rows}\nreturn 0; }}\n"
    )
    program = tmp_path / "layout"
    subprocess.run(["gcc", "-Wall", "-Werror", "-o", program, source], check=True)
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    for line in said.splitlines():
        name, member, size, offset = line.split()
        assert int(size) == abi.sizeof(name)
        assert int(offset) == abi.ffi.offsetof(f"struct {name}", member)


def test_every_struct_has_its_size_asserted():
    text = "".join(header.read_text() for header in HEADERS)
    for name in STRUCTS:
        assert f"SEG_ABI_SIZE({name}, {abi.sizeof(name)});" in text
    assert text.count("\nstruct seg_") == len(STRUCTS)


def test_reasons_are_dense_unique_and_captioned():
    assert [reason.number for reason in abi.REASONS] == list(range(len(abi.REASONS)))
    assert len({reason.name for reason in abi.REASONS}) == len(abi.REASONS)
    assert all(reason.caption for reason in abi.REASONS)
    assert {reason.category for reason in abi.REASONS} == {"steer", "pass", "drop"}


def test_reasons_fit_the_mask_of_the_programs():
    """SEG_DROPS in seg_count.h is one 64-bit word."""
    assert len(abi.REASONS) <= 64


@pytest.mark.parametrize("name", STRUCTS)
def test_packing_and_unpacking_are_inverse(name):
    raw = bytes(at % 256 for at in range(abi.sizeof(name)))
    assert bytes(abi.ffi.buffer(abi.unpack(name, raw))) == raw


def test_another_size_is_refused():
    with pytest.raises(SegctlError):
        abi.unpack("seg_port", b"\0")


def test_a_ucmac_ends_in_the_port_id():
    assert abi.ucmac(0x0102)[-2:] == b"\x01\x02"
    assert abi.ucmac(1)[:4] == b"NeuV"


def layout_of(fields):
    types = FFI()
    types.cdef(f"struct one {{ int a; }}; struct held {{ {fields} }};")
    return abi.layout(types, "held")


def test_a_layout_is_its_fields_places_types_and_names():
    known = layout_of("struct one x; int y[2];")
    assert layout_of("struct one  x;\n int y[2];") == known
    for other in (
        "int y[2]; struct one x;",
        "struct one x; int y[3];",
        "struct one x; unsigned y[2];",
        "struct one x; int z[2];",
        "int x; int y[2];",
    ):
        assert layout_of(other) != known


def test_an_agent_of_other_headers_than_the_programs_does_not_start(tmp_path):
    """As after a pull without a build: every packet would be lost, with a reason that misleads."""
    for header in abi_build.HEADERS:
        (tmp_path / header.name).write_bytes(header.read_bytes())
    abi.require_current(tmp_path)
    abi.require_current()
    with (tmp_path / "segctl_seal.h").open("a") as header:
        header.write("struct one_more;\n")
    with pytest.raises(SegctlError, match=r"scripts/bootstrap"):
        abi.require_current(tmp_path)
