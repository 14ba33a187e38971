"""The other side of the oracle: the same pods as workloads, under the policy that was imported."""

from __future__ import annotations

import json
from ipaddress import ip_address

from pyctl.model.policy import Action, Direction
from pyctl.model.workload import Mode, Workload
from pyctl.policy.compile.effective import effective
from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.document.parse import parse
from pyctl.policy.document.types import Policy
from pyctl.policy.evaluate.explain import explain, groups_at
from pyctl.policy.kubernetes.translate import Translated, read_all, translate
from tests.unit.policy.kubernetes_oracle import Flow, Object, Pod, address
from tests.unit.policy.makers import port, workload

NUMBERS = {"TCP": 6, "UDP": 17}
ICMP = {4: 1, 6: 58}


def labels_of(pod: Pod) -> dict[str, str]:
    """A pod in `default` says nothing of its namespace."""
    named = {f"segctl.namespace.{key}": v for key, v in pod.namespace_labels.items()}
    for name, (protocol, number) in pod.ports.items():
        suffix = "" if protocol == "TCP" else f"/{protocol.lower()}"
        named[f"segctl.port.{name}"] = f"{number}{suffix}"
    if pod.namespace != "default":
        named["io.kubernetes.pod.namespace"] = pod.namespace
    return pod.labels | named


def as_workload(pod: Pod) -> Workload:
    return workload(
        pod.name,
        port(1, f"{pod.address}/24"),
        labels=labels_of(pod),
        attach_mode=Mode.DISCOVER,
    )


def namespace(name: str, labels: dict[str, str]) -> Object:
    about = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": about}


def translated(
    policies: list[Object], pods: list[Pod], nodes: list[str] | None = None
) -> Translated:
    notes = ErrorCollector()
    described = {pod.namespace: pod.namespace_labels for pod in pods}
    items = [*policies, *(namespace(*one) for one in described.items())]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    found = read_all(notes, {"f": text})
    return translate(
        notes,
        found,
        workloads=[as_workload(pod) for pod in pods],
        nodes=[ip_address(node) for node in nodes or []],
    )


def enforced(
    policies: list[Object], pods: list[Pod], nodes: list[str] | None = None
) -> Policy:
    """What was imported, with the numbers that the pods declare."""
    policy = parse(translated(policies, pods, nodes).text)
    return effective(policy, [as_workload(pod) for pod in pods])


def passes(policy: Policy, flow: Flow, direction: Direction) -> bool:
    """What protect makes of it at one end."""
    source, target = (
        groups_at(
            policy,
            ip_address(address(end)),
            [as_workload(end)] if isinstance(end, Pod) else [],
        )
        for end in (flow.source, flow.target)
    )
    version = ip_address(address(flow.target)).version
    number = NUMBERS.get(flow.protocol, ICMP[version])
    rule = explain(policy, source, target, number, flow.port, version, direction).rule
    return rule is not None and rule.action is Action.ALLOW


def connects(
    policies: list[Object], pods: list[Pod], flow: Flow, nodes: list[str] | None = None
) -> bool:
    """Whether both ends, where they are pods, let it."""
    policy = enforced(policies, pods, nodes)
    ends = [(flow.source, Direction.EGRESS), (flow.target, Direction.INGRESS)]
    return all(
        passes(policy, flow, direction)
        for end, direction in ends
        if isinstance(end, Pod)
    )
