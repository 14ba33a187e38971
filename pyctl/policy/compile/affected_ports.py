"""Whose verdicts a change can touch: these ports get a new generation, the others keep their caches.

In: what is compiled before and after. Out: port ids. I/O: none.

A flow's verdict changes only if the flow matches a rule that was added, removed or moved, or a rule one of
whose ends has other members now. Such a flow has an end in the rule, so every port that may be that end is
named: too many do no harm, too few would leave a verdict of the former policy in force. When an address moves
from one workload to another, the groups of both change, and with them each port that a rule allows or denies
to talk to either.

So a workload that joins a group that `any` may talk to affects every port, though hardly any has a flow with
it: containers are attached while they run, and their address may have been another's, so any port can have a
flow that was decided for the former holder. Only the engine knows which ports do; it is not asked. A rule
that is judged at one end alone does not affect the other: with `direction: ingress`, the joining workload
affects only itself.
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
"""Addresses that belong to nobody and may be in a packet at any port: groups (also in a unicast frame), and
the source of a host without an address."""


def affected_ports(before: Compiled, after: Compiled) -> set[int]:
    """Return the ids of the ports in `after` that may be judged differently than in `before`."""
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
    """Return how many rules have this port at one of their ends."""
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
    """A compiled policy seen by names of groups: their numbers differ from policy to policy."""

    of: Compiled

    def groups(self, port_id: int) -> frozenset[str]:
        """Return the groups that select the port's workload; none where there is no such port."""
        names = self.of.node.groups
        return frozenset(names[n] for n in self.of.members.ports.get(port_id, ()))

    def ports_in(
        self, groups: Collection[str], among: Collection[int] | None = None
    ) -> set[int]:
        """Return the ports (`among` these; None: all) that may be in one of these groups."""
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
    """Return the groups that gained or lost one of these workload addresses. Being known adds no group: a
    CIDR rule still applies to an address of a workload without groups.
    """
    old, new = before.members, after.members
    same = before.node.groups == after.node.groups
    found: set[str] = set()
    for ip in addresses:
        if same and old.of_address(ip) == new.of_address(ip):
            continue
        was = _named_groups(before, ip)
        now = _named_groups(after, ip)
        # What a workload may do with a shared address depends on the other holders' groups, too.
        found |= was | now if ip in old.shared or ip in new.shared else was ^ now
    return found - {ANY}


def _named_groups(of: Compiled, ip: Address) -> set[str]:
    holders = of.members.of_address(ip)
    return {of.node.groups[n] for one in holders for n in one.groups}


def _redefined(before: NodePolicy, after: NodePolicy) -> set[str]:
    """Return the groups whose CIDRs or names have changed."""
    if before is after:
        return set()
    old, new = (
        {
            node.groups[number]: content
            for number, content in (*node.cidrs.items(), *node.fqdns.items())
        }
        for node in (before, after)
    )
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _ends(node: NodePolicy, moved: set[str], redefined: set[str]) -> Iterator[str]:
    """Yield the ends opposite a group whose members changed, and both ends of redefined groups' rules."""
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
    """Yield the groups at whose end the rule is judged."""
    source, target, rule = named
    if rule.direction is not Direction.INGRESS:
        yield source
    if rule.direction is not Direction.EGRESS:
        yield target


def _changed_rules(before: Compiled, after: Compiled) -> set[str]:
    """Return the groups that judge rules which were added, removed or reordered."""
    old, new = _by_names(before.node), _by_names(after.node)
    old_set, new_set = set(old), set(new)
    changed = old_set ^ new_set
    kept_old = [rule for rule in old if rule in new_set]
    kept_new = [rule for rule in new if rule in old_set]
    if kept_old != kept_new:
        changed |= set(_between(kept_old, kept_new))
    return {end for rule in changed for end in _judging(rule)}


def _between(one: list[_Rule], other: list[_Rule]) -> list[_Rule]:
    """Return what is left of both lists without their common head and tail."""
    head = 0
    while one[head] == other[head]:
        head += 1
    tail = 1
    while one[-tail] == other[-tail]:
        tail += 1
    return one[head : len(one) - tail + 1] + other[head : len(other) - tail + 1]


_Rule = tuple[str, str, NodeRule]


def _by_names(node: NodePolicy) -> list[_Rule]:
    """Return the rules with group names in place of numbers, which mean nothing in another policy."""
    return [
        (
            node.groups[rule.source],
            node.groups[rule.target],
            replace(rule, source=0, target=0),
        )
        for rule in node.rules
    ]
