"""Errors: what was tried, what state it left, what to do; each kind has its exit code."""

from __future__ import annotations

import pytest

from pyctl.errors import ALL, BY_CODE, SegctlError


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "it was tried."),
        ({"state": "as before."}, "it was tried. As before."),
        ({"state": "eth0 is gone"}, "it was tried. eth0 is gone."),
        ({"advice": "`segctl list` helps"}, "it was tried. `segctl list` helps."),
        (
            {"state": "as before", "advice": "do that"},
            "it was tried. As before. Do that.",
        ),
    ],
)
def test_the_text_is_the_parts_as_sentences(parts, text):
    assert str(SegctlError("it was tried", **parts)) == text


def test_exit_codes_are_those_of_the_contract():
    assert {kind.exit_code for kind in ALL} == {1, 2, 3, 4}


def test_a_code_names_one_kind():
    assert {BY_CODE[kind.code] for kind in ALL} == set(ALL)


def test_the_number_of_the_system_is_kept():
    assert SegctlError("t", errno=2).errno == 2
