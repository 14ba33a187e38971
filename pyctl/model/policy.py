"""Compiled policy: what the engine is given for one port. Parsing is in pyctl.policy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from pyctl.model.workload import Mode


class Direction(StrEnum):
    """As the workload sees it."""

    EGRESS = "egress"
    INGRESS = "ingress"


class Action(StrEnum):
    """What a rule says."""

    ALLOW = "allow"
    DENY = "deny"


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
class PortPolicy:
    """A port's whole policy."""

    port_id: int
    mode: Mode
    mac: str
    rules: tuple[PortRule, ...]
    default: Action
    """For what no rule matches: ALLOW in discover, else DENY (monitor records it and passes)."""
    deny_rst: bool = False
    """A denied SYN is answered with RST instead of silence."""
    cache: bool = True
    """Verdicts go to the kernel's flow map. False for a datapath without one."""
