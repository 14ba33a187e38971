"""SNMP is known by a version, a community and a PDU, all of whose lengths agree."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.ber import INTEGER, OBJECT, SEQUENCE, TEXT, element, number
from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import TCP, UDP, Sample

OID = element(OBJECT, b"\x2b\6\1\2\1\1\5\0")
LIST = element(SEQUENCE, element(SEQUENCE, OID, b"\5\0"))
GET, TRAP_1 = 0xA0, 0xA4


def pdu(kind: int = GET, *more: bytes) -> bytes:
    return element(
        kind, element(INTEGER, b"\xff\1\2\3"), number(0), number(0), LIST, *more
    )


def message(body: bytes, version: int = 1, *more: bytes) -> bytes:
    return element(SEQUENCE, number(version), element(TEXT, b"public"), body, *more)


def version_3(flags: bytes = b"\4", size: int = 65507, *more: bytes) -> bytes:
    head = element(
        SEQUENCE, number(1), number(size), element(TEXT, flags), number(3), *more
    )
    model = element(TEXT, element(SEQUENCE))
    return element(SEQUENCE, number(3), head, model, element(SEQUENCE))


@pytest.mark.parametrize("proto", [TCP, UDP])
def test_a_message_is_proof(core_module, proto):
    trap = element(TRAP_1, OID, bytes(4))
    for one in (message(pdu()), message(pdu(0xA5), 0), message(trap, 0), version_3()):
        assert_recognises(core_module, "SNMP", Sample(one, b"", proto))


@pytest.mark.parametrize(
    "one",
    [
        message(pdu(), 2),
        message(pdu(0xA9)),
        message(pdu(), 1, b"\5\0"),
        message(pdu(GET, b"\5\0")),
        message(element(TRAP_1, bytes(4)), 0),
        message(pdu()) + b"\0",
        message(pdu())[:-1],
        version_3(b"\4\4"),
        version_3(b"\x08"),
        version_3(size=100),
        version_3(b"\4", 65507, b"\5\0"),
    ],
)
def test_what_is_like_one_is_none(core_module, one):
    assert_not(core_module, "SNMP", Sample(one, b"", UDP))
