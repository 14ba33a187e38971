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
from pyctl.model.workload import Mode, RuntimeKind
from pyctl.policy.document.networks import Network, without

ANY = "any"
"""The built-in group: every workload and every address."""
API_VERSION = "segctl/v1"
MAX_RULES = 65536
MAX_GROUPS = 65535
"""Besides `any`: both are the engine's limits."""


class Operator(StrEnum):
    """What an Expression asks of a label; the words are Kubernetes'."""

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
    """Of In and NotIn."""


@dataclass(frozen=True)
class Selector:
    """Which workloads; all that is given must hold."""

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
    """Exactly one of `selector` and `cidrs`."""

    name: str
    selector: Selector | None = None
    cidrs: tuple[Network, ...] = ()
    excepts: tuple[Network, ...] = ()
    """What of `cidrs` is not in the group."""
    built_in: bool = False
    """No author wrote it: `multicast`, `broadcast` (casts.py)."""

    @cached_property
    def nets(self) -> tuple[Network, ...]:
        """The same as networks alone, without exceptions: what is looked up."""
        return without(self.cidrs, self.excepts) if self.excepts else self.cidrs


@dataclass(frozen=True)
class PortSpec:
    """A protocol, with the destination ports of TCP, UDP and SCTP, or the types of ICMP."""

    text: str
    """As written."""
    proto: str
    """`tcp`, `udp`, `sctp`, `any`; `icmpv4`, `icmpv6`, or `icmp`: that of the packet's IP version."""
    low: int = 0
    high: int = 65535
    name: str = ""
    """Of a named port, which by itself takes nothing: which numbers it means, workloads declare (named_ports.py)."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """IPPROTO_*; 0: any. ICMP means the one that belongs to the packet's IP version."""
        return IN_RULES[self.proto]


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
    """It holds only where the workload opens (egress), or is opened to (ingress); None: at both ends."""
    stage: bool = False
    """Flows are recorded as what it would make of them; the next rules decide."""


@dataclass(frozen=True)
class Policy:
    """A whole policy. Rules are in order: the first that matches decides."""

    text: str = ""
    """As applied, comments and all."""
    groups: dict[str, Group] = field(default_factory=dict)
    modes: dict[str, Mode] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    deny_rst: bool = False
    """`options: {deny: reset}`: a denied SYN is answered with RST."""
    warnings: tuple[str, ...] = ()
    """What is allowed but surely not meant, each with its path."""


EMPTY = Policy()
"""Before any policy was applied."""
