"""Whom Kubernetes' selectors take, by the labels of our workloads.

In: selectors of pods and namespaces. Out: Selectors of ours. I/O: none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pyctl.policy.document import Expression, Operator, Selector
from pyctl.policy.kubernetes.policies import LabelSelector, Pods
from pyctl.policy.resolve import NAMESPACE

NAMESPACE_LABEL = "segctl.namespace."
"""Before the key of a namespace's label, as a label of every workload in it."""
NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"
"""The label that every namespace has."""
EVERYBODY = Selector(name="*")
"""Every workload, and no other address."""


def of_policy(namespace: str, pods: LabelSelector) -> Selector:
    """Pods of one namespace."""
    return _both(LabelSelector(((NAME_OF_NAMESPACE, namespace),)), pods)


def of_peer(namespace: str, peer: Pods) -> Selector:
    """`namespace` is the policy's own."""
    if peer.namespaces is None:
        return of_policy(namespace, peer.pods)
    return _both(peer.namespaces, peer.pods)


def with_label(selector: Selector, key: str, value: str) -> Selector:
    """Those of them that have this label, too."""
    labels, expressions = _merged([*selector.labels, (key, value)])
    return replace(
        selector,
        name=None,
        labels=labels,
        expressions=(*selector.expressions, *expressions),
    )


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
    """The workload's label that says what a namespace's label says."""
    return NAMESPACE if key == NAME_OF_NAMESPACE else NAMESPACE_LABEL + key


def _merged(
    pairs: Iterable[tuple[str, str]],
) -> tuple[tuple[tuple[str, str], ...], list[Expression]]:
    """What is asked of one label twice needs an expression: a mapping holds a key once."""
    labels: dict[str, str] = {}
    expressions = []
    for key, value in pairs:
        if labels.setdefault(key, value) != value:
            expressions.append(Expression(key, Operator.IN, (value,)))
    return tuple(sorted(labels.items())), expressions
