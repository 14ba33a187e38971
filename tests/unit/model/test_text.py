"""Names of any bytes are told as text that everybody takes."""

import json

import pytest

from pyctl.model.text import MOST_TOLD, harmless, harmless_values, told


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("eth0", "eth0"),
        ("prüf", "prüf"),
        (b"e\xff\xfe0".decode(errors="surrogateescape"), "e\\xff\\xfe0"),
        (b"\xc3\xa9\xc3".decode(errors="surrogateescape"), "é\\xc3"),
        (json.loads('"\\ud800x"'), "\\ud800x"),
        ("", ""),
    ],
)
def test_what_is_no_utf8_is_escaped_and_all_else_stays(given, shown):
    assert harmless(given) == shown
    assert harmless(shown) == shown
    harmless(given).encode()


def test_values_are_gone_through_whole():
    bad = "\udcff"
    given = {"name": bad, "labels": {bad: bad}, "plan": [bad, ("a", bad)], "mtu": 1500}
    assert harmless_values(given) == {
        "name": "\\xff",
        "labels": {"\\xff": "\\xff"},
        "plan": ["\\xff", ["a", "\\xff"]],
        "mtu": 1500,
    }


def test_of_many_lines_the_first_are_told_and_the_others_counted():
    lines = [str(number) for number in range(MOST_TOLD + 5)]
    assert told(lines[:MOST_TOLD]) == lines[:MOST_TOLD]
    assert told(lines) == [*lines[:MOST_TOLD], "and 5 more"]
