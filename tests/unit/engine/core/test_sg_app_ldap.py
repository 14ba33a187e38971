"""LDAP is known by a first operation, all of whose fields are in place."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.ber import (
    BOOLEAN,
    ENUMERATED,
    INTEGER,
    SEQUENCE,
    TEXT,
    element,
    number,
)
from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import UDP, Sample

DN = element(TEXT, b"cn=admin,dc=example,dc=org")
SIMPLE = element(0x80, b"secret")
NOBODY = element(TEXT)
CONTROLS = element(0xA0, element(SEQUENCE, element(TEXT, b"1.2.3")))
PRESENT = element(0x87, b"objectClass")
START_TLS = b"1.3.6.1.4.1.1466.20037"


def message(operation: bytes, *more: bytes, wide: bool = False) -> bytes:
    return element(SEQUENCE, number(1), operation, *more, wide=wide)


def bind(proof: bytes = SIMPLE, *, version: int = 3, who: bytes = DN) -> bytes:
    return element(0x60, number(version), who, proof)


def search(
    *,
    scope: int = 2,
    filtered: bytes = PRESENT,
    names: tuple[bytes, ...] = (element(TEXT, b"cn"),),
    limit: int = INTEGER,
    alone: bytes = b"\0",
) -> bytes:
    head = DN + number(scope, ENUMERATED) + number(0, ENUMERATED)
    limits = number(0, limit) + number(15) + element(BOOLEAN, alone)
    return element(0x63, head, limits, filtered, element(SEQUENCE, *names))


def sasl(*parts: bytes) -> bytes:
    return element(0xA3, element(TEXT, b"GSS-SPNEGO"), *parts)


CHANGES = element(0x66, DN, element(SEQUENCE, element(SEQUENCE)))
FIRST = [
    message(bind()),
    message(bind(element(0x80), who=NOBODY, version=2), wide=True),
    message(bind(sasl()), CONTROLS),
    message(bind(sasl(element(TEXT, bytes(40))))),
    message(bind(element(0x89))),
    message(search()),
    message(search(filtered=element(0xA0, PRESENT), names=(), scope=0), wide=True),
    message(element(0x77, element(0x80, START_TLS))),
    message(element(0x77, element(0x80, START_TLS), element(0x81, b"x"))),
    message(CHANGES),
]


@pytest.mark.parametrize("one", FIRST)
def test_a_first_operation_is_proof(core_module, one):
    assert_recognises(core_module, "LDAP", Sample(one), Sample(one, b"", UDP))


@pytest.mark.parametrize(
    "one",
    [
        message(bind(version=4)),
        message(bind(element(0x8C))),
        message(bind(SIMPLE + b"\0")),
        message(bind(sasl(b"\5\0"))),
        message(bind(who=number(1))),
        message(bind(), b"\5\0"),
        message(search(scope=4)),
        message(search(limit=ENUMERATED)),
        message(search(alone=b"\0\0")),
        message(search(filtered=DN)),
        message(search(names=(number(1),))),
        message(element(0x77, element(0x80, b"name"))),
        message(element(0x77, element(0x80))),
        message(element(0x61, DN, element(SEQUENCE))),
        message(CHANGES + b"\0"),
        element(0x31, number(1), bind()),
        element(SEQUENCE, DN, bind()),
    ],
)
def test_what_is_like_one_is_none(core_module, one):
    assert_not(core_module, "LDAP", Sample(one), Sample(one, b"", UDP))


def test_a_datagram_ends_with_it(core_module):
    assert_not(core_module, "LDAP", Sample(message(search()) + b"\0", b"", UDP))
