"""The agent's seals are the programs' own, and of one key and content alone."""

from __future__ import annotations

import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl import abi
from pyctl.abi_build import HEADER
from pyctl.datapath.seal import entry_seal, pack_sealed

KEY = struct.pack("=I", 7)
PORT = {"port_id": 3, "owner": 3, "mode": 1, "mac": [1, 2, 3, 4, 5, 6]}


def test_python_and_c_agree(tmp_path):
    words = [[0], [1, 2], [(1 << 64) - 1, 0x0123456789ABCDEF, 7, 0, 1 << 63]]
    lines = "".join(
        f'printf("%u\\n", seg_entry_seal((__u64[]){{ {", ".join(f"{one}ULL" for one in row)} }}, {len(row)}));'
        for row in words
    )
    source = tmp_path / "seal.c"
    source.write_text(
        f'#include <stdio.h>\n#include "segctl_seal.h"\nint main(void) {{ {lines} return 0; }}'
    )
    program = tmp_path / "seal"
    subprocess.run(["gcc", f"-I{HEADER.parent}", "-o", program, source], check=True)
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    assert [int(line) for line in said.split()] == [
        entry_seal(struct.pack(f"={len(row)}Q", *row)) for row in words
    ]


@given(parts=st.lists(st.binary(max_size=40)))
def test_each_part_is_filled_up_to_whole_words(parts):
    filled = [part + bytes(-len(part) % 8) for part in parts]
    assert entry_seal(*parts) == entry_seal(b"".join(filled))


@pytest.mark.parametrize(
    ("key", "change"),
    [
        (struct.pack("=I", 8), {}),
        (KEY, {"port_id": 4}),
        (KEY, {"mode": 2}),
        (KEY, {"segment": 1}),
        (KEY, {"mac": [1, 2, 3, 4, 5, 7]}),
    ],
)
def test_another_key_or_content_has_another_seal(key, change):
    def seal(raw):
        return abi.unpack("seg_port", raw).seal

    known = pack_sealed("seg_port", KEY, **PORT)
    assert seal(pack_sealed("seg_port", key, **{**PORT, **change})) != seal(known)


def test_what_the_programs_write_is_not_sealed():
    known = pack_sealed("seg_port", KEY, **PORT)
    at = abi.ffi.offsetof("struct seg_port", "paced_ns")
    assert pack_sealed("seg_port", KEY, **PORT, paced_ns=5)[:at] == known[:at]
