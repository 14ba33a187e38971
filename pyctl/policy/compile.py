"""Policy + attached workloads → what each port enforces.

In: a Policy, the workloads. Out: PortPolicy by port id. I/O: none.

A rule `from A to B` says: traffic whose source is in A and whose destination is in B. A port of a
member of A gets it as an egress rule with B's addresses as the peer, a port of a member of B as an
ingress rule with A's; both keep the rule's id, so a verdict names the author's rule. Where both
ends are attached, both judge, and they agree, since both derive from the same text.

A port is inside a CIDR group by its own addresses. A PortRule does not name the own address, so
for a port that is only partly inside, the safe side is taken: `allow` needs all of the family's
addresses inside, `deny` needs one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from pyctl.model.policy import Action, Direction, PortPolicy, PortRule
from pyctl.model.workload import Mode, Workload
from pyctl.policy.document import ANY, Network, Policy, PortSpec, Rule
from pyctl.policy.resolve import (
    Address,
    addresses,
    effective_mode,
    groups_of,
    known_addresses,
    networks,
)

_BOTH = frozenset((4, 6))
EVERYBODY = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


@dataclass(frozen=True)
class _End:
    """A port as one end of rules."""

    own: tuple[Address, ...]
    known: tuple[Address, ...]
    """Those of `own` by which others know it."""
    groups: frozenset[str]
    """Whose selector takes its workload."""

    def families(self, policy: Policy, group: str, action: Action) -> frozenset[int]:
        """The IP versions in which this port is in the group."""
        if group == ANY or group in self.groups:
            return _BOTH
        cidrs = policy.groups[group].cidrs
        if not cidrs:
            return frozenset()
        return frozenset(v for v in (4, 6) if self._inside(cidrs, action, v))

    def _inside(self, cidrs: tuple[Network, ...], action: Action, version: int) -> bool:
        own = [ip for ip in self.own if ip.version == version]
        if action is Action.ALLOW:
            own = [ip for ip in self.known if ip.version == version] or own
        # `in` is false across versions.
        inside = [any(ip in cidr for cidr in cidrs) for ip in own]
        return any(inside) and (action is Action.DENY or all(inside))


def compile_policy(
    policy: Policy, workloads: Iterable[Workload]
) -> dict[int, PortPolicy]:
    """The whole node's compiled policy, by port id."""
    attached = tuple(workloads)
    places = networks(policy, attached)
    compiled = {}
    for workload in attached:
        mode = effective_mode(policy, workload).mode
        groups = frozenset(groups_of(policy, workload))
        for port in workload.ports:
            end = _End(addresses(port), known_addresses(port), groups)
            rules = tuple(_port_rules(policy, end, places))
            compiled[port.port_id] = PortPolicy(
                port_id=port.port_id,
                mode=mode,
                mac=port.mac,
                rules=rules,
                default=_default(mode),
                deny_rst=policy.deny_rst,
            )
    return compiled


def _default(mode: Mode) -> Action:
    """Monitor judges as protect would; that it lets all pass is the engine's business."""
    return Action.ALLOW if mode is Mode.DISCOVER else Action.DENY


def _port_rules(
    policy: Policy, end: _End, places: dict[str, tuple[Network, ...]]
) -> Iterator[PortRule]:
    """The author's order is kept; within one rule the order does not matter."""
    for rule in policy.rules:
        if not rule.enabled:
            continue
        own = end.families(policy, rule.source, rule.action)
        yield from _directed(rule, Direction.EGRESS, own, rule.target, places)
        own = end.families(policy, rule.target, rule.action)
        yield from _directed(rule, Direction.INGRESS, own, rule.source, places)


def _directed(
    rule: Rule,
    direction: Direction,
    own: frozenset[int],
    other: str,
    places: dict[str, tuple[Network, ...]],
) -> Iterator[PortRule]:
    if not own:
        return
    peers = _peers(own, other, places)
    for spec in rule.ports:
        for peer in peers:
            for proto in _protocols(spec, peer):
                yield PortRule(
                    rule_id=rule.id,
                    direction=direction,
                    peer=peer,
                    proto=proto,
                    port_lo=spec.low,
                    port_hi=spec.high,
                    action=rule.action,
                )


def _peers(
    own: frozenset[int], other: str, places: dict[str, tuple[Network, ...]]
) -> tuple[Network | None, ...]:
    """Source and destination of a packet are of one IP version: peers of another drop out."""
    if other != ANY:
        return tuple(net for net in places[other] if net.version in own)
    if own == _BOTH:
        return (None,)
    return tuple(EVERYBODY[version] for version in sorted(own))


def _protocols(spec: PortSpec, peer: Network | None) -> tuple[int, ...]:
    """ICMP is another protocol in IPv6; for any peer it is both."""
    if peer is not None:
        return (spec.number(peer.version),)
    return tuple(sorted({spec.number(4), spec.number(6)}))
