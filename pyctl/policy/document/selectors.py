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
from pyctl.policy.document import fields
from pyctl.policy.document.fields import Notes
from pyctl.policy.document.types import ANY, Expression, Operator, Selector

KEYS = ["name", "labels", "image", "runtime", "namespace", "expressions"]
WITH_VALUES = {Operator.IN, Operator.NOT_IN}


def selector(notes: Notes, path: str, value: object) -> Selector:
    """Which workloads."""
    body = fields.mapping(notes, path, value, KEYS)
    if not body:
        notes.error(path, f"selects nothing; for every workload use the group {ANY}")
    globs = {
        key: fields.text(notes, f"{path}.{key}", body[key])
        for key in ("name", "image", "namespace")
        if key in body
    }
    labels = []
    if "labels" in body:
        found = fields.mapping(notes, f"{path}.labels", body["labels"])
        if not found:
            notes.error(f"{path}.labels", "must name a label")
        for key, content in found.items():
            labels.append((key, text(notes, f"{path}.labels.{key}", content) or ""))
    expressions = []
    if "expressions" in body:
        where = f"{path}.expressions"
        for index, item in enumerate(
            fields.sequence(notes, where, body["expressions"])
        ):
            asked = expression(notes, f"{where}[{index}]", item)
            if asked:
                expressions.append(asked)
    runtime = None
    if "runtime" in body:
        where = f"{path}.runtime"
        runtime = fields.choice(notes, where, body["runtime"], RuntimeKind)
    return Selector(
        name=globs.get("name"),
        labels=tuple(sorted(labels)),
        image=globs.get("image"),
        expressions=tuple(expressions),
        runtime=runtime,
        namespace=globs.get("namespace"),
    )


def as_mapping(wanted: Selector) -> dict[str, Any]:
    """The inverse of `selector`: what is asked for, and nothing else."""
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


def expression(notes: Notes, path: str, value: object) -> Expression | None:
    """A condition on one label."""
    before = notes.failed
    body = fields.mapping(notes, path, value, ["key", "operator", "values"])
    if not isinstance(value, dict):
        return None
    key = fields.text(notes, f"{path}.key", body.get("key"))
    operator = fields.choice(notes, f"{path}.operator", body.get("operator"), Operator)
    values = []
    if operator in WITH_VALUES:
        where = f"{path}.values"
        for index, item in enumerate(fields.sequence(notes, where, body.get("values"))):
            values.append(text(notes, f"{where}[{index}]", item) or "")
    elif operator and body.get("values", []) != []:
        notes.error(f"{path}.values", f"{operator} takes none")
    if key is None or operator is None or notes.failed > before:
        return None
    return Expression(key, operator, tuple(values))


def text(notes: Notes, path: str, value: object) -> str | None:
    """A label's value: a string, that may be empty."""
    return "" if value == "" else fields.text(notes, path, value)
