"""Compiled policy: what the engine is given for the node, and for one port. Parsing is in
pyctl.policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from pyctl.model.sensors.sensor import NO_SENSORS, Sensor, SensorBits
from pyctl.model.threats import NO_THREATS, ThreatBits
from pyctl.model.workload import Mode


class Direction(StrEnum):
    """A flow's direction as the workload sees it."""

    EGRESS = "egress"
    INGRESS = "ingress"


class Action(StrEnum):
    """The action of a rule."""

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
    """The first destination port of TCP and UDP; 0..65535: any."""
    port_hi: int
    action: Action


@dataclass(frozen=True)
class PortMatch:
    """A match on TCP, UDP or SCTP destination ports, on ICMP types, or on another protocol as a whole."""

    proto: int
    """IPPROTO_TCP, _UDP, _SCTP, _ICMP (of IPv4), _ICMPV6 (of IPv6); 0: any, without ports."""
    low: int = 0
    high: int = 65535


class Field(IntEnum):
    """Fields of what the bytes of a flow tell: enum sg_field."""

    SNI = 1
    ALPN = 2
    VERSION = 3
    METHOD = 4
    HOST = 5
    PATH = 6
    NAME = 7


@dataclass(frozen=True)
class Condition:
    """What a rule asks of a flow besides its application: of each field, one of its items at least."""

    items: tuple[tuple[int, bytes], ...]
    """Fields, ascending, and what they must be."""
    denies: bool = False
    """It is a rule's that denies: what is ambiguous holds."""
    rule: int = 0
    """With `denies`: NodeRule.key, so that it is in force as long as the rule is."""


@dataclass(frozen=True)
class NodeRule:
    """One rule of a node for flows opened from `source` to `target`, both indexes of groups."""

    rule_id: int
    source: int
    target: int
    ports: tuple[PortMatch, ...]
    action: Action
    direction: Direction | None = None
    """Judged at the end that opens (egress) or is opened to (ingress) alone; None: at both."""
    staged: bool = False
    """What it would decide is only recorded; the next rules decide."""
    key: int = 0
    """The key of its hit counts (policy/identity.py); 0: not counted."""
    apps: int = 0
    """The applications that it is for (apps.app_bits); 0: whatever it is."""
    app_unknown: Action | None = None
    """With `apps`: ALLOW or DENY a flow whose application stays unknown; None: it does not match that."""
    condition: Condition | None = None
    """What else must hold of a flow of `apps`; to a group of names also without these, of a flow that shows a name. None:
    nothing."""


@dataclass(frozen=True)
class Fqdn:
    """A DNS name, or all names below it, whose addresses are in a group for whoever looked them up."""

    name: str
    """In small letters, without a dot at its end."""
    subdomains: bool = False
    """It stands for the names with more labels before it, and not for itself."""


@dataclass(frozen=True)
class NodePolicy:
    """The rules of all ports of a node; the first that matches decides."""

    groups: tuple[str, ...] = ("any",)
    """Names by index; the first is everybody."""
    cidrs: Mapping[int, tuple[IPv4Network | IPv6Network, ...]] = field(
        default_factory=dict
    )
    """The networks of the groups that are CIDRs."""
    rules: tuple[NodeRule, ...] = ()
    fqdns: Mapping[int, tuple[Fqdn, ...]] = field(default_factory=dict)
    """The names of the groups that are names."""
    sensors: tuple[Sensor, ...] = ()
    """What is looked for in payload; the settings of ports name them by their index."""


@dataclass(frozen=True, order=True)
class Holder:
    """One of several workloads that have the same address."""

    groups: tuple[int, ...]
    segments: tuple[int, ...] = ()
    """The closed bridges that it is on: a port on the same bridge tells it from holders elsewhere."""


@dataclass(frozen=True)
class Members:
    """The members of groups that have selectors: groups by port, and by the workloads' addresses."""

    ports: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    addresses: Mapping[IPv4Address | IPv6Address, tuple[int, ...]] = field(
        default_factory=dict
    )
    shared: Mapping[IPv4Address | IPv6Address, tuple[Holder, ...]] = field(
        default_factory=dict
    )
    """The holders of addresses that several workloads have. The strictest answer holds: of those on the
    port's segment, or else of all."""

    def of_address(self, ip: IPv4Address | IPv6Address) -> tuple[Holder, ...]:
        """Return a Holder for each workload that has the address; () where none has."""
        alone = self.addresses.get(ip)
        return self.shared.get(ip, ()) if alone is None else (Holder(alone),)


@dataclass(frozen=True)
class PortPolicy:
    """The whole policy of one port."""

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
    """The closed bridge on which it can tell who has an address; 0: it cannot tell."""
    threats: ThreatBits = NO_THREATS
    sensors: SensorBits = NO_SENSORS
    cache: bool = True
    """Verdicts go to the kernel's flow map. False for a datapath without one."""
