"""The structs of segctl_abi.h have one layout: in BTF as clang saw it, in C, and in Python."""

from __future__ import annotations

import struct

import pytest

from pyctl import abi
from tests.kernel.conftest import Lab

BTF_KIND_STRUCT = 4
TRAILER = {1: 4, 3: 12, 14: 4, 15: 12, 17: 4}
PER_MEMBER = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
STRUCTS = abi.ffi.list_types()[1]


def btf_structs(blob: bytes) -> dict[str, tuple[int, dict[str, int]]]:
    """name → (bytes, {member: offset in bits}) of every struct in a BTF blob."""
    _, _, _, header, types, type_bytes, names, _ = struct.unpack_from("=HBBIIIII", blob)
    at, end = header + types, header + types + type_bytes

    def name(offset):
        start = header + names + offset
        return blob[start : blob.index(b"\0", start)].decode()

    found = {}
    while at < end:
        label, info, size = struct.unpack_from("=III", blob, at)
        kind, count = info >> 24 & 0x1F, info & 0xFFFF
        at += 12
        if kind == BTF_KIND_STRUCT:
            members = {}
            for number in range(count):
                member, _, bits = struct.unpack_from("=III", blob, at + 12 * number)
                members[name(member)] = bits & 0xFFFFFF if info >> 31 else bits
            found[name(label)] = size, members
        at += TRAILER.get(kind, 0) if kind != 15 else 0
        at += PER_MEMBER.get(kind, 0) * count
    return found


@pytest.fixture(scope="module")
def layouts(loaded: Lab):
    blob = loaded.programs["vin"].btf()
    if not blob:
        pytest.skip("the kernel took the programs without BTF")
    return btf_structs(blob)


@pytest.mark.parametrize("name", STRUCTS)
def test_btf_agrees_with_python(layouts, name):
    size, members = layouts[name]
    assert size == abi.sizeof(name)
    ours = {
        member: 8 * at.offset + max(0, at.bitshift)
        for member, at in abi.ffi.typeof(f"struct {name}").fields
    }
    assert members == ours
