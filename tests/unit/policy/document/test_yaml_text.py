"""Texts that people write by hand, read strictly."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pyctl.errors import UsageError
from pyctl.policy.document import yaml_text as module
from pyctl.policy.document.yaml_text import (
    MAX_ALIASED,
    MAX_DEPTH,
    MAX_TEXT,
    load,
    load_all,
)


def test_a_key_given_twice_is_refused():
    """YAML would let the last win, and half a policy would be gone in silence."""
    with pytest.raises(UsageError, match=r"line 3.*'groups' is given twice"):
        load("apiVersion: segctl/v1\ngroups: {}\ngroups: {a: 1}\n", "the policy")


def test_json_and_merge_keys_are_read():
    assert load('{"a": [1, true]}', "the text") == {"a": [1, True]}
    merged = load("x: &x {a: 1}\ny: {<<: *x, b: 2}\n", "the text")
    assert merged["y"] == {"a": 1, "b": 2}


def test_what_is_no_yaml_is_told_with_its_name_and_place():
    with pytest.raises(UsageError, match="the file is no YAML: line 3, column"):
        load("a: 1\nb: [", "the file")
    with pytest.raises(UsageError, match="the file is longer than"):
        load(" " * (MAX_TEXT + 1), "the file")


def test_several_documents_are_read_as_strictly():
    assert load_all("a: 1\n---\n---\n[b]\n", "the file") == [{"a": 1}, None, ["b"]]
    with pytest.raises(UsageError, match=r"the file is no YAML.*'a' is given twice"):
        load_all("b: 1\n---\n{a: 1, a: 2}\n", "the file")


@pytest.mark.parametrize("bracket", ["[", "{a: ", "- ", "? "])
def test_a_text_of_brackets_is_refused(bracket):
    """The agent reads it: libyaml's own composer overruns its stack, which ends the process."""
    with pytest.raises(
        UsageError, match=f"the file is no YAML.*deeper than {MAX_DEPTH}"
    ):
        load(bracket * 100_000, "the file")


def test_a_text_as_deep_as_may_be_is_read():
    value = load("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH, "the file")
    for _ in range(MAX_DEPTH):
        (value,) = value
    assert value == 1


def test_aliases_stand_for_so_much_and_no_more():
    """Ten lines of ten aliases each mean ten thousand million values."""
    lines = ["x0: &x0 [a, b, c, d, e, f, g, h, i, j]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(UsageError, match=f"line 6.*more than {MAX_ALIASED} values"):
        load("\n".join(lines), "the file")
    merged = [line.replace("[", "{<<: [").replace("]", "]}") for line in lines[1:]]
    with pytest.raises(UsageError, match=f"more than {MAX_ALIASED} values"):
        load("\n".join(["x0: &x0 {a: 1, b: 2, c: 3, d: 4, e: 5}", *merged]), "the file")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &a [1, *a]", "line 1, column 11: alias 'a' is in what it stands for"),
        ("a: *b", "line 1, column 4: alias 'b' stands for nothing"),
        ("[&a 1, &a 2]", "line 1, column 8: anchor 'a' is given twice"),
        ("a: &a 1\n---\nb: *a", "line 3, column 4: alias 'a' stands for nothing"),
    ],
)
def test_anchors_are_read_strictly(text, why):
    with pytest.raises(UsageError, match=why):
        load_all(text, "the file")
    assert load("[&a x, *a, &b {c: *a}, *b]", "it") == [
        "x",
        "x",
        {"c": "x"},
        {"c": "x"},
    ]


@pytest.mark.parametrize("text", ["1:30", "0:0:1", "1:30.5", "0o17", "089", "1e5"])
def test_what_is_no_decimal_number_is_text(text):
    """YAML 1.1 has numbers to the base of 60: `1:30` would be rule 90."""
    assert load(text, "the file") == text


@pytest.mark.parametrize("text", ["010", "-017", "0x50", "0b11", "1_000", "!!int 1:30"])
def test_a_number_of_two_readings_is_refused(text):
    with pytest.raises(
        UsageError, match=r"line 2, column .*write it in decimal, or in"
    ):
        load(f"a: 1\nb: {text}", "the file")
    assert load(f"'{text}'", "the file") == text


@pytest.mark.parametrize(("text", "number"), [("-5", -5), ("0", 0), ("1.5e3", 1500.0)])
def test_decimal_numbers_are_numbers(text, number):
    assert load(text, "the file") == number


@given(st.text(st.characters(exclude_categories=["C"]), max_size=30))
def test_what_we_write_is_what_we_read(text):
    assert load(yaml.safe_dump([text], allow_unicode=True), "the file") == [text]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" + "1," * 1001 + "]", "line 1, column .* it has more than 1000 values"),
        ("".join(f"%TAG !a{n}! x\n" for n in range(100)) + "--- 1", "directives"),
        ("? " + "k" * 1000 + "\n: 1", "line 1, column 3: a key is longer than 512"),
    ],
)
def test_no_text_takes_more_than_its_time(text, why, monkeypatch):
    monkeypatch.setattr(module, "MAX_VALUES", 1000)
    with pytest.raises(UsageError, match=why):
        load(text, "the file")


def test_numbers_cost_what_they_are_long():
    """Of the base of 60, a megabyte took minutes."""
    assert len(load("1:" * 500_000 + "1", "the file")) == 1_000_001
