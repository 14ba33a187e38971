"""A policy as its author means it, checked but not yet applied to anything.

In: what parse found. Out: frozen values. I/O: none.
It stays apart from model.policy (what one port enforces) because groups mean other addresses
whenever a workload comes or goes, while the author's text stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from pyctl.model.policy import Action, Direction
from pyctl.model.protocols import IN_RULES
from pyctl.model.sensors.sensor import Sensor
from pyctl.model.threats import ThreatAction
from pyctl.model.workload import Mode, RuntimeKind
from pyctl.policy.document.networks import Network, without

ANY = "any"
"""The built-in group: every workload and every address."""
API_VERSION = "segctl/v1"
MAX_RULES = 65536
MAX_GROUPS = 65535
"""Besides `any`: both are the engine's limits."""
MAX_FQDNS = 10_000
"""The most DNS names of all groups."""


class Operator(StrEnum):
    """The operator of an Expression on a label, in Kubernetes' words."""

    IN = "In"
    NOT_IN = "NotIn"
    """Holds too where the label is absent."""
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True)
class Expression:
    """A condition on one label."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()
    """The values of In and NotIn."""


@dataclass(frozen=True)
class Selector:
    """A selector of workloads; all that is given must hold."""

    name: str | None = None
    """Glob over the workload's name, case matters."""
    labels: tuple[tuple[str, str], ...] = ()
    """Key, and glob over the label's value."""
    image: str | None = None
    """Glob over the image's name."""
    expressions: tuple[Expression, ...] = ()
    runtime: RuntimeKind | None = None
    namespace: str | None = None
    """Glob over the Kubernetes namespace, which is `default` where none is told."""


@dataclass(frozen=True)
class Group:
    """A group of workloads, of addresses or of DNS names; it has exactly one of `selector`, `cidrs` and `fqdns`."""

    name: str
    selector: Selector | None = None
    cidrs: tuple[Network, ...] = ()
    excepts: tuple[Network, ...] = ()
    """The networks in `cidrs` that are not in the group."""
    fqdns: tuple[str, ...] = ()
    """DNS names in small letters, or `*.` and one: the addresses are in the group for who looked them up."""
    verify: bool = True
    """With `fqdns`: a name in the traffic must agree."""
    built_in: bool = False
    """No author wrote it: `multicast`, `broadcast` (casts.py)."""

    @cached_property
    def nets(self) -> tuple[Network, ...]:
        """Return the CIDRs as networks without the exceptions, for lookups."""
        return without(self.cidrs, self.excepts) if self.excepts else self.cidrs


@dataclass(frozen=True)
class PortSpec:
    """A protocol, with destination ports of TCP, UDP and SCTP, or types of ICMP."""

    text: str
    """As written."""
    proto: str
    """`tcp`, `udp`, `sctp`, `any`; `icmpv4`, `icmpv6`, or `icmp`: that of the packet's IP version."""
    low: int = 0
    high: int = 65535
    name: str = ""
    """The name of a named port. It matches nothing itself: workloads declare its numbers (named_ports.py)."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the IPPROTO_* numbers; 0: any. ICMP has one for each IP version."""
        return IN_RULES[self.proto]


@dataclass(frozen=True)
class Tls:
    """What a rule asks of a TLS connection. What is empty asks nothing."""

    sni: tuple[str, ...] = ()
    """Patterns of the name that the client sends."""
    alpn: tuple[str, ...] = ()
    """Protocols: all that the client offers are among them; of a rule that denies, one is."""
    min_version: str | None = None
    """The lowest version that the server may choose."""


@dataclass(frozen=True)
class Http:
    """What a rule asks of a request of HTTP. What is empty asks nothing."""

    methods: tuple[str, ...] = ()
    """Without them any but CONNECT; of a rule that denies any."""
    paths: tuple[str, ...] = ()
    """`=` and a whole path, or `*` and what paths begin with, encoded."""
    hosts: tuple[str, ...] = ()
    """Patterns of the host, or addresses, IPv6 in brackets."""


@dataclass(frozen=True)
class Rule:
    """One rule; `source` and `target` are names of groups."""

    id: int
    source: str
    target: str
    ports: tuple[PortSpec, ...]
    action: Action
    comment: str = ""
    enabled: bool = True
    direction: Direction | None = None
    """The rule holds only at the end that opens (egress) or is opened to (ingress); None: at both."""
    stage: bool = False
    """What it would decide is only recorded; the next rules decide."""
    apps: tuple[str, ...] = ()
    """The applications that it is for, as model.apps spells them; (): whatever it is."""
    app_unknown: Action | None = None
    """With `apps`: ALLOW or DENY a flow whose application stays unknown; None: it does not match that."""
    tls: Tls | None = None
    """With `apps`: what else must hold of such a flow. None: nothing."""
    http: Http | None = None
    """With `apps`: what must hold of a request; each one of a connection is judged. None: nothing."""


@dataclass(frozen=True)
class Policy:
    """A whole policy. Rules are in order: the first that matches decides."""

    text: str = ""
    """As applied, comments and all."""
    groups: dict[str, Group] = field(default_factory=dict)
    modes: dict[str, Mode] = field(default_factory=dict)
    threats: dict[str, dict[str, ThreatAction]] = field(default_factory=dict)
    """What is done at which threat, by group."""
    sensors: tuple[Sensor, ...] = ()
    rules: tuple[Rule, ...] = ()
    deny_rst: bool = False
    """`options: {deny: reset}`: a denied SYN is answered with RST."""
    warnings: tuple[str, ...] = ()
    """What is allowed but surely not meant, each with its path."""


EMPTY = Policy()
"""Before any policy was applied."""
