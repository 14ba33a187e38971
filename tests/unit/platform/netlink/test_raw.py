"""Attributes are packed as the kernel reads them, and read whatever comes."""

from __future__ import annotations

import errno
import struct

from hypothesis import given
from hypothesis import strategies as st

from pyctl.platform.netlink import raw as netlink
from pyctl.platform.netlink.raw import (
    attr,
    attr_text,
    attr_u32,
    attrs,
    iter_attrs,
    nest,
)

ATTRS = st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8)


@given(ATTRS)
def test_attributes_come_back(pairs: list[tuple[int, bytes]]) -> None:
    packed = b"".join(attr(kind, payload) for kind, payload in pairs)
    assert len(packed) % 4 == 0
    assert list(iter_attrs(packed)) == pairs


@given(st.binary(max_size=64))
def test_rubbish_is_read_to_its_end(data: bytes) -> None:
    for _kind, payload in iter_attrs(data):
        assert payload in data


def test_nested_numbers_and_texts() -> None:
    packed = nest(18, attr_text(1, "veth"), attr_u32(2, 7))
    inner = attrs(attrs(packed)[18])
    assert netlink.text(inner[1]) == "veth"
    assert netlink.u32(inner[2]) == 7
    assert netlink.u32(None, 5) == 5


def test_a_refusal_tells_the_kernels_own_words() -> None:
    request = struct.pack("=IHHII", 16, 16, 5, 1, 0)
    body = struct.pack("=i", -errno.EINVAL) + request
    body += attr_text(netlink.NLMSGERR_ATTR_MSG, "Gateway is bad")
    refused = netlink.refusal(body, netlink.NLM_F_ACK_TLVS)
    assert refused is not None
    assert refused.errno == errno.EINVAL
    assert "Gateway is bad" in str(refused)


def test_an_acknowledgement_is_no_refusal() -> None:
    assert netlink.refusal(struct.pack("=i", 0) + b"\0" * 16, 0) is None


@given(st.binary(max_size=40).filter(lambda raw: b"\0" not in raw))
def test_any_bytes_are_a_name_and_come_back(raw: bytes) -> None:
    name = netlink.text(raw)
    assert attrs(attr_text(3, name))[3] == raw + b"\0"


class Restless(netlink.RawNetlink):
    """A table of which every look is torn."""

    def __init__(self) -> None:
        self.looks = 0

    def _dump_once(self, _kind: int, _body: bytes) -> tuple[list[bytes], bool]:
        self.looks += 1
        return [b"one", b"two", b"one"], True


def test_a_table_that_never_rests_is_read_all_the_same() -> None:
    """By changing it without end, a workload would keep us from attaching it."""
    table = Restless()
    assert table.dump(18, b"") == [b"one", b"two"]
    assert table.looks == netlink.DUMP_TRIES
