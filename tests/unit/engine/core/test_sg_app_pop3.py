"""POP3 is known by a greeting that says more than +OK: Redis and NATS answer that, too."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import (
    CERTAIN,
    GUESS,
    Sample,
    assert_recognised,
    told,
)


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (b"USER a\r\n", b"+OK Dovecot ready.\r\n"),
        (b"", b"+OK POP3 <1.2@a.example>\r\n"),
        (b"capa\r\n", b"+OK hello\r\n"),
    ],
)
def test_it_is_known(core_module, asks, answers):
    assert_recognised(core_module, "POP3", Sample(asks, answers))


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (b"", b"+OKAY\r\n"),
        (b"", b"+ OK\r\n"),
        (b"*1\r\n$4\r\nPING\r\n", b"+OK hello\r\n"),
        (b"EHLO a\r\n", b"+OK hello\r\n"),
        (b"CONNECT {}\r\n", b"+OK\r\n"),
    ],
)
def test_what_is_like_it_is_not(core_module, asks, answers):
    assert told(core_module, Sample(asks, answers)) != ("POP3", CERTAIN)


def test_a_bare_ok_is_a_guess(core_module):
    assert told(core_module, Sample(b"", b"+OK\r\n")) == ("POP3", GUESS)
