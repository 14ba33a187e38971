"""Texts that people write by hand, read strictly."""

from __future__ import annotations

import pytest

from pyctl.errors import UsageError
from pyctl.policy.text import MAX_TEXT, load, load_all


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
