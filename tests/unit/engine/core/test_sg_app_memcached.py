"""Memcached is known by a command that Redis has not, by its binary head, or by its answer to another command."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import (
    CERTAIN,
    GUESS,
    TCP,
    UDP,
    UNKNOWN,
    Sample,
    assert_recognised,
    told,
)

HEAD = b"\0\1\0\0\0\1\0\0"
"""Before the text in a datagram."""


def binary(
    operation: int = 0, key: bytes = b"key", extras: bytes = b"", **fields: int
) -> bytes:
    size = fields.get("body", len(key) + len(extras))
    head = bytes([0x80, operation]) + len(key).to_bytes(2, "big")
    head += bytes([len(extras), fields.get("kind", 0)])
    head += fields.get("bucket", 0).to_bytes(2, "big") + size.to_bytes(4, "big")
    return head + bytes(12) + extras + key


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (b"set a 0 0 5\r\nhello\r\n", b"STORED\r\n"),
        (b"add a 1 60 2 noreply\r\nhi\r\n", b""),
        (b"cas a 0 0 5 77\r\nhello\r\n", b"EXISTS\r\n"),
        (b"gets a b\r\n", b"END\r\n"),
        (b"stats\r\n", b"STAT pid 1\r\n"),
        (b"version\r\n", b"VERSION 1.6.18\r\n"),
        (b"get a\r\n", b"VALUE a 0 5\r\nhello\r\nEND\r\n"),
        (b"delete a\r\n", b"NOT_FOUND\r\n"),
        (b"mg a v\r\n", b"HD\r\n"),
        (binary(), b"\x81"),
        (binary(1, extras=bytes(8), body=16), b""),
        (binary(11, b""), b""),
    ],
)
def test_it_is_known(core_module, asks, answers):
    assert_recognised(core_module, "Memcached", Sample(asks, answers))


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (b"set a b\r\n", b"+OK\r\n"),
        (b"set a 0 0\r\n", b""),
        (b"set a 0 x 5\r\n", b""),
        (b"SET a 0 0 5\r\n", b""),
        (b"stats\n", b""),
        (b"statsx\r\n", b""),
        (b"get a\r\n", b"$1\r\n"),
        (b"get / HTTP/1.1\r\n\r\n", b""),
        (binary(0x1F), b""),
        (binary(1), b""),
        (binary(kind=1), b""),
        (binary(bucket=1), b""),
        (binary(body=1), b""),
        (binary(body=1 << 21), b""),
        (binary(key=b"k" * 251), b""),
    ],
)
def test_what_is_like_it_is_not(core_module, asks, answers):
    assert told(core_module, Sample(asks, answers)) != ("Memcached", CERTAIN)


def test_a_command_that_others_could_have_is_a_guess(core_module):
    assert told(core_module, Sample(b"delete a\r\n")) == ("Memcached", GUESS)


def test_a_datagram_has_a_head_before_the_text(core_module):
    assert_recognised(core_module, "Memcached", Sample(HEAD + b"stats\r\n", b"", UDP))
    asked = Sample(HEAD + b"get a\r\n", HEAD + b"END\r\n", UDP)
    assert_recognised(core_module, "Memcached", asked)
    for asks in (b"stats\r\n", b"\0\1\0\1\0\1\0\0stats\r\n", HEAD + b"stats", HEAD):
        assert told(core_module, Sample(asks, b"", UDP)) == UNKNOWN
    assert told(core_module, Sample(HEAD + b"stats\r\n", b"", TCP)) == UNKNOWN
