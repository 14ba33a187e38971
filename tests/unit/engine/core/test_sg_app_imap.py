"""IMAP is known by its greeting, and its client by a tagged command."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import CERTAIN, Sample, assert_recognised, told


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (b"a1 CAPABILITY\r\n", b"* OK [CAPABILITY IMAP4rev1] ready\r\n"),
        (b"", b"* OK ready\r\n"),
        (b". login a b\r\n", b"* PREAUTH hello\r\n"),
        (b"", b"* BYE too many\r\n"),
    ],
)
def test_it_is_known(core_module, asks, answers):
    assert_recognised(core_module, "IMAP", Sample(asks, answers))


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (b"", b"* OKAY\r\n"),
        (b"", b"*1\r\n"),
        (b"", b"* NO\r\n"),
        (b"GET / HTTP/1.1\r\n", b"* OK ready\r\n"),
        (b"a1 HELO\r\n", b"* OK ready\r\n"),
        (b"\x16\x03\x01", b"* OK ready\r\n"),
        (b"a" * 40, b"* OK ready\r\n"),
    ],
)
def test_what_is_like_it_is_not(core_module, asks, answers):
    assert told(core_module, Sample(asks, answers)) != ("IMAP", CERTAIN)
