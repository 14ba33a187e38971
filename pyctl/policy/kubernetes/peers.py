"""Kubernetes' selectors as selectors of ours, by the labels of workloads.

In: selectors of pods and namespaces; the labels of the namespaces that were handed in. Out: Selectors
of ours. I/O: none.

Of a namespace whose labels nobody gave, only the name is known: no selector takes it by a label, and none by
the lack of one (NotIn, DoesNotExist), which would let unknown workloads in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pyctl.policy.document.resolve import NAMESPACE
from pyctl.policy.document.types import Expression, Operator, Selector
from pyctl.policy.kubernetes.policies import LabelSelector, Pods

NAMESPACE_LABEL = "segctl.namespace."
"""The prefix of a namespace's label when a workload in it carries that label."""
NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"
"""The label that every namespace has."""
EVERYBODY = Selector(name="*")
"""Every workload, and no other address."""


def of_policy(namespace: str, pods: LabelSelector) -> Selector:
    """Return the selector of these pods in one namespace."""
    return _both(LabelSelector(((NAME_OF_NAMESPACE, namespace),)), pods)


def of_peer(
    namespace: str, peer: Pods, declared: Mapping[str, Mapping[str, str]]
) -> tuple[Selector, ...]:
    """Return selectors of the peer's pods; `namespace` is the policy's, `declared` labels by namespace."""
    asked = peer.namespaces
    if asked is None:
        return (of_policy(namespace, peer.pods),)
    if not label_keys(asked):
        return (_both(asked, peer.pods),)
    found = []
    names = tuple(name for name in sorted(declared) if takes(asked, name, declared))
    if names:
        by_name = Expression(NAME_OF_NAMESPACE, Operator.IN, names)
        found.append(_both(LabelSelector((), (by_name,)), peer.pods))
    # Workloads may carry their namespace's labels as labels of their own.
    if all(one.operator is not Operator.DOES_NOT_EXIST for one in asked.expressions):
        said = [
            Expression(one.key, Operator.EXISTS)
            for one in asked.expressions
            if one.operator is Operator.NOT_IN and one.key != NAME_OF_NAMESPACE
        ]
        if declared:
            others = tuple(sorted(declared))
            said.append(Expression(NAME_OF_NAMESPACE, Operator.NOT_IN, others))
        narrowed = LabelSelector(asked.labels, (*asked.expressions, *said))
        found.append(_both(narrowed, peer.pods))
    return tuple(found)


def label_keys(asked: LabelSelector) -> list[str]:
    """Return the label keys other than its name that a namespace selector asks for."""
    keys = {key for key, _ in asked.labels} | {one.key for one in asked.expressions}
    return sorted(keys - {NAME_OF_NAMESPACE})


def takes(
    asked: LabelSelector, name: str, declared: Mapping[str, Mapping[str, str]]
) -> bool:
    """Return whether the selector takes the namespace; `declared` has the labels of all namespaces."""
    return matches(asked, {**declared.get(name, {}), NAME_OF_NAMESPACE: name})


def matches(asked: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Return whether the selector matches something with exactly these labels."""
    return all(labels.get(key) == value for key, value in asked.labels) and all(
        _holds(one, labels.get(one.key)) for one in asked.expressions
    )


def _holds(asked: Expression, value: str | None) -> bool:
    match asked.operator:
        case Operator.IN:
            return value in asked.values
        case Operator.NOT_IN:
            return value not in asked.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None


def _both(namespaces: LabelSelector, pods: LabelSelector) -> Selector:
    labels, expressions = _merged(
        [*((_ours(key), value) for key, value in namespaces.labels), *pods.labels]
    )
    expressions += [
        replace(asked, key=_ours(asked.key)) for asked in namespaces.expressions
    ]
    expressions += pods.expressions
    if not labels and not expressions:
        return EVERYBODY
    return Selector(labels=labels, expressions=tuple(expressions))


def _ours(key: str) -> str:
    """Return the workload label that carries this label of a namespace."""
    return NAMESPACE if key == NAME_OF_NAMESPACE else NAMESPACE_LABEL + key


def _merged(
    pairs: Iterable[tuple[str, str]],
) -> tuple[tuple[tuple[str, str], ...], list[Expression]]:
    """Return a mapping of labels, and expressions for values asked of the same label again."""
    labels: dict[str, str] = {}
    expressions = []
    for key, value in pairs:
        if labels.setdefault(key, value) != value:
            expressions.append(Expression(key, Operator.IN, (value,)))
    return tuple(sorted(labels.items())), expressions
