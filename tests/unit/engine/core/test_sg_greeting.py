"""Greetings of servers are whole lines of text; SMTP's and FTP's are told apart by what they name."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.app_flow import Wire, asks_for
from tests.unit.engine.core.recognise import CERTAIN, Sample, told


@pytest.mark.parametrize(
    "answers",
    [b"220 \x01 SMTP\r\n", b"220" + b"x" * 2000 + b" SMTP\r\n", b"2200 SMTP\r\n"],
)
def test_what_is_no_line_of_text_greets_nobody(core_module, answers):
    assert CERTAIN not in told(core_module, Sample(b"", answers))


@pytest.mark.parametrize(
    "answers", [b"220 a.example ready\r\n", b"220 SMTP and FTP\r\n"]
)
def test_a_greeting_that_may_be_eithers_is_neithers_until_the_command(
    core_module, answers
):
    assert told(core_module, Sample(b"", answers)) == (None, None)
    assert told(core_module, Sample(b"EHLO a\r\n", answers)) == ("SMTP", CERTAIN)
    assert told(core_module, Sample(b"USER a\r\n", answers)) == ("FTP", CERTAIN)
    assert told(core_module, Sample(b"QUIT\r\n", answers)) == (None, None)


@pytest.mark.parametrize("app", ["SMTP", "FTP"])
def test_a_greeting_of_two_passes_where_either_is_allowed(node, net, app):
    node.judge_by(asks_for(app))
    wire = Wire(node.core, net).opens()
    greeting = b"220 b.example ready\r\n"
    wire.says(1, greeting)
    assert wire.across[1] == greeting
    wire.says(0, b"EHLO a\r\n")
    assert wire.app[0] == "SMTP"
    assert wire.across[0] == (b"EHLO a\r\n" if app == "SMTP" else b"")


def test_where_neither_is_it_does_not(node, net):
    node.judge_by(asks_for("HTTP"))
    wire = Wire(node.core, net).opens()
    wire.says(1, b"220 b.example ready\r\n")
    assert wire.across[1] == b""
