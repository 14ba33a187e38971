"""The first request's fields are read through padding, priority and continuation."""

from __future__ import annotations

import pytest

from pyctl.model.apps import app_bits
from tests.unit.engine.core.http2 import GRPC, connection, frame
from tests.unit.engine.core.recognise import (
    GUESS,
    Recogniser,
    Sample,
    assert_recognised,
    told,
)

BLOCK = b"\x83\x86\x04\x02/a" + b"\x5f" + GRPC
"""POST, http, a path, and the content type."""


@pytest.mark.parametrize(
    "frames",
    [
        [frame(1, BLOCK, 5)],
        [frame(1, b"\x03" + BLOCK + bytes(3), 0x0D)],
        [frame(1, bytes(5) + BLOCK, 0x25)],
        [frame(1, b"\x02" + bytes(5) + BLOCK + bytes(2), 0x2D)],
        [frame(1, BLOCK[:9], 1), frame(9, BLOCK[9:], 4)],
        [frame(1, b"\x01" + BLOCK[:3] + b"\0", 9), frame(9, b"", 0), frame(9, BLOCK[3:], 4)],
        [frame(8, bytes(4), 0, 0), frame(1, b"\x3f\xe1\x1f" + BLOCK, 5)],
        [frame(1, b"\0\x01x\x7f\x21" + b"v" * 160 + BLOCK, 5)],
    ],
)  # fmt: skip
def test_the_field_is_found_wherever_it_stands(core_module, frames):
    assert_recognised(core_module, "gRPC", Sample(connection(*frames)))


@pytest.mark.parametrize(
    "frames",
    [
        [frame(1, b"\x83\x86", 5)],
        [frame(1, b"\x83", 1), frame(8, bytes(4), 0, 0), frame(9, BLOCK, 4)],
        [frame(1, b"\xff" + BLOCK, 0x0D)],
        [frame(1, b"\x40\x7f\xff\xff\xff\xff", 5)],
        [frame(0, bytes(20000), 0), frame(1, BLOCK, 5)],
        [frame(1, b"\x83\x86", 5), frame(1, BLOCK, 5, 3)],
    ],
)
def test_what_has_none_is_http_2(core_module, frames):
    said = told(core_module, Sample(connection(*frames)))
    assert said == ("HTTP2", "certain")


def test_while_the_block_is_not_whole_http_2_is_a_guess(core_module):
    whole = connection(frame(1, b"\x83\x86" + b"\x04\x03abc", 5))
    assert_recognised(core_module, "HTTP2", Sample(whole))
    for cut in range(len(connection()) + 1, len(whole)):
        assert told(core_module, Sample(whole[:cut])) == ("HTTP2", GUESS)


def test_before_the_first_request_grpc_and_etcd_are_guessed(core_module):
    update = frame(8, bytes(4), 0, 0)
    for frames in ((), (update,)):
        one = Recogniser(core_module)
        assert one.ask(connection(*frames)) == ("HTTP2", GUESS)
        assert one.known.guessed == app_bits(["gRPC"])
    assert told(core_module, Sample(connection() + update[:3])) == ("HTTP2", GUESS)
