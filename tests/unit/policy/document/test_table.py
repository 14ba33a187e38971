"""A table says once which keys a mapping has: its reader and its schema follow."""

from __future__ import annotations

import pytest

from pyctl.policy.document.field_checks import MAX_RULE_ID, ErrorCollector
from pyctl.policy.document.table import (
    TEXT,
    WORDS,
    Field,
    Kind,
    Table,
    const,
    items_of,
    number,
)

TABLE = Table(
    Field("name", TEXT, required=True, about="whose"),
    Field("ids", items_of(number(1, 9)), default=[1]),
    Field("later", Kind(lambda notes, path, _: notes.error(path, "is wrong"))),
)


def read(table, value):
    notes = ErrorCollector()
    return table.read(notes, "t", value), notes.errors


def test_a_value_for_each_key_and_the_default_where_there_is_none():
    assert read(TABLE, {"name": "a"}) == ({"name": "a", "ids": (1,), "later": None}, [])


def test_every_error_has_its_path():
    _, errors = read(TABLE, {"ids": [0, 2], "later": 1, "x": 1})
    assert [line.partition(": ")[0] for line in errors] == [
        *("t.x", "t.name", "t.ids[0]", "t.later")
    ]
    assert "known here: name, ids, later" in errors[0]


def test_what_is_no_mapping_is_one_error():
    assert len(read(TABLE, [])[1]) == 1


def test_the_schema_has_what_can_be_used():
    schema = TABLE.schema
    assert schema["required"] == ["name"]
    assert list(schema["properties"]) == ["name", "ids"]
    assert schema["properties"]["name"]["description"] == "whose"
    assert schema["properties"]["ids"]["items"]["maximum"] == 9


def test_as_kubernetes_has_it_null_is_absent_and_a_list_may_be_empty():
    table = Table(
        Field("a", items_of(TEXT, nulls=True)),
        Field("b", TEXT),
        nulls=True,
        others=True,
    )
    assert read(table, {"a": [], "b": None, "x": 1}) == ({"a": (), "b": None}, [])
    assert read(table, {"a": [None]})[1][0].startswith("t.a[0]: is null")


@pytest.mark.parametrize("value", [True, 0, -1, 2**32, "1", 1.0, None])
def test_an_id_is_a_positive_32_bit_number(value):
    notes = ErrorCollector()
    assert number(1, MAX_RULE_ID).read(notes, "id", value) is None
    assert notes.errors


def test_one_word_alone_and_words_by_any_key():
    notes = ErrorCollector()
    assert const("v1").read(notes, "c", "v2") is None
    assert WORDS.read(notes, "w", {"a": "", "b": "x"}) == {"a": "", "b": "x"}
    assert notes.errors == ["c: must be v1, not 'v2'"]
