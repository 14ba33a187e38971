"""Selectors out of plain values, each error noted under its path, and back into them.

In: plain values of YAML or JSON; a Selector. Out: the other. I/O: none.

    selector:
      name: "web*"
      labels: {app: db}
      image: "postgres:*"
      runtime: docker
      namespace: shop
      expressions: [{key: tier, operator: NotIn, values: [test]}]

All that is given must hold. Names, images, namespaces and labels' values are globs, in one meaning
(resolve.matches). A namespace is that of Kubernetes, which containers tell by a label; one
that tells none is in `default`. Expressions are those of Kubernetes, so that its selectors can be said
in ours without loss: a NotIn takes workloads that lack the label, too.
"""

from __future__ import annotations

from typing import Any

from pyctl.model.workload import RuntimeKind
from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.document.table import (
    ANYTHING,
    TEXT,
    WORD,
    WORDS,
    Field,
    Kind,
    Table,
    items_of,
    one_of,
)
from pyctl.policy.document.types import ANY, Expression, Operator, Selector

WITH_VALUES = {Operator.IN, Operator.NOT_IN}


def _labels(
    notes: ErrorCollector, path: str, value: object
) -> tuple[tuple[str, str], ...]:
    if value == {}:
        notes.error(path, "must name a label")
    return tuple(sorted(WORDS.read(notes, path, value).items()))


def expression(notes: ErrorCollector, path: str, value: object) -> Expression | None:
    """Return a condition on one label; None where it has errors."""
    before = notes.failed
    found = _EXPRESSION.read(notes, path, value)
    operator = found["operator"]
    values: tuple[str, ...] = ()
    if operator in WITH_VALUES:
        values = _VALUES.read(notes, f"{path}.values", found["values"])
    elif operator and found["values"] != []:
        notes.error(f"{path}.values", f"{operator} takes none")
    if not isinstance(value, dict) or notes.failed > before:
        return None
    return Expression(found["key"], operator, values)


_VALUES = items_of(WORD)
_EXPRESSION = Table(
    Field("key", TEXT, required=True),
    Field("operator", one_of(Operator), required=True),
    Field("values", ANYTHING, default=[]),
)
_ASKED = [
    _EXPRESSION.part(
        ["key", "operator", "values"],
        "key",
        operator={"enum": sorted(WITH_VALUES)},
        values=_VALUES.schema,
    ),
    _EXPRESSION.part(
        ["key", "operator"],
        "key",
        operator={"enum": sorted(set(Operator) - WITH_VALUES)},
        values={"type": "array", "maxItems": 0},
    ),
]
_LABELS = Kind(_labels, {**WORDS.schema, "minProperties": 1})
_SELECTOR = Table(
    Field("name", TEXT, about="glob over the workload's name"),
    Field("labels", _LABELS, about="by key, glob over the label's value"),
    Field("image", TEXT, about="glob over the image's name"),
    Field("runtime", one_of(RuntimeKind)),
    Field(
        "namespace",
        TEXT,
        about="glob over the Kubernetes namespace; `default` where none is told",
    ),
    Field("expressions", items_of(Kind(expression, {"oneOf": _ASKED}))),
)


def selector(notes: ErrorCollector, path: str, value: object) -> Selector:
    """Return a selector of workloads."""
    if value == {}:
        notes.error(path, f"selects nothing; for every workload use the group {ANY}")
    found = _SELECTOR.read(notes, path, value)
    found |= {key: found[key] or () for key in ("labels", "expressions")}
    return Selector(**found)


SELECTOR = Kind(selector, {**_SELECTOR.schema, "minProperties": 1})


def as_mapping(wanted: Selector) -> dict[str, Any]:
    """Return the mapping that `selector` reads as this selector, without defaults."""
    body = {
        "name": wanted.name,
        "labels": dict(wanted.labels),
        "image": wanted.image,
        "runtime": None if wanted.runtime is None else str(wanted.runtime),
        "namespace": wanted.namespace,
        "expressions": [_as_mapping(asked) for asked in wanted.expressions],
    }
    return {key: value for key, value in body.items() if value not in (None, {}, [])}


def _as_mapping(asked: Expression) -> dict[str, Any]:
    body: dict[str, Any] = {"key": asked.key, "operator": str(asked.operator)}
    return body | ({"values": list(asked.values)} if asked.values else {})
