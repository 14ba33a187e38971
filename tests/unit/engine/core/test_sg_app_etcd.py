"""etcd is gRPC whose first request names one of its services, written either way."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.http2 import GRPC, connection, frame, huffman, plain
from tests.unit.engine.core.recognise import (
    GUESS,
    Recogniser,
    Sample,
    assert_recognised,
    told,
)

PATHS = ["/etcdserverpb.KV/Range", "/etcdserverpb."]
OTHERS = ["/etcdserverpb", "/etcdserverpb/KV", "/v3/etcdserverpb.KV", "/a.B/C"]
NAMES = {"index": b"\x44", "another index": b"\x45", "not kept": b"\x04"}


def request(path: bytes, name: bytes = NAMES["index"], of: bytes = GRPC) -> Sample:
    return Sample(connection(frame(1, b"\x83\x86" + name + path + b"\x5f" + of, 5)))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_its_services_is_proof(core_module, path, name):
    assert_recognised(core_module, "etcd", request(plain(path), name))


def test_so_it_is_in_huffmans_code(core_module):
    path = huffman("/etcdserverpb.")
    assert_recognised(core_module, "etcd", request(path))
    assert_recognised(core_module, "gRPC", request(huffman("/etcdserverpb/")))


@pytest.mark.parametrize("path", OTHERS)
def test_another_path_is_grpc(core_module, path):
    assert_recognised(core_module, "gRPC", request(plain(path)))


def test_without_grpc_it_is_http_2(core_module):
    sample = request(plain(PATHS[0]), of=plain("application/json"))
    assert_recognised(core_module, "HTTP2", sample)


def test_before_its_request_it_may_be_any_of_three(core_module):
    one = Recogniser(core_module)
    assert one.ask(connection()) == ("HTTP2", GUESS)
    assert one.known.guessed == 1 << 3 | 1 << 29
    assert told(core_module, request(plain(PATHS[0])))[0] == "etcd"
