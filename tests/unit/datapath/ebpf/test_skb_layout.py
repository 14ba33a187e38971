"""Where struct sk_buff keeps its checksum's place, out of BTF."""

from __future__ import annotations

import struct

import pytest

from pyctl.datapath.ebpf import skb_layout
from pyctl.datapath.ebpf.skb_layout import SkbLayout

STRUCT, UNION, INT = 4, 5, 1
BIT_FIELDS = 1 << 31


def blob(name: str = "sk_buff") -> bytes:
    """A kernel with one int, the union of csum, and a struct of this name that holds it."""
    names, strings = {"": 0}, b"\0"
    for word in (name, "head", "data", "csum_start", "csum_offset", "ip_summed"):
        names[word] = len(strings)
        strings += word.encode() + b"\0"

    def members(*each: tuple[str, int, int]) -> bytes:
        return b"".join(
            struct.pack("=III", names[word], of, at) for word, of, at in each
        )

    types = struct.pack("=IIII", 0, INT << 24, 4, 0)
    types += struct.pack("=III", 0, STRUCT << 24 | 2, 4)
    types += members(("csum_start", 1, 0), ("csum_offset", 1, 16))
    types += struct.pack("=III", 0, UNION << 24 | 1, 4) + members(("", 2, 0))
    types += struct.pack("=III", names[name], STRUCT << 24 | BIT_FIELDS | 4, 64)
    types += members(
        ("", 3, 8 * 8),
        ("ip_summed", 1, 2 << 24 | 16 * 8 + 5),
        ("head", 1, 24 * 8),
        ("data", 1, 32 * 8),
    )
    head = struct.pack(
        "=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)
    )
    return head + types + strings


def test_members_are_found_through_structs_and_unions_without_a_name():
    assert skb_layout.parse(blob()) == SkbLayout(24, 32, 8, 16, 5)


@pytest.mark.parametrize("told", [b"", b"\0" * 64, blob("other")[:60]])
def test_what_tells_nothing_is_unknown(tmp_path, told):
    path = tmp_path / "vmlinux"
    path.write_bytes(told)
    assert skb_layout.read(path) == SkbLayout()


def test_a_kernel_without_the_struct_is_no_answer():
    with pytest.raises(ValueError, match="no struct sk_buff"):
        skb_layout.parse(blob("other"))


def test_a_kernel_without_btf_is_unknown(tmp_path):
    assert skb_layout.read(tmp_path / "none") == SkbLayout()
