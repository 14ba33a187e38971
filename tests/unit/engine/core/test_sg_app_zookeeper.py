"""ZooKeeper is known by its connect request, or by the answer to a word of four letters."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import GUESS, Sample, told


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
        Sample(b"ruok", b"imok"),
        Sample(b"srvr", b"Zookeeper version: 3.8.0\n"),
        Sample(b"mntr\n", b"zk_version\t3.8.0\n"),
        Sample(
            b"ruok\r\n", b"ruok is not executed because it is not in the whitelist.\n"
        ),
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
        Sample(b"ruo k", b"imok"),
        Sample(b"ruokGET / HTTP/1.1\r\n", b"imok"),
        Sample(b"ruok", b"HTTP/1.1 400 Bad Request\r\n"),
    )


def test_a_word_alone_is_a_guess(core_module):
    assert told(core_module, Sample(b"ruok")) == ("ZooKeeper", GUESS)
