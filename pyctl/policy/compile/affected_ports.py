"""Whose verdicts a change can touch: these ports get a new generation, the others keep their caches.

In: what is compiled before and after. Out: port ids. I/O: none.

A flow is judged otherwise only if it matches a rule that came, went or moved, or one of whose ends
means others by now. So it has an end in such a rule, and every port that may be that end is named:
too many are never wrong, too few would leave a verdict of the former policy in force. Above all an
address that passes from one workload to another changes the groups of both, and so each port that a
rule lets, or does not let, talk to either.

So who joins a group that `any` may talk to concerns every port, though hardly one will have a flow with it:
containers are attached while they run, and an address may have been another's, so any port can have one
that was decided by what the address was then. Only the engine knows which have; it is not asked. But a rule
that is judged at one end alone concerns nobody at the other: with `direction: ingress`, who joins concerns
itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network

from pyctl.model.policy import Direction, NodePolicy, NodeRule
from pyctl.policy.compile.compiler import Compiled, difference
from pyctl.policy.document.networks import Network
from pyctl.policy.document.resolve import Address
from pyctl.policy.document.types import ANY

_SHARED = tuple(
    map(
        ip_network,
        ("224.0.0.0/4", "255.255.255.255/32", "0.0.0.0/32", "ff00::/8", "::/128"),
    )
)
"""Nobody's own, and in a packet at anybody's port: what is sent to a group though in a frame for one,
and what who has no address yet sends."""


def affected_ports(before: Compiled, after: Compiled) -> set[int]:
    """Ids of the ports in `after` that may be judged otherwise than in `before`."""
    old, new = _World(before), _World(after)
    where = difference(before, after)
    moved = _moved(before, after, where.addresses)
    redefined = _redefined(before.node, after.node)
    touched = set(_ends(before.node, moved, redefined))
    if before.node is not after.node:
        touched.update(_ends(after.node, moved, redefined))
        touched |= _changed_rules(before, after)
    found = {
        port_id
        for port_id in where.ports
        if old.groups(port_id) != new.groups(port_id)
        or before.own.get(port_id) != after.own.get(port_id)
    }
    if touched:
        found |= old.ports_in(touched) | new.ports_in(touched)
    return found & after.members.ports.keys()


def rule_count(compiled: Compiled, port_id: int) -> int:
    """How many rules have this port at an end."""
    world = _World(compiled)
    names = compiled.node.groups
    inside = {name for name in names if port_id in world.ports_in({name}, {port_id})}
    return len(
        {
            rule.rule_id
            for rule in compiled.node.rules
            if names[rule.source] in inside or names[rule.target] in inside
        }
    )


@dataclass(frozen=True)
class _World:
    """What is compiled, by names of groups: their numbers are another policy's tomorrow."""

    of: Compiled

    def groups(self, port_id: int) -> frozenset[str]:
        """That select the port's workload; none where there is no such port."""
        names = self.of.node.groups
        return frozenset(names[n] for n in self.of.members.ports.get(port_id, ()))

    def ports_in(
        self, groups: Collection[str], among: Collection[int] | None = None
    ) -> set[int]:
        """The ports (`among` these; None: all) that may be in one of these groups."""
        names, members = self.of.node.groups, self.of.members.ports
        numbers = {number for number, name in enumerate(names) if name in groups}
        nets = [net for n in numbers for net in self.of.node.cidrs.get(n, ())]
        shared = any(net.overlaps(one) for net in nets for one in _SHARED)
        return {
            port_id
            for port_id in (members if among is None else members.keys() & among)
            if not numbers.isdisjoint(members[port_id])
            or shared
            or (nets and self._may_be_in(port_id, nets))
        }

    def _may_be_in(self, port_id: int, nets: Iterable[Network]) -> bool:
        own = self.of.own[port_id]
        return own is None or any(ip in net for ip in own for net in nets)


def _moved(before: Compiled, after: Compiled, addresses: Iterable[Address]) -> set[str]:
    """Groups that gained or lost one of these addresses of workloads. To be known at all is no group:
    a CIDR rule goes on as it did for an address that a workload without groups gets.
    """
    old, new = before.members, after.members
    same = before.node.groups == after.node.groups
    found: set[str] = set()
    for ip in addresses:
        if same and old.of_address(ip) == new.of_address(ip):
            continue
        was = _named_groups(before, ip)
        now = _named_groups(after, ip)
        # What one may do by an address that it shares depends on the others' groups, too.
        found |= was | now if ip in old.shared or ip in new.shared else was ^ now
    return found - {ANY}


def _named_groups(of: Compiled, ip: Address) -> set[str]:
    holders = of.members.of_address(ip)
    return {of.node.groups[n] for one in holders for n in one.groups}


def _redefined(before: NodePolicy, after: NodePolicy) -> set[str]:
    """Groups whose CIDRs are others by now."""
    if before is after:
        return set()
    old = {before.groups[number]: nets for number, nets in before.cidrs.items()}
    new = {after.groups[number]: nets for number, nets in after.cidrs.items()}
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _ends(node: NodePolicy, moved: set[str], redefined: set[str]) -> Iterator[str]:
    """The ends of rules across from a group that has other members, and both of a redefined one."""
    if not moved and not redefined:
        return
    for rule in node.rules:
        source, target = node.groups[rule.source], node.groups[rule.target]
        if source in redefined or target in redefined:
            yield from _judging((source, target, rule))
        if source in moved and rule.direction is not Direction.EGRESS:
            yield target
        if target in moved and rule.direction is not Direction.INGRESS:
            yield source


def _judging(named: _Rule) -> Iterator[str]:
    """The ends at which the rule is judged."""
    source, target, rule = named
    if rule.direction is not Direction.INGRESS:
        yield source
    if rule.direction is not Direction.EGRESS:
        yield target


def _changed_rules(before: Compiled, after: Compiled) -> set[str]:
    """Where the rules are judged that came, went, or stand in another order than before."""
    old, new = _by_names(before.node), _by_names(after.node)
    old_set, new_set = set(old), set(new)
    changed = old_set ^ new_set
    kept_old = [rule for rule in old if rule in new_set]
    kept_new = [rule for rule in new if rule in old_set]
    if kept_old != kept_new:
        changed |= set(_between(kept_old, kept_new))
    return {end for rule in changed for end in _judging(rule)}


def _between(one: list[_Rule], other: list[_Rule]) -> list[_Rule]:
    """What is left of both without their common head and tail."""
    head = 0
    while one[head] == other[head]:
        head += 1
    tail = 1
    while one[-tail] == other[-tail]:
        tail += 1
    return one[head : len(one) - tail + 1] + other[head : len(other) - tail + 1]


_Rule = tuple[str, str, NodeRule]


def _by_names(node: NodePolicy) -> list[_Rule]:
    """A rule's numbers of groups say nothing in another policy: only their names do."""
    return [
        (
            node.groups[rule.source],
            node.groups[rule.target],
            replace(rule, source=0, target=0),
        )
        for rule in node.rules
    ]
