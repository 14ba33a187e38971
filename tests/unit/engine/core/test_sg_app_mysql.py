"""MySQL is known by the server's greeting, or by an error in its place."""

from __future__ import annotations

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import Sample

LOGIN = b"\x20\0\0\x01" + bytes(32)
PLUGIN = b"mysql_native_password\0"


def packet(body: bytes, number: int = 0) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def greeting(
    version: bytes = b"8.0.36",
    *,
    high: int = 0x0008,
    zero: bytes = bytes(10),
    rest: bytes = PLUGIN,
) -> bytes:
    head = b"\x0a" + version + b"\0" + bytes(4) + b"12345678\0"
    caps = b"\xff\xff\x21\x02\0" + high.to_bytes(2, "little") + b"\x15"
    return head + caps + zero + b"abcdefghijkl\0" + rest


OLD = b"\x0a4.0.30\0" + bytes(4) + b"12345678\0" + b"\x2c\x20\x08\x02\0" + bytes(13)
ERROR = b"\xff\x6a\x04Host 'a' is not allowed to connect"


def test_a_greeting_or_an_error_is_proof(core_module):
    first = [
        greeting(),
        greeting(b"5.5.5-10.11.6-MariaDB-0+deb12u1", zero=bytes(6) + b"\x1d\0\0\0"),
        greeting(b"5.1.73", high=0, rest=b""),
        OLD,
        ERROR,
    ]
    for body in first:
        assert_recognises(core_module, "MySQL", Sample(b"", packet(body)))
        assert_recognises(core_module, "MySQL", Sample(LOGIN, packet(body)))


def test_what_is_like_one_is_none(core_module):
    bodies = [
        greeting(b"version"),
        greeting(b"8.0\x01.1"),
        greeting(zero=b"\1" + bytes(9)),
        greeting(rest=PLUGIN[:-1]),
        greeting(rest=PLUGIN + b"x"),
        b"\x09" + greeting()[1:],
        OLD + b"\0",
        b"\xff\x01\0a small number",
        b"\xff\x6a\x04with\x00a zero",
    ]
    assert_not(core_module, "MySQL", *(Sample(b"", packet(body)) for body in bodies))
    assert_not(
        core_module,
        "MySQL",
        Sample(b"", packet(greeting(), number=1)),
        Sample(packet(greeting())),
        Sample(b"GET / HTTP/1.1\r\n\r\n", packet(greeting())),
        Sample(b"\0\0\1\1" + bytes(32), packet(greeting())),
        Sample(b"\x20\0\0\0" + bytes(32), packet(greeting())),
    )
