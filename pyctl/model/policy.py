"""Compiled policy: what the engine is given for the node, and for one port. Parsing is in
pyctl.policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from pyctl.model.workload import Mode


class Direction(StrEnum):
    """As the workload sees it."""

    EGRESS = "egress"
    INGRESS = "ingress"


class Action(StrEnum):
    """What a rule says."""

    ALLOW = "allow"
    DENY = "deny"
    REJECT = "reject"
    """A denial that is answered: with RST, or an ICMP error."""


@dataclass(frozen=True)
class PortRule:
    """One rule as one port sees it; the first that matches decides."""

    rule_id: int
    direction: Direction | None
    """None: both."""
    peer: IPv4Network | IPv6Network | None
    """The other end; None: anybody."""
    proto: int
    """IPPROTO_*; 0: any."""
    port_lo: int
    """Of TCP and UDP, the destination's; 0..65535: any."""
    port_hi: int
    action: Action


@dataclass(frozen=True)
class PortMatch:
    """Destination ports of TCP or UDP, types of ICMP; any protocol else."""

    proto: int
    """IPPROTO_TCP, _UDP, _SCTP, _ICMP (of IPv4), _ICMPV6 (of IPv6); 0: any, without ports."""
    low: int = 0
    high: int = 65535


@dataclass(frozen=True)
class NodeRule:
    """Who opens from `source` to `target`: indexes of groups."""

    rule_id: int
    source: int
    target: int
    ports: tuple[PortMatch, ...]
    action: Action
    direction: Direction | None = None
    """Judged at the end that opens (egress) or is opened to (ingress) alone; None: at both."""
    staged: bool = False
    """Recorded as what it would decide; the next ones decide."""
    key: int = 0
    """Under which its hits are counted (policy/identity.py); 0: they are not."""


@dataclass(frozen=True)
class NodePolicy:
    """The rules of all ports of a node; the first that matches decides."""

    groups: tuple[str, ...] = ("any",)
    """Names by index; the first is everybody."""
    cidrs: Mapping[int, tuple[IPv4Network | IPv6Network, ...]] = field(
        default_factory=dict
    )
    """Of the groups that are CIDRs."""
    rules: tuple[NodeRule, ...] = ()


@dataclass(frozen=True, order=True)
class Holder:
    """One of the workloads that have an address."""

    groups: tuple[int, ...]
    segments: tuple[int, ...] = ()
    """The closed bridges that it is on: a port of the same one knows it from those elsewhere."""


@dataclass(frozen=True)
class Members:
    """Whom the selectors take: groups by port, and by the addresses that workloads have."""

    ports: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    addresses: Mapping[IPv4Address | IPv6Address, tuple[int, ...]] = field(
        default_factory=dict
    )
    shared: Mapping[IPv4Address | IPv6Address, tuple[Holder, ...]] = field(
        default_factory=dict
    )
    """Of addresses that several workloads have. Of those on the port's segment, or else of all, the
    strictest answer holds."""

    def of_address(self, ip: IPv4Address | IPv6Address) -> tuple[Holder, ...]:
        """Each workload that has the address; none: nobody has."""
        alone = self.addresses.get(ip)
        return self.shared.get(ip, ()) if alone is None else (Holder(alone),)


@dataclass(frozen=True)
class PortPolicy:
    """A port's whole policy."""

    port_id: int
    mode: Mode
    mac: str
    rules: tuple[PortRule, ...] | None
    """None: the node's policy holds, by the groups of both ends."""
    default: Action
    """For what no rule matches: ALLOW in discover, else DENY (monitor records it and passes)."""
    deny_rst: bool = False
    """A denied SYN is answered with RST instead of silence."""
    serves_dhcp: bool = False
    """The workload may answer DHCP clients."""
    segment: int = 0
    """The closed bridge on which it knows who has an address there; 0: it cannot tell."""
    cache: bool = True
    """Verdicts go to the kernel's flow map. False for a datapath without one."""
