"""Egress to pods by way of a Service: the addresses that stand for them.

In: Services, a rule and its peers. Out: addresses and ports to allow. I/O: none.

A NetworkPolicy speaks of pods; what a pod sends to a Service's address is, at its interface, to that
address and the Service's port, which a proxy changes later. So a rule that allows all pods behind a
Service on the port that it leads to allows the Service's address and port as well. Whether all of
them are allowed is read from the labels that the Service selects by, which each of its pods has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pyctl.policy.document.resolve import Named
from pyctl.policy.document.types import Operator
from pyctl.policy.kubernetes.peers import takes
from pyctl.policy.kubernetes.policies import (
    Cluster,
    LabelSelector,
    NamedPort,
    NetworkPolicy,
    Pods,
    PortRange,
    Rule,
    Service,
    ServicePort,
)
from pyctl.policy.kubernetes.ports import PodPort, behind


def through(
    cluster: Cluster, policy: NetworkPolicy, rule: Rule, workloads: Collection[Named]
) -> Iterator[tuple[Service, list[str]]]:
    """Yield the Services through which the rule's pods are reached, each with the ports to allow, as segctl's
    rules write them. `workloads` are pods that may name ports.
    """
    for service in cluster.services:
        if not _behind(service, policy, rule, cluster.namespaces):
            continue
        pods = behind(service, workloads)
        opened = [
            f"{port.proto}/{port.port}"
            for port in service.ports
            if _open(port, rule, pods)
        ]
        if opened:
            yield service, opened


def _behind(
    service: Service,
    policy: NetworkPolicy,
    rule: Rule,
    declared: Mapping[str, Mapping[str, str]],
) -> bool:
    """Return whether one of the peers selects every pod behind the Service."""
    if rule.peers is None:
        return True
    for peer in rule.peers:
        if not isinstance(peer, Pods) or not _implied(peer.pods, service):
            continue
        if peer.namespaces is None:
            if service.namespace == policy.namespace:
                return True
        elif takes(peer.namespaces, service.namespace, declared):
            return True
    return False


def _implied(asked: LabelSelector, service: Service) -> bool:
    """Return whether every pod that the Service selects also matches the selector."""
    has = dict(service.pods)
    return all(has.get(key) == value for key, value in asked.labels) and all(
        one.key in has
        and one.operator is not Operator.DOES_NOT_EXIST
        and (
            one.operator is Operator.EXISTS
            or (has[one.key] in one.values) == (one.operator is Operator.IN)
        )
        for one in asked.expressions
    )


def _open(
    port: ServicePort, rule: Rule, pods: Collection[Mapping[PodPort, int]]
) -> bool:
    """Return whether the rule allows all that the port leads to."""
    if rule.ports is None:
        return True
    allowed = [one for one in rule.ports if one.proto == port.proto]
    if isinstance(port.target, str):
        if any(
            isinstance(one, NamedPort) and one.name == port.target for one in allowed
        ):
            return True
        key = (port.proto, port.target)
        reached = [(pod[key], pod) for pod in pods if key in pod]
    else:
        if any(_allows(one, port.target, {}) for one in allowed):
            return True
        reached = [(port.target, pod) for pod in pods]
    return bool(reached) and all(
        any(_allows(one, number, pod) for one in allowed) for number, pod in reached
    )


def _allows(
    allowed: PortRange | NamedPort, number: int, pod: Mapping[PodPort, int]
) -> bool:
    """Return whether the allowed port includes this number on the pod."""
    if isinstance(allowed, NamedPort):
        return pod.get((allowed.proto, allowed.name)) == number
    return not allowed.low or allowed.low <= number <= allowed.high
