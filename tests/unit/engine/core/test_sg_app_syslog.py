"""syslog is known by a priority and text to the end of the datagram, the line or what is counted."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import UDP, Sample

LINES = [
    b"<34>Oct 11 22:14:15 box su: failed",
    b"<165>1 2003-10-11T22:14:15.003Z box app - ID47 - \xef\xbb\xbftext",
    b"<189>29: *Mar  1 18:46:11: %SYS-5-CONFIG_I",
    b"<0>a\tb",
    b"<191>x",
]


@pytest.mark.parametrize("line", LINES)
def test_a_priority_and_text_are_proof(core_module, line):
    counted = b"%d %s" % (len(line), line)
    assert_recognises(
        core_module,
        "syslog",
        Sample(line, b"", UDP),
        Sample(line + b"\n", b"", UDP),
        Sample(line + b"\n" + line),
        Sample(line + b"\0"),
        Sample(counted + counted),
    )


def test_a_line_that_does_not_end_is_none_yet(core_module):
    assert_not(core_module, "syslog", Sample(LINES[0]), Sample(b"50 " + LINES[0]))


@pytest.mark.parametrize(
    "line",
    [
        b"<192>Oct 11 22:14:15 x",
        b"<>x",
        b"<012>x",
        b"<1234>x",
        b"<a>x",
        b"<34 >x",
        b"<34>",
        b"<34>\n",
        b"<34>a\x01",
        b"34>x",
    ],
)
def test_what_is_like_one_is_none(core_module, line):
    assert_not(
        core_module,
        "syslog",
        Sample(line, b"", UDP),
        Sample(line + b"\n"),
        Sample(b"4 " + line),
    )
