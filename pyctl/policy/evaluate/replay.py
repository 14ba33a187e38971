"""What a policy says of recorded flows, fast: explain.py's answer, found once for all that are alike.

In: a Policy, the attached workloads, observed flows. Out: for each flow the rules that may decide.
I/O: none.

An end that was a workload is judged by the groups that this workload has now. One that has gone is
known by its name alone: a group that asks for labels or an image may or may not take it, and then
several rules may decide. So may they where rules are for applications and the flow's was not recorded, or for DNS
names and none was under which the target was looked up. Groups of CIDRs take an end by its address; where the workload
has another one by now, they may or may not.

A workload that forwards for others (any_source) uses addresses that are not its own, and would use
them again. As in the engine (sg_node.c), at its own end it is itself by its port, whatever the address;
the other end knows by the address, and so knows not the forwarder but whoever has that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

from pyctl.model.policy import Direction
from pyctl.model.truth import RuleResult
from pyctl.model.workload import Workload
from pyctl.policy.compile.effective import effective
from pyctl.policy.document.casts import cast_of, subnet_broadcasts
from pyctl.policy.document.resolve import (
    Address,
    addresses,
    groups_of,
    matches,
    possible,
)
from pyctl.policy.document.types import ANY, Policy, Rule, Selector
from pyctl.policy.evaluate.applications import is_open, told_apart, with_action_for
from pyctl.policy.evaluate.explain import explain, says
from pyctl.policy.evaluate.facts import NOTHING
from pyctl.policy.evaluate.looked_up import groups_of_names, groups_with_names
from pyctl.policy.evaluate.observed import End, Observed, Side


@dataclass(frozen=True)
class Groups:
    """The groups of one end."""

    sure: frozenset[str]
    maybe: frozenset[str] = frozenset()
    """Groups that it may be in: what their selectors ask for is not known."""


@dataclass(frozen=True)
class Decided:
    """What the rules say at one end."""

    rules: tuple[Rule | None, ...]
    """The rule that decides, with its action for the flow's application; several where it is not known which. None:
    the default."""
    staged: Rule | None
    """The first staged rule that surely matches: it would decide before them if it were enforced."""


_What = tuple[int, int, int, Direction, str | None]
"""Protocol, port, IP version, the end that judges, application."""
_Each = tuple[Groups, ...]
"""The groups of each workload that an end may be: the strictest answer holds."""
_STRICT = (RuleResult.DENY, RuleResult.NOTHING, RuleResult.ALLOW)


class Replay:
    """One policy, evaluated for many flows with cached results."""

    def __init__(self, policy: Policy, workloads: Iterable[Workload]) -> None:
        workloads = list(workloads)
        self.policy = policy = effective(policy, workloads)
        self.subnets = subnet_broadcasts(workloads)
        self.attached = {one.name: one for one in workloads}
        self._holders: dict[Address, list[Workload]] = {}
        for one in self.attached.values():
            for ip in addresses(one):
                self._holders.setdefault(ip, []).append(one)
        self._nets = _by_length(policy)
        self._groups: dict[tuple[End, str | None, bool], _Each] = {}
        self._rules: dict[tuple[str, str], list[tuple[int, Rule]]] = {}
        for number, rule in enumerate(policy.rules):
            at = (rule.source, rule.target)
            self._rules.setdefault(at, []).append((number, rule))
        self._apps = told_apart(policy.rules)
        self._by_names = groups_with_names(policy)
        self._between: dict[tuple[Groups, Groups], Policy] = {}
        self._known: dict[object, Decided] = {}

    def decided(self, flow: Observed, side: Side) -> Decided:
        """Return what the rules say about the flow at that side."""
        source, target = self._ends(flow, side)
        app = flow.app if self._apps else None
        what = (flow.number, flow.port or 0, flow.version, side.direction)
        key = (source, target, what, app)
        found = self._known.get(key)
        if found is None:
            apps = self._apps if app is None and self._apps else (app,)
            found = _any_of(
                [self._of_holders(source, target, (*what, one)) for one in apps]
            )
            self._known[key] = found
        return found

    def _of_holders(self, source: _Each, target: _Each, what: _What) -> Decided:
        each = (self._decide(*ends, what) for ends in product(source, target))
        return self._strictest(list(each))

    def cast(self, address: Address) -> str | None:
        """Return `multicast` or `broadcast` for an address of many; None for a single host's."""
        return cast_of(address, self.subnets)

    def unknown(self, flow: Observed, side: Side) -> str:
        """Return why several rules may decide."""
        for end, groups in zip(
            (side.source, side.target), self._ends(flow, side), strict=True
        ):
            if any(one.maybe - self._by_names for one in groups):
                if end.name in self.attached:
                    return f"{end.shown} has another address by now"
                return f"{end.shown} has gone, and its labels are not known"
        if any(one.maybe for one in self._ends(flow, side)[1]):
            return f"no name is recorded under which {side.target.shown} was looked up"
        return "its application, or what else it showed, was not recorded"

    def known_as(self, flow: Observed) -> set[tuple[End, End]]:
        """Return source and target as the judging ends know them; several pairs where one forwards."""
        if any(self._forwards(side.own) for side in flow.sides):
            return {(side.source, side.target) for side in flow.sides}
        return {(flow.source, flow.target)}

    def _forwards(self, end: End) -> bool:
        workload = self.attached.get(end.name or "")
        return (
            workload is not None
            and workload.any_source
            and end.ip not in addresses(workload)
        )

    def _ends(self, flow: Observed, side: Side) -> tuple[_Each, _Each]:
        """Return the groups of source and target, as that side knows them."""
        egress = side.direction is Direction.EGRESS
        target = self._of(side.target, side.own.name, own=not egress)
        if egress and self._by_names and not self.cast(side.target.ip):
            target = tuple(self._named(one, flow.looked_up) for one in target)
        return self._of(side.source, side.own.name, own=egress), target

    def _named(self, groups: Groups, names: tuple[str, ...]) -> Groups:
        """Return the groups with those of DNS names; it may be in all of these where no name is recorded."""
        if not names:
            return replace(groups, maybe=groups.maybe | self._by_names)
        return replace(groups, sure=groups.sure | groups_of_names(self.policy, names))

    def _of(self, end: End, by: str | None, *, own: bool) -> _Each:
        found = self._groups.get((end, by, own))
        if found is None:
            found = self._groups_of(end, by, own=own)
            self._groups[end, by, own] = found
        return found

    def _groups_of(self, end: End, by: str | None, *, own: bool) -> _Each:
        """Return the end's groups as the workload named `by` knows it; several where several workloads have
        the address.
        """
        sure = {ANY} | self._around(end.ip)
        if end.name is None:
            return (Groups(frozenset(sure)),)
        workload = self.attached.get(end.name)
        if workload is not None:
            now = addresses(workload)
            known = [workload]
            if not own and (end.ip in now or workload.any_source):
                holders = self._holders.get(end.ip, [])
                known = possible(holders, self.attached.get(by or ""))
            named = [frozenset(groups_of(self.policy, one)) for one in known]
            # A multicast or broadcast address belongs to nobody, so it has not changed.
            cast = own and self.cast(end.ip)
            if not now or end.ip in now or workload.any_source or cast:
                return tuple(Groups(one | sure) for one in named or [frozenset()])
            (by_name,) = named
            # It has other addresses now: its groups of CIDRs may differ.
            around = {ANY}.union(*map(self._around, now))
            maybe_around = frozenset(sure ^ around) - by_name
            return (Groups(by_name | (sure & around), maybe_around),)
        maybe: set[str] = set()
        for group in self.policy.groups.values():
            if group.selector is not None and may_select(group.selector, end.name):
                (sure if is_name_alone(group.selector) else maybe).add(group.name)
        return (Groups(frozenset(sure), frozenset(maybe)),)

    def _around(self, address: Address) -> set[str]:
        """Return the groups of networks that contain the address, by one lookup for each prefix length."""
        found: set[str] = set()
        bits = int(address)
        for (version, length), nets in self._nets.items():
            if version == address.version:
                found |= nets.get(bits >> (address.max_prefixlen - length), set())
        return found

    def _strictest(self, each: list[Decided]) -> Decided:
        """Return the strictest decision among the address's holders, as explain.py does. Where one of them is
        not certain, return all possible results.
        """
        if len(each) == 1:
            return each[0]
        last = len(self.policy.rules)
        place = {rule.id: number for number, rule in enumerate(self.policy.rules)}

        def leniency(rule: Rule | None) -> tuple[int, int]:
            return _STRICT.index(says(rule)), place[rule.id] if rule else last

        def whole(one: Decided) -> tuple[tuple[int, int], int]:
            staged = place[one.staged.id] if one.staged else last
            return leniency(one.rules[0]), staged

        if all(len(one.rules) == 1 for one in each):
            return min(each, key=whole)
        rules = (min(one, key=leniency) for one in product(*(d.rules for d in each)))
        return Decided(tuple(dict.fromkeys(rules)), None)

    def _decide(self, source: Groups, target: Groups, what: _What) -> Decided:
        app = what[-1]

        def sure(rule: Rule | None) -> bool:
            # What a flow showed besides its application is not recorded.
            return rule is None or (
                rule.source in source.sure
                and rule.target in target.sure
                and not is_open(rule, app, NOTHING)
            )

        policy = self._of_both(source, target)
        sources, targets = source.sure | source.maybe, target.sure | target.maybe
        why = explain(policy, sources, targets, *what)
        staged = why.staged if sure(why.staged) else None
        rules = [why.rule]
        while not sure(rule := rules[-1]) and rule is not None:
            at = policy.rules.index(rule)
            policy = replace(policy, rules=policy.rules[at + 1 :])
            rules.append(explain(policy, sources, targets, *what).rule)
        decided = tuple(with_action_for(rule, app) for rule in rules)
        return Decided(decided, with_action_for(staged, app))

    def _of_both(self, source: Groups, target: Groups) -> Policy:
        """Return the policy reduced to the rules between these groups, in their order."""
        found = self._between.get((source, target))
        if found is None:
            numbered = [
                one
                for left in source.sure | source.maybe
                for right in target.sure | target.maybe
                for one in self._rules.get((left, right), ())
            ]
            numbered.sort(key=lambda one: one[0])
            found = replace(self.policy, rules=tuple(rule for _, rule in numbered))
            self._between[source, target] = found
        return found


def _any_of(found: list[Decided]) -> Decided:
    """Return what the rules may say, where it is not known which of these holds."""
    staged = {one.staged and one.staged.id: one.staged for one in found}
    rules = dict.fromkeys(rule for one in found for rule in one.rules)
    return Decided(tuple(rules), staged.popitem()[1] if len(staged) == 1 else None)


def _by_length(policy: Policy) -> dict[tuple[int, int], dict[int, set[str]]]:
    """Return group names by (IP version, prefix length) and then by the prefix's bits."""
    found: dict[tuple[int, int], dict[int, set[str]]] = {}
    for group in policy.groups.values():
        for net in group.nets:
            nets = found.setdefault((net.version, net.prefixlen), {})
            bits = int(net.network_address) >> (net.max_prefixlen - net.prefixlen)
            nets.setdefault(bits, set()).add(group.name)
    return found


def may_select(selector: Selector, name: str) -> bool:
    """Return whether the selector may select a workload of which only the name is known."""
    return selector.name is None or matches(selector.name, name)


def is_name_alone(selector: Selector) -> bool:
    """Return whether the selector asks for nothing but a name."""
    return replace(selector, name=None) == Selector()


def names_of(pairs: Iterable[tuple[End, End]]) -> set[str]:
    """Return the names of all workloads that are an end."""
    return {end.name for pair in pairs for end in pair if end.name is not None}
