"""NATS is known by the server's INFO; a client that says INFO or PING first is Redis's."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import (
    GUESS,
    Sample,
    assert_recognised,
    told,
)

INFO = b'INFO {"server_id":"N","version":"2.10.0","max_payload":1048576}\r\n'


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (b'CONNECT {"verbose":false}\r\nPING\r\n', INFO),
        (b"", INFO),
        (b"CONNECT {}\r\n", b'INFO {"version":"1"}\r\n'),
    ],
)
def test_it_is_known(core_module, asks, answers):
    assert_recognised(core_module, "NATS", Sample(asks, answers))


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (INFO, b""),
        (b"INFO\r\n", b"$10\r\n# Server\r\n"),
        (b"PING\r\n", b"+PONG\r\n"),
        (b"PING\r\n", INFO),
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n", INFO),
        (b"CONNECT {}\r\n", b"+OK\r\n"),
        (b"CONNECT {}\r\n", b""),
    ],
)
def test_what_is_like_it_is_not(core_module, asks, answers):
    assert told(core_module, Sample(asks, answers))[0] != "NATS"


def test_an_info_that_names_no_server_is_a_guess(core_module):
    assert told(core_module, Sample(b"", b'INFO {"a":1}\r\n')) == ("NATS", GUESS)
