"""Ports in our words, and those that the pods behind a Service declare.

In: ports of NetworkPolicies, Services, workloads. Out: texts like `tcp/80`; numbers. I/O: none.
A pod declares its named ports in its containers; a workload does so by a label (named_ports.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pyctl.policy.document.named_ports import declared_ports
from pyctl.policy.document.resolve import Named, selects
from pyctl.policy.kubernetes.peers import of_policy
from pyctl.policy.kubernetes.policies import (
    LabelSelector,
    NamedPort,
    PortRange,
    Service,
)

PodPort = tuple[str, str]
"""Protocol and name."""


def text(port: PortRange | NamedPort) -> str:
    """Return the port as a rule of segctl writes it."""
    if isinstance(port, NamedPort):
        return f"{port.proto}/{port.name}"
    if port.low == 0:
        return f"{port.proto}/any"
    if port.low == port.high:
        return f"{port.proto}/{port.low}"
    return f"{port.proto}/{port.low}-{port.high}"


def behind(
    service: Service, workloads: Collection[Named]
) -> tuple[Mapping[PodPort, int], ...]:
    """Return, for each workload that is a pod behind the Service, the ports that it declares."""
    pods = of_policy(service.namespace, LabelSelector(service.pods))
    return tuple(
        {(proto, name): number for proto, name, number in declared_ports(workload)}
        for workload in workloads
        if selects(pods, workload)
    )
