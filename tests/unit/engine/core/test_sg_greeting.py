"""Greetings of servers are whole lines of text; SMTP's and FTP's are told apart by what they name."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import CERTAIN, GUESS, Sample, told


@pytest.mark.parametrize(
    "answers",
    [b"220 \x01 SMTP\r\n", b"220" + b"x" * 2000 + b" SMTP\r\n", b"2200 SMTP\r\n"],
)
def test_what_is_no_line_of_text_greets_nobody(core_module, answers):
    assert CERTAIN not in told(core_module, Sample(b"", answers))


@pytest.mark.parametrize(
    "answers", [b"220 a.example ready\r\n", b"220 SMTP and FTP\r\n"]
)
def test_a_greeting_that_may_be_eithers_is_guessed_as_ftp_until_the_command(
    core_module, answers
):
    assert told(core_module, Sample(b"", answers)) == ("FTP", GUESS)
    assert told(core_module, Sample(b"EHLO a\r\n", answers)) == ("SMTP", CERTAIN)
    assert told(core_module, Sample(b"USER a\r\n", answers)) == ("FTP", CERTAIN)
    assert told(core_module, Sample(b"QUIT\r\n", answers)) == ("FTP", GUESS)
