"""syslog is known by a priority and a time; a priority alone is a guess."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import GUESS, TCP, UDP, Sample, told

LINES = [
    b"<34>Oct 11 22:14:15 box su: failed",
    b"<0>Jun  1 02:03:04 box x",
    b"<165>1 2003-10-11T22:14:15.003Z box app - ID47 - text",
    b"<13>1 - - - - - -",
]


@pytest.mark.parametrize("line", LINES)
def test_a_priority_and_a_time_are_proof(core_module, line):
    assert_recognises(core_module, "syslog", Sample(line, b"", UDP))
    assert_recognises(core_module, "syslog", Sample(line))
    counted = b"%d %s" % (len(line), line)
    assert_recognises(core_module, "syslog", Sample(counted))


def test_without_a_time_it_is_a_guess(core_module):
    for line in (b"<189>29: *Mar 1", b"<189>Januar", b"<191>x"):
        for proto in (TCP, UDP):
            assert told(core_module, Sample(line, b"", proto)) == ("syslog", GUESS)


@pytest.mark.parametrize(
    "line",
    [b"<192>Oct 11 22:14:15 x", b"<>x", b"<1234>x", b"<a>x", b"<34 >x", b"<34>\0", b"34>x"],
)  # fmt: skip
def test_what_is_like_one_is_none(core_module, line):
    assert told(core_module, Sample(line, b"", UDP))[0] != "syslog"
    assert_not(core_module, "syslog", Sample(line), Sample(b"5 " + LINES[0]))
