"""Redis is known by a command as an array; one that is typed in, by the answer."""

from __future__ import annotations

import pytest

from pyctl.model.apps import app_bits
from tests.unit.engine.core.recognise import (
    CERTAIN,
    GUESS,
    Recogniser,
    Sample,
    assert_recognised,
    told,
)

PING = b"*1\r\n$4\r\nPING\r\n"


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (PING, b"+PONG\r\n"),
        (b"*3\r\n$3\r\nset\r\n$1\r\na\r\n$2\r\nbc\r\n", b"+OK\r\n"),
        (b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", b"%7\r\n$6\r\nserver\r\n"),
        (b"*2\r\n$10\r\nJSON.MERGE\r\n", b""),
        (b"PING\r\n", b"+PONG\r\n"),
        (b"info\r\n", b"$3000\r\n# Server\r\n"),
        (b"keys *\r\n", b"*0\r\n"),
        (b"GET a\r\n", b"-NOAUTH Authentication required.\r\n"),
        (b"SET a b\r\n", b"+OK\r\n"),
        (b"SET a\n", b"-ERR wrong number of arguments for 'set' command\r\n"),
    ],
)
def test_it_is_known(core_module, asks, answers):
    assert_recognised(core_module, "Redis", Sample(asks, answers))


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (b"*1\r\n$4\r\nP NG\r\n", b""),
        (b"*0\r\n$4\r\nPING\r\n", b""),
        (b"*1\n$4\nPING\n", b""),
        (b"*1\r\n$99\r\nPING\r\n", b""),
        (b"*1\r\n$4\r\nPINGx\r\n", b""),
        (b"*1\r\n+PING\r\n", b""),
        (b"PING\r\n", b""),
        (b"PING\r\n", b"PONG\r\n"),
        (b"get a\r\n", b"END\r\n"),
        (b"INFO\r\n", b'INFO {"server_id":"x"}\r\n'),
        (b"USER a\r\n", b"-ERR no\r\n"),
        (b"AUTH PLAIN\r\n", b"+OK\r\n"),
    ],
)
def test_what_is_like_it_is_not(core_module, asks, answers):
    assert told(core_module, Sample(asks, answers)) != ("Redis", CERTAIN)


@pytest.mark.parametrize("line", [b"PING\r\n", b"ping\n", b"GET a\r\n", b"set a b\n"])
def test_a_line_that_is_typed_is_a_guess_so_that_the_server_may_answer(
    core_module, line
):
    for end in range(len(line)):
        assert told(core_module, Sample(line[:end])) == (None, None)
    assert told(core_module, Sample(line)) == ("Redis", GUESS)


def test_get_as_memcached_spells_it_may_be_either(core_module):
    line = b"get a\r\n"
    one = Recogniser(core_module)
    assert one.ask(line) == (None, None)
    assert one.known.guessed == app_bits(["Redis", "Memcached"])
    assert told(core_module, Sample(line, b"$1\r\nx\r\n")) == ("Redis", CERTAIN)
    assert told(core_module, Sample(line, b"END\r\n")) == ("Memcached", CERTAIN)
