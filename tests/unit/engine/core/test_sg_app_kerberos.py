"""Kerberos is known by a request whose tag, version and kind agree."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.ber import SEQUENCE, element, number
from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import UDP, Sample


def request(
    kind: int = 10, *, tag: int = 10, version: int = 5, end: bytes = b""
) -> bytes:
    fields = element(0xA1, number(version)) + element(0xA2, number(kind))
    rest = element(0xA4, element(SEQUENCE, element(0xA0, bytes(130))))
    return element(0x60 | tag, element(SEQUENCE, fields, rest)) + end


def on_tcp(body: bytes, wrong: int = 0) -> Sample:
    return Sample((len(body) + wrong).to_bytes(4, "big") + body)


@pytest.mark.parametrize("kind", [10, 12])
def test_a_request_is_proof(core_module, kind):
    one = request(kind, tag=kind)
    assert_recognises(core_module, "Kerberos", Sample(one, b"", UDP), on_tcp(one))


def test_what_is_like_one_is_none(core_module):
    for one in (
        request(12),
        request(14, tag=14),
        request(version=4),
        request(end=b"\0"),
        request().replace(b"\xa1\3", b"\xa1\4"),
    ):
        assert_not(core_module, "Kerberos", Sample(one, b"", UDP), on_tcp(one))
    assert_not(core_module, "Kerberos", on_tcp(request(), 1))
