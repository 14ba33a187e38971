"""PostgreSQL is known by the client's first message: a startup, a request for encryption or a cancellation."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import Sample


def message(code: int, body: bytes = b"", wrong: int = 0) -> Sample:
    return Sample(struct.pack(">II", 8 + len(body) + wrong, code) + body)


USER = b"user\0app\0database\0shop\0\0"
STARTUP = 3 << 16
SSL, GSS, CANCEL = 80877103, 80877104, 80877102


def test_a_first_message_is_proof(core_module):
    assert_recognises(
        core_module,
        "PostgreSQL",
        message(SSL),
        message(GSS),
        message(CANCEL, bytes(8)),
        message(CANCEL, bytes(36)),
        message(STARTUP, USER),
        message(STARTUP | 2, b"database\0\0" + USER),
    )


def test_a_request_goes_on_after_its_answer(core_module):
    assert_recognises(core_module, "PostgreSQL", Sample(message(SSL).asks, b"S"))


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "PostgreSQL",
        message(SSL + 2),
        message(SSL, b"\0"),
        message(CANCEL, bytes(4)),
        message(STARTUP, b"\0"),
        message(STARTUP, b"users\0app\0\0"),
        message(STARTUP, USER, wrong=1),
        message(STARTUP, USER, wrong=-1),
        message(4 << 16, USER),
        message(STARTUP, USER[:-1]),
        message(STARTUP, b"user\0a\x01\0\0"),
    )
