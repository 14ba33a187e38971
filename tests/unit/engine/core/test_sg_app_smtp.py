"""SMTP is known by a greeting that names it, or by EHLO after any."""

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


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (b"EHLO a.example\r\n", b"220 b.example ESMTP Postfix\r\n"),
        (b"", b"220-b.example Smtp\r\n"),
        (b"helo a\r\n", b"220 b.example ready\r\n"),
        (b"QUIT\r\n", b"220 b.example ESMTP\n"),
    ],
)
def test_it_is_known(core_module, asks, answers):
    assert_recognised(core_module, "SMTP", Sample(asks, answers))


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (b"USER a\r\n", b"220 b.example ESMTP\r\n"),
        (b"\x16\x03\x01", b"220 b.example ESMTP\r\n"),
        (b"EHLO a\r\n", b"250 b.example ESMTP\r\n"),
        (b"EHLOA\r\n", b"220 b.example\r\n"),
    ],
)
def test_what_is_like_it_is_not(core_module, asks, answers):
    assert told(core_module, Sample(asks, answers)) != ("SMTP", CERTAIN)


def test_a_command_without_a_greeting_is_a_guess(core_module):
    assert told(core_module, Sample(b"EHLO a\r\n")) == ("SMTP", GUESS)


def test_a_greeting_that_names_neither_may_be_of_ftp_too(core_module):
    one = Recogniser(core_module)
    assert one.ask(b"", b"220 b.example ready\r\n") == (None, None)
    assert one.known.guessed == app_bits(["SMTP", "FTP"])
