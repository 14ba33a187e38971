"""Selectors of pods and namespaces, by the labels of workloads."""

from __future__ import annotations

import pytest

from pyctl.policy.document.resolve import selects
from pyctl.policy.document.types import Expression, Operator, Selector
from pyctl.policy.kubernetes.peers import (
    EVERYBODY,
    of_peer,
    of_policy,
)
from pyctl.policy.kubernetes.policies import LabelSelector, Pods
from tests.unit.policy.makers import workload

NAMESPACE = "io.kubernetes.pod.namespace"


def test_a_policys_pods_are_in_its_namespace():
    pods = LabelSelector((("app", "db"),))
    assert of_policy("shop", pods) == Selector(
        labels=(("app", "db"), (NAMESPACE, "shop"))
    )
    assert of_peer("shop", Pods(pods, None), {}) == (of_policy("shop", pods),)


def test_a_namespace_is_known_by_its_name_and_its_labels():
    name = Expression("kubernetes.io/metadata.name", Operator.NOT_IN, ("bank",))
    asked = Pods(LabelSelector(), LabelSelector((("team", "a"),), (name,)))
    (found,) = of_peer("shop", asked, {})
    assert found.labels == (("segctl.namespace.team", "a"),)
    assert found.expressions == (Expression(NAMESPACE, Operator.NOT_IN, ("bank",)),)


def test_all_pods_of_all_namespaces_are_every_workload():
    everybody = Pods(LabelSelector(), LabelSelector())
    assert of_peer("shop", everybody, {}) == (EVERYBODY,)


def test_one_label_can_be_asked_for_twice():
    pods = LabelSelector(((NAMESPACE, "bank"),))
    found = of_policy("shop", pods)
    assert found.labels == ((NAMESPACE, "shop"),)
    assert found.expressions == (Expression(NAMESPACE, Operator.IN, ("bank",)),)


DECLARED = {"lab": {"env": "test"}, "bank": {"env": "live"}, "bare": {}}
NOT_LIVE = Expression("env", Operator.NOT_IN, ("live",))
NO_ENV = Expression("env", Operator.DOES_NOT_EXIST)


@pytest.mark.parametrize(
    ("asked", "namespace", "labels", "meant"),
    [
        (NOT_LIVE, "lab", {}, True),
        (NOT_LIVE, "bank", {}, False),
        (NOT_LIVE, "bare", {}, True),
        (NOT_LIVE, "stranger", {}, False),
        (NOT_LIVE, "stranger", {"segctl.namespace.env": "test"}, True),
        (NOT_LIVE, "stranger", {"segctl.namespace.env": "live"}, False),
        (NOT_LIVE, "bank", {"segctl.namespace.env": "test"}, False),
        (NO_ENV, "bare", {}, True),
        (NO_ENV, "lab", {}, False),
        (NO_ENV, "stranger", {}, False),
    ],
)
def test_a_namespace_that_nobody_described_is_not_taken(
    asked, namespace, labels, meant
):
    """For the lack of a label no stranger is let in."""
    peer = Pods(LabelSelector(), LabelSelector((), (asked,)))
    pod = workload("pod", labels={NAMESPACE: namespace, **labels})
    found = of_peer("shop", peer, DECLARED)
    assert any(selects(selector, pod) for selector in found) is meant
