"""gRPC is HTTP/2 whose first request has its content type, written either way."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.http2 import connection, frame, huffman, plain
from tests.unit.engine.core.recognise import Sample, assert_recognised

BEFORE = b"\x83\x86"
NAMES = {
    "index": b"\x5f",
    "index, not kept": b"\x0f\x10",
    "index, never kept": b"\x1f\x10",
    "plain": b"\x40" + plain("content-type"),
    "huffman": b"\x00" + huffman("content-type"),
}
TYPES = ["application/grpc", "application/grpc+proto", "application/grpc;a=b"]
OTHERS = [
    "application/grpc-web",
    "application/grp",
    "application/json",
    "application/grpcs",
    "xapplication/grpc",
]


def request(name: bytes, value: bytes) -> Sample:
    return Sample(connection(frame(1, BEFORE + name + value, 5)))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("value", TYPES)
def test_its_content_type_is_proof(core_module, name, value):
    assert_recognised(core_module, "gRPC", request(name, plain(value)))


@pytest.mark.parametrize(
    "value", [t for t in TYPES if "=" not in t] + ["application/grpc;"]
)
def test_so_it_is_in_huffmans_code(core_module, value):
    name = NAMES["index"]
    assert_recognised(
        core_module, "gRPC", request(name, huffman(value.replace("d", "t")))
    )


@pytest.mark.parametrize("value", OTHERS)
def test_another_type_is_http_2(core_module, value):
    for written in (
        plain(value),
        *([] if set("jxd") & set(value) else [huffman(value)]),
    ):
        assert_recognised(core_module, "HTTP2", request(NAMES["index"], written))


@pytest.mark.parametrize("name", [b"\x40" + plain("content-typo"), b"\x5e", b"\x41"])
def test_another_field_is_http_2(core_module, name):
    assert_recognised(core_module, "HTTP2", request(name, plain(TYPES[0])))


def test_a_name_that_is_cut_off_within_a_letter_is_none(core_module):
    """The letter after it would be read from what was never sent."""
    value = huffman("application/grpc")
    value = bytes([value[0] + 1]) + value[1:] + b"\xff"
    assert_recognised(core_module, "HTTP2", request(NAMES["index"], value))
