"""What NetworkPolicies allow, read from the objects one by one as the API reference tells it.

It knows nothing of our language: plain objects, pods, addresses. Slow and simple on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """One address is enough."""

    name: str
    address: str
    namespace: str = "default"
    labels: dict[str, str] = field(default_factory=dict)
    namespace_labels: dict[str, str] = field(default_factory=dict)
    ports: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Name → protocol, number."""


@dataclass(frozen=True)
class Flow:
    """`port` is the destination's; protocol `TCP`, `UDP`, or another that has no ports."""

    source: Pod | str
    target: Pod | str
    protocol: str
    port: int


def isolated(policies: list[Object], pod: Pod, kind: str) -> list[Object]:
    """The policies that select the pod for `Ingress` or `Egress`; none: it is free."""
    return [
        policy
        for policy in policies
        if policy["metadata"].get("namespace", "default") == pod.namespace
        and takes(policy["spec"].get("podSelector") or {}, pod.labels)
        and kind in types(policy["spec"])
    ]


def types(spec: Object) -> list[str]:
    """Every policy concerns ingress, one with egress rules egress too, unless it says otherwise."""
    if spec.get("policyTypes"):
        return spec["policyTypes"]
    return ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def may_receive(policies: list[Object], flow: Flow, nodes: list[str]) -> bool:
    """Whether the target, a pod, lets the flow in."""
    pod = flow.target
    selecting = isolated(policies, pod, "Ingress")
    if not selecting or address(flow.source) in nodes:
        return True
    return any(
        matches(policy, rule, "from", flow.source, flow)
        for policy in selecting
        for rule in policy["spec"].get("ingress") or []
    )


def may_open(policies: list[Object], flow: Flow) -> bool:
    """Whether the source, a pod, lets the flow out."""
    selecting = isolated(policies, flow.source, "Egress")
    if not selecting:
        return True
    return any(
        matches(policy, rule, "to", flow.target, flow)
        for policy in selecting
        for rule in policy["spec"].get("egress") or []
    )


def matches(
    policy: Object, rule: Object, key: str, other: Pod | str, flow: Flow
) -> bool:
    """A rule takes a flow by a peer and by a port; a list with nothing in it restricts nothing. The
    addresses of a block that is sent to declare no named port.
    """
    peers, ports = rule.get(key) or [None], rule.get("ports") or [None]
    return any(
        (peer is None or is_peer(policy, peer, other))
        and (port is None or is_port(port, flow))
        for peer in peers
        for port in ports
        if not (key == "to" and names_a_port_of_a_block(peer or {}, port or {}))
    )


def names_a_port_of_a_block(peer: Object, port: Object) -> bool:
    return "ipBlock" in peer and isinstance(port.get("port"), str)


def is_peer(policy: Object, peer: Object, other: Pod | str) -> bool:
    """Pods by selectors, in the policy's namespace where it names no others; or addresses."""
    if "ipBlock" in peer:
        block, ip = peer["ipBlock"], ip_address(address(other))
        return ip in ip_network(block["cidr"], strict=False) and not any(
            ip in ip_network(hole, strict=False) for hole in block.get("except") or []
        )
    if isinstance(other, str):
        return False
    if "namespaceSelector" in peer:
        of_namespace = other.namespace_labels | {
            "kubernetes.io/metadata.name": other.namespace
        }
        if not takes(peer["namespaceSelector"], of_namespace):
            return False
    elif other.namespace != policy["metadata"].get("namespace", "default"):
        return False
    return takes(peer.get("podSelector") or {}, other.labels)


def is_port(port: Object, flow: Flow) -> bool:
    """TCP where it says nothing else; a name means what the pod at the destination says."""
    if port.get("protocol", "TCP") != flow.protocol:
        return False
    wanted = port.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, int):
        return wanted <= flow.port <= port.get("endPort", wanted)
    return isinstance(flow.target, Pod) and flow.target.ports.get(wanted) == (
        flow.protocol,
        flow.port,
    )


def takes(selector: Object, labels: dict[str, str]) -> bool:
    """All requirements hold; without any, everything is selected."""
    equal = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in equal.items()):
        return False
    for asked in selector.get("matchExpressions") or []:
        has = asked["key"] in labels
        value = labels.get(asked["key"])
        holds = {
            "Exists": has,
            "DoesNotExist": not has,
            "In": has and value in asked.get("values", []),
            "NotIn": not has or value not in asked.get("values", []),
        }
        if not holds[asked["operator"]]:
            return False
    return True


def address(end: Pod | str) -> str:
    """Of an end."""
    return end.address if isinstance(end, Pod) else end
