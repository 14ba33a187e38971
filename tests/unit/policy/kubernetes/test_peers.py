"""Selectors of pods and namespaces, by the labels of workloads."""

from __future__ import annotations

from pyctl.policy.document import Expression, Operator, Selector
from pyctl.policy.kubernetes.peers import (
    EVERYBODY,
    of_peer,
    of_policy,
    with_label,
)
from pyctl.policy.kubernetes.policies import LabelSelector, Pods

NAMESPACE = "io.kubernetes.pod.namespace"


def test_a_policys_pods_are_in_its_namespace():
    pods = LabelSelector((("app", "db"),))
    assert of_policy("shop", pods) == Selector(
        labels=(("app", "db"), (NAMESPACE, "shop"))
    )
    assert of_peer("shop", Pods(pods, None)) == of_policy("shop", pods)


def test_a_namespace_is_known_by_its_name_and_its_labels():
    name = Expression("kubernetes.io/metadata.name", Operator.NOT_IN, ("bank",))
    found = of_peer(
        "shop", Pods(LabelSelector(), LabelSelector((("team", "a"),), (name,)))
    )
    assert found.labels == (("segctl.namespace.team", "a"),)
    assert found.expressions == (Expression(NAMESPACE, Operator.NOT_IN, ("bank",)),)


def test_all_pods_of_all_namespaces_are_every_workload():
    assert of_peer("shop", Pods(LabelSelector(), LabelSelector())) == EVERYBODY
    assert with_label(EVERYBODY, "a", "b") == Selector(labels=(("a", "b"),))


def test_one_label_can_be_asked_for_twice():
    pods = LabelSelector(((NAMESPACE, "bank"),))
    found = of_policy("shop", pods)
    assert found.labels == ((NAMESPACE, "shop"),)
    assert found.expressions == (Expression(NAMESPACE, Operator.IN, ("bank",)),)
