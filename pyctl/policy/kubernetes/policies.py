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
    """Which pods, or which namespaces; empty: all."""

    labels: tuple[tuple[str, str], ...] = ()
    expressions: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Pods:
    """Pods as a peer."""

    pods: LabelSelector
    namespaces: LabelSelector | None
    """None: the policy's own."""
    path: str = field(default="", compare=False)


@dataclass(frozen=True)
class Block:
    """Addresses as a peer."""

    cidr: Network
    excepts: tuple[Network, ...]


Peer = Pods | Block


@dataclass(frozen=True)
class PortRange:
    """Ports by number."""

    proto: str
    """`tcp`, `udp` or `sctp`."""
    low: int = 0
    """0: all."""
    high: int = 65535


@dataclass(frozen=True)
class NamedPort:
    """A port that each pod gives its number."""

    proto: str
    name: str
    path: str


@dataclass(frozen=True)
class Rule:
    """What is allowed in one direction: one of the peers by one of the ports."""

    peers: tuple[Peer, ...] | None
    """None: everybody."""
    ports: tuple[PortRange | NamedPort, ...] | None
    """None: all traffic."""


@dataclass(frozen=True)
class NetworkPolicy:
    """One object."""

    namespace: str
    name: str
    pods: LabelSelector
    ingress: tuple[Rule, ...] | None
    """None: it says nothing of this direction; (): it isolates, and allows nobody."""
    egress: tuple[Rule, ...] | None


@dataclass(frozen=True)
class ServicePort:
    """One port of a Service, and where it leads on the pods behind."""

    proto: str
    """`tcp`, `udp` or `sctp`."""
    port: int
    target: int | str
    """A number, or the name of a port that each pod gives its number."""


@dataclass(frozen=True)
class Service:
    """A Service that has addresses of its own and pods behind them."""

    namespace: str
    name: str
    pods: tuple[tuple[str, str], ...]
    """Labels that the pods behind it have."""
    addresses: tuple[Network, ...]
    ports: tuple[ServicePort, ...]


@dataclass(frozen=True)
class Cluster:
    """All that was handed in."""

    policies: tuple[NetworkPolicy, ...]
    namespaces: Mapping[str, Mapping[str, str]]
    """Name → labels, of the Namespaces among it; without any nothing is known of any but its name."""
    services: tuple[Service, ...] = ()
