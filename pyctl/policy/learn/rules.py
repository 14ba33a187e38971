"""Recorded flows → rules that allow them, in the policy's own format.

In: observed flows, the policy in force, the attached workloads. Out: Learned: a whole policy.
I/O: none.

The policy in force stays, rules and all: what is learned stands behind its rules, and only what they
leave to the mode is learned. Ends that are workloads are groups of workloads (replica_groups.py), others
are groups of addresses: those that were seen with the very same services at one end are one group, so
that no rule allows more than was seen but for the copies of a workload, and for wider networks where
these are asked for. What is no service's port is left out: a port of the ephemeral range that was
used once, beside many such.

Where a workload forwards for others, each end knows the flow by other addresses and judges by these
(replay.py), so there is a rule for each end's view.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from itertools import count

from pyctl.model.apps import NUMBERS
from pyctl.model.protocols import WITH_PORTS
from pyctl.model.workload import Workload
from pyctl.policy.document.casts import BUILT_IN
from pyctl.policy.document.networks import Network
from pyctl.policy.document.types import Policy, Selector
from pyctl.policy.evaluate.observed import End, Observed
from pyctl.policy.evaluate.replay import Replay, names_of
from pyctl.policy.learn.learn_filter import LeftOut, Why, learn_filter
from pyctl.policy.learn.ports import Services, specs
from pyctl.policy.learn.replica_groups import Naming, place

FIRST_ID = 10000
EPHEMERAL = 32768
"""From this port on Linux picks source ports for initiators."""
MANY = 3
"""The most ephemeral ports between two ends; of more, those used only once are no services."""
IPV6_PREFIX = 64
"""The prefix length of IPv6 networks where networks are asked for: a subnet."""


@dataclass
class Tally:
    """What was seen of one service."""

    flows: int = 0
    last: float = 0.0
    apps: set[str | None] = field(default_factory=set)
    """The applications of the flows; None: of some it is not certain."""

    def add(self, flows: int, last: float, apps: Iterable[str | None]) -> None:
        """Count more flows of the service, the latest at `last`."""
        self.flows += flows
        self.last = max(self.last, last)
        self.apps.update(apps)


@dataclass(frozen=True)
class LearnedRule:
    """A rule that allows `source` to open `services` at `target`; both are names of groups."""

    id: int
    source: str
    target: str
    services: Services
    seen: Tally

    @property
    def ports(self) -> list[str]:
        """Return the ports as a policy writes them."""
        return specs(self.services)

    @property
    def apps(self) -> list[str]:
        """Return the applications that the rule is for; [] for whatever it is, if not every flow's is certain."""
        named = [name for name in NUMBERS if name in self.seen.apps]
        return named if len(named) == len(self.seen.apps) else []


@dataclass
class Learned:
    """Rules learned from flows, and the flows left out."""

    rules: list[LearnedRule] = field(default_factory=list)
    selectors: dict[str, Selector] = field(default_factory=dict)
    """Groups that must be made for the rules."""
    networks: dict[str, tuple[Network, ...]] = field(default_factory=dict)
    """Networks of groups that must be made for the rules."""
    flows: int = 0
    """The number of flows that the rules stand for."""
    left_out: LeftOut = field(default_factory=LeftOut)

    def only(self, group: str) -> Learned:
        """Return the rules that have the group at an end, with the groups that they use."""
        rules = [rule for rule in self.rules if group in {rule.source, rule.target}]
        used = {end for rule in rules for end in (rule.source, rule.target)}
        return replace(
            self,
            rules=rules,
            selectors={k: v for k, v in self.selectors.items() if k in used},
            networks={k: v for k, v in self.networks.items() if k in used},
            flows=sum(rule.seen.flows for rule in rules),
        )


_Side = str | Network
"""A group's name, or an address that is nobody's."""
_Seen = dict[tuple[_Side, _Side], dict[tuple[str, int], Tally]]


def learn(
    flows: Iterable[Observed],
    policy: Policy,
    workloads: Collection[Workload],
    *,
    prefix: int | None = None,
    apps: bool = False,
) -> Learned:
    """Return learned rules. `prefix`: IPv4 addresses become networks of that length, IPv6 ones /64. `apps`: rules
    name the applications of their flows, where each flow's is certain.
    """
    learned = Learned()
    replay = Replay(policy, workloads)
    kept = learn_filter(flows, replay, learned.left_out)
    naming = Naming({*policy.groups, *BUILT_IN})
    names = names_of(pair for flow in kept for pair in replay.known_as(flow))
    placed = place(policy, workloads, names, naming)
    seen: _Seen = {}
    for flow in _services(kept, placed.group, learned.left_out):
        pairs = {
            (
                _side(source, placed.group, policy, prefix),
                _cast(replay, target)
                or _side(_nobody(replay, target), placed.group, policy, prefix),
            )
            for source, target in replay.known_as(flow)
        }
        for ends in pairs:
            tally = seen.setdefault(ends, {}).setdefault(
                (flow.protocol, flow.port or 0), Tally()
            )
            tally.add(flow.flows, flow.last, {flow.app if apps else None})
        learned.flows += flow.flows
    taken = {rule.id for rule in policy.rules}
    free = (number for number in count(FIRST_ID) if number not in taken)
    _make_rules(seen, learned, naming, free)
    used = {end for rule in learned.rules for end in (rule.source, rule.target)}
    learned.selectors = {
        name: selector for name, selector in placed.made.items() if name in used
    }
    return learned


def _services(
    flows: Iterable[Observed], group: Mapping[str, str], out: LeftOut
) -> list[Observed]:
    """Return the flows without those to ports that belong to no service."""
    high: dict[tuple[str, str, str], dict[int, int]] = {}
    flows = list(flows)

    def between(flow: Observed) -> tuple[str, str, str]:
        ends = (flow.source, flow.target)
        left, right = (group.get(end.name or "", end.address) for end in ends)
        return left, right, flow.protocol

    for flow in flows:
        if _is_high(flow):
            ports = high.setdefault(between(flow), {})
            ports[flow.port or 0] = ports.get(flow.port or 0, 0) + flow.flows
    kept = []
    for flow in flows:
        ports = high.get(between(flow), {}) if _is_high(flow) else {}
        if len(ports) > MANY and ports[flow.port or 0] == 1:
            out.add(Why.EPHEMERAL, flow)
        else:
            kept.append(flow)
    return kept


def _is_high(flow: Observed) -> bool:
    return flow.protocol in WITH_PORTS and (flow.port or 0) >= EPHEMERAL


def _cast(replay: Replay, target: End) -> str | None:
    """Return the built-in group of a multicast or broadcast target, unless the policy uses its name otherwise
    or has its own networks around it.
    """
    name = replay.cast(target.ip)
    if name is None:
        return None
    groups = replay.policy.groups.values()
    own = any(
        target.ip in net
        for one in groups
        if not one.built_in
        for net in one.nets
        if net.prefixlen
    )
    meant = replay.policy.groups.get(name, BUILT_IN[name])
    return name if meant.built_in and not own else None


def _nobody(replay: Replay, target: End) -> End:
    """Return the target, without the name of the workload that judged it as one of many."""
    return End(target.address) if replay.cast(target.ip) else target


def _side(
    end: End, group: Mapping[str, str], policy: Policy, prefix: int | None
) -> _Side:
    if end.name is not None:
        return group[end.name]
    address = end.ip
    # Take the narrowest named network; a network of everything names no address.
    fitting = [
        (net.prefixlen, one.name)
        for one in policy.groups.values()
        for net in one.nets
        if net.prefixlen and address in net
    ]
    if fitting:
        return max(fitting)[1]
    length: int = address.max_prefixlen
    if prefix is not None:
        length = prefix if address.version == 4 else IPV6_PREFIX
    return ip_network((address, length), strict=False)


def _make_rules(
    seen: _Seen, learned: Learned, naming: Naming, ids: Iterable[int]
) -> None:
    """Make rules between workloads first, then from addresses, then to them; each kind in order of names."""
    named: dict[tuple[Network, ...], str] = {}

    def name_of(nets: Iterable[Network], wish: str) -> str:
        found = tuple(sorted(nets, key=lambda net: (net.version, net)))
        if found not in named:
            named[found] = naming.new(wish)
            learned.networks[named[found]] = found
        return named[found]

    rows: list[tuple[tuple[object, ...], str, str, Services, Tally]] = []
    for (source, target), tallies in _merged(seen).items():
        services = frozenset(tallies)
        total = Tally()
        for one in tallies.values():
            total.add(one.flows, one.last, one.apps)
        left = source if isinstance(source, str) else ""
        right = target if isinstance(target, str) else ""
        if isinstance(source, tuple):
            left = name_of(source, f"{right or 'learned'}-clients")
        if isinstance(target, tuple):
            right = name_of(target, f"{left}-servers")
        kind = (isinstance(source, tuple), isinstance(target, tuple))
        rows.append(((*kind, left, right), left, right, services, total))
    rows.sort(key=lambda row: (row[0], sorted(row[3])))
    learned.rules = [
        LearnedRule(number, *row[1:]) for number, row in zip(ids, rows, strict=False)
    ]


_Merged = str | tuple[Network, ...]


def _merged(
    seen: _Seen,
) -> dict[tuple[_Merged, _Merged], dict[tuple[str, int], Tally]]:
    """Return the flows with addresses that have the same services at the same other end in one group."""
    alike: dict[tuple[object, ...], list[tuple[_Side, _Side]]] = {}
    for source, target in sorted(seen, key=str):
        services = frozenset(seen[source, target])
        if isinstance(source, str) and isinstance(target, str):
            key: tuple[object, ...] = (source, target)
        elif isinstance(target, str):
            key = ("from", target, services)
        else:
            key = ("to", source, services)
        alike.setdefault(key, []).append((source, target))
    found: dict[tuple[_Merged, _Merged], dict[tuple[str, int], Tally]] = {}
    for pairs in alike.values():
        left = _all_of([source for source, _ in pairs])
        right = _all_of([target for _, target in pairs])
        into = found.setdefault((left, right), {})
        for pair in pairs:
            for service, tally in seen[pair].items():
                into.setdefault(service, Tally()).add(
                    tally.flows, tally.last, tally.apps
                )
    return found


def _all_of(ends: Iterable[_Side]) -> _Merged:
    ends = list(ends)
    if isinstance(ends[0], str):
        return ends[0]
    return tuple(sorted({end for end in ends if not isinstance(end, str)}, key=str))
