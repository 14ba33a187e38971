"""ZooKeeper is known by its connect request, or by a word of four letters."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import Sample


def request(
    *,
    version: int = 0,
    timeout: int = 30000,
    session: int = 0,
    password: bytes = bytes(16),
    end: bytes = b"\0",
    wrong: int = 0,
) -> Sample:
    body = struct.pack(">IQIQI", version, 99, timeout, session, len(password))
    body += password + end
    return Sample(struct.pack(">I", len(body) + wrong) + body)


def test_a_first_request_is_proof(core_module):
    assert_recognises(
        core_module,
        "ZooKeeper",
        request(),
        request(end=b""),
        request(session=1 << 56, password=b"p" * 16, end=b"\1"),
        *(Sample(word) for word in (b"ruok", b"srvr", b"mntr\n")),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "ZooKeeper",
        request(version=1),
        request(timeout=0),
        request(timeout=1 << 31),
        request(password=bytes(15), end=b"\0\0"),
        request(password=b"p" * 16),
        request(end=b"\2"),
        request(wrong=1),
        Sample(b"stats\r\n"),
        Sample(b"ruo k"),
    )
