"""Selectors: conditions on names, images and labels, with the path of what is wrong."""

from __future__ import annotations

import pytest

from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.document.resolve import selects
from pyctl.policy.document.selectors import as_mapping, selector
from pyctl.policy.document.types import Expression, Operator
from tests.unit.policy.makers import workload


def holds(body: dict[str, object], **labels: str) -> bool:
    notes = ErrorCollector()
    found = selector(notes, "s", body)
    assert not notes.errors
    return selects(found, workload("w", labels=labels))


def asked(key: str, operator: str, *values: str) -> dict[str, object]:
    said: dict[str, object] = {"key": key, "operator": operator}
    return {"expressions": [said | ({"values": list(values)} if values else {})]}


@pytest.mark.parametrize(
    ("operator", "values", "of_a", "of_c", "of_none"),
    [
        ("In", ["a", "b"], True, False, False),
        ("NotIn", ["a", "b"], False, True, True),
        ("Exists", [], True, True, False),
        ("DoesNotExist", [], False, False, True),
    ],
)
def test_an_expression_asks_one_label(operator, values, of_a, of_c, of_none):
    body = asked("app", operator, *values)
    assert holds(body, app="a") is of_a
    assert holds(body, app="c") is of_c
    assert holds(body, other="a") is of_none


def test_all_that_is_said_must_hold():
    body = asked("tier", "Exists") | {"labels": {"app": "a"}, "name": "w*"}
    assert holds(body, app="a", tier="")
    assert not holds(body, app="a")
    assert not holds(body, tier="")


def test_who_is_in_no_namespace_is_in_the_default_one():
    key = "io.kubernetes.pod.namespace"
    assert holds(asked(key, "In", "default"))
    assert holds({"labels": {key: "default"}})
    assert not holds(asked(key, "In", "default"), **{key: "shop"})
    assert holds(asked(key, "Exists"))


def test_a_selector_asks_for_runtime_and_namespace():
    notes = ErrorCollector()
    body = {"runtime": "docker", "namespace": "sh*"}
    found = selector(notes, "s", body)
    assert not notes.errors
    shop = {"io.kubernetes.pod.namespace": "shop"}
    assert selects(found, workload("w", labels=shop, runtime="docker"))
    assert not selects(found, workload("w", labels=shop, runtime="podman"))
    assert not selects(found, workload("w", runtime="docker"))
    assert holds({"namespace": "default"})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "s: selects nothing"),
        ({"expressions": []}, "s.expressions: must be a list with an element"),
        ({"expressions": ["a"]}, "s.expressions[0]: must be a mapping"),
        (asked("", "Exists"), "s.expressions[0].key: must be a string"),
        (asked("a", "Equals"), "s.expressions[0].operator: must be one of In"),
        (asked("a", "In"), "s.expressions[0].values: must be a list"),
        (asked("a", "Exists", "b"), "s.expressions[0].values: Exists takes none"),
        ({"runtime": "dokcer"}, "s.runtime: must be one of docker, podman, process"),
        ({"namespace": 1}, "s.namespace: must be a string"),
        ({"labels": {"a": 1}}, "s.labels.a: must be a string, not 1; put it in"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(body, error):
    notes = ErrorCollector()
    selector(notes, "s", body)
    assert any(line.startswith(error) for line in notes.errors), notes.errors


def test_what_is_said_is_kept():
    found = selector(ErrorCollector(), "s", asked("a", "NotIn", "x", ""))
    assert found.expressions == (Expression("a", Operator.NOT_IN, ("x", "")),)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "web*"},
        {
            "name": "web*",
            "labels": {"app": "db", "tier": ""},
            "image": "postgres:*",
            "runtime": "docker",
            "namespace": "shop",
            "expressions": [
                {"key": "tier", "operator": "NotIn", "values": ["test"]},
                {"key": "owner", "operator": "Exists"},
            ],
        },
    ],
)
def test_a_selector_goes_back_into_what_it_was_read_from(body):
    notes = ErrorCollector()
    assert as_mapping(selector(notes, "s", body)) == body
    assert not notes.errors
