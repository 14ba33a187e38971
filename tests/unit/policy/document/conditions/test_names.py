"""Patterns of names: which there are, and which names they take. The engine's matcher says the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl.policy.document.conditions.names import (
    NAME_PATTERN,
    name_of_host,
    pattern,
    takes,
)
from pyctl.policy.document.field_checks import ErrorCollector


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("db.internal", "db.internal"),
        ("*.Example.ORG", "*.example.org"),
        ("localhost", "localhost"),
        ("_x-1.a", "_x-1.a"),
        ("x" * 63 + ".a", "x" * 63 + ".a"),
    ],
)
def test_a_pattern_is_read_in_lower_case(text, read):
    notes = ErrorCollector()
    assert pattern(notes, "at", text) == read
    assert not notes.errors
    assert re.search(NAME_PATTERN.schema["pattern"], text)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "must be a name"),
        ("10.0.0.1", "is an address"),
        ("[2001:db8::1]", "is an address"),
        ("a.example.", "leave out the dot"),
        ("bücher.example", "xn--"),
        ("", "no name"),
        ("*", "no name"),
        ("*.", "leave out the dot"),
        ("a.*.b", "no name"),
        ("*foo.example", "no name"),
        ("a..b", "no name"),
        ("x" * 64 + ".a", "no name"),
        ("a." * 126 + "ab", "no name"),
        ("https://a.example", "no name"),
    ],
)
def test_what_is_no_pattern_is_told(value, said):
    notes = ErrorCollector()
    assert pattern(notes, "at", value) is None
    (error,) = notes.errors
    assert error.startswith("at: ")
    assert said in error


@pytest.mark.parametrize(
    ("one", "name", "is_taken"),
    [
        ("a.example", "a.example", True),
        ("a.example", "x.a.example", False),
        ("*.example", "a.example", True),
        ("*.example", "x.a.example", True),
        ("*.example", "example", False),
        ("*.example", "evilexample", False),
        ("*.example", ".example", True),
    ],
)
def test_a_star_is_one_or_more_labels_and_not_none(one, name, is_taken):
    assert takes(one, name) is is_taken


LABELS = st.text("ab-", min_size=1, max_size=3)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)


@given(NAMES, NAMES)
def test_a_star_takes_what_has_labels_before(name, longer):
    assert takes(f"*.{name}", f"{longer}.{name}")
    assert not takes(f"*.{name}", name)
    assert takes(name, name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A.example.", "a.example"),
        ("a", "a"),
        ("", None),
        (".", None),
        ("a..", None),
        ("a b", None),
        ("*.a", None),
        ("a.\n", None),
    ],
)
def test_a_name_of_a_host(text, name):
    assert name_of_host(text) == name
