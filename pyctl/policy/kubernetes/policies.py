"""What NetworkPolicies say, as values.

In: what read found. Out: frozen values. I/O: none.
The difference between absent and empty is settled here: None is "not restricted", () is "nobody".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyctl.policy.document.networks import Network
from pyctl.policy.document.types import Expression


@dataclass(frozen=True)
class LabelSelector:
    """A selector of pods or namespaces; empty: all."""

    labels: tuple[tuple[str, str], ...] = ()
    expressions: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Pods:
    """A peer that is pods."""

    pods: LabelSelector
    namespaces: LabelSelector | None
    """None: the policy's own."""
    path: str = field(default="", compare=False)


@dataclass(frozen=True)
class Block:
    """A peer that is addresses (ipBlock)."""

    cidr: Network
    excepts: tuple[Network, ...]


Peer = Pods | Block


@dataclass(frozen=True)
class PortRange:
    """A range of ports by number."""

    proto: str
    """`tcp`, `udp` or `sctp`."""
    low: int = 0
    """0: all ports."""
    high: int = 65535


@dataclass(frozen=True)
class NamedPort:
    """A port by name; each pod declares its number."""

    proto: str
    name: str
    path: str


@dataclass(frozen=True)
class Rule:
    """A rule of one direction: it allows any of the peers on any of the ports."""

    peers: tuple[Peer, ...] | None
    """None: everybody."""
    ports: tuple[PortRange | NamedPort, ...] | None
    """None: all traffic."""


@dataclass(frozen=True)
class NetworkPolicy:
    """What one NetworkPolicy object says."""

    namespace: str
    name: str
    pods: LabelSelector
    ingress: tuple[Rule, ...] | None
    """None: it says nothing of this direction; (): it isolates, and allows nobody."""
    egress: tuple[Rule, ...] | None


@dataclass(frozen=True)
class ServicePort:
    """One port of a Service, and the port of the pods that it leads to."""

    proto: str
    """`tcp`, `udp` or `sctp`."""
    port: int
    target: int | str
    """A number, or the name of a port that each pod gives its number."""


@dataclass(frozen=True)
class Service:
    """A Service that has its own addresses, and pods behind them."""

    namespace: str
    name: str
    pods: tuple[tuple[str, str], ...]
    """The labels by which it selects its pods."""
    addresses: tuple[Network, ...]
    ports: tuple[ServicePort, ...]


@dataclass(frozen=True)
class Cluster:
    """All objects that were handed in."""

    policies: tuple[NetworkPolicy, ...]
    namespaces: Mapping[str, Mapping[str, str]]
    """Name → labels, of the Namespaces among it; without any nothing is known of any but its name."""
    services: tuple[Service, ...] = ()
