"""Policy + attached workloads → what the node enforces.

In: a Policy, the workloads. Out: Compiled. I/O: none.

Rules stay as they are written, with groups as numbers: the engine finds the groups of both ends of a
packet, and the first rule between them decides. So a workload that comes, goes, or changes group is
two or three entries in Members, whatever the rules are; and since both ends of a flow are judged by
one list of rules, they agree.

An end is in a CIDR group by the packet's own address, and in a selector group by its workload, which
the engine knows for its own side by the port and for the other by the address. Workloads that share
an address are taken to be all of them: it is in the groups of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pyctl.model.policy import (
    Action,
    Members,
    NodePolicy,
    NodeRule,
    PortMatch,
    PortPolicy,
)
from pyctl.model.workload import Mode, Workload
from pyctl.policy.document import ANY, Policy
from pyctl.policy.resolve import (
    Address,
    addresses,
    effective_mode,
    groups_of,
    known_addresses,
)


@dataclass(frozen=True)
class Compiled:
    """All that a node enforces."""

    node: NodePolicy = field(default_factory=NodePolicy)
    members: Members = field(default_factory=Members)
    ports: dict[int, PortPolicy] = field(default_factory=dict)
    """Mode, default and MAC of each port."""
    own: dict[int, tuple[Address, ...] | None] = field(default_factory=dict)
    """Addresses that a port uses; None: any, it forwards for others."""


@dataclass(frozen=True)
class _Part:
    """What one workload gives to it."""

    workload: Workload
    groups: tuple[int, ...]
    ports: dict[int, PortPolicy]
    own: dict[int, tuple[Address, ...] | None]
    known: tuple[Address, ...]
    """Addresses by which others know it."""


class Compiler:
    """One policy, for whatever workloads. It remembers who is in which groups."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        names = (ANY, *policy.groups)
        self._index = {name: number for number, name in enumerate(names)}
        self.node = NodePolicy(
            groups=names,
            cidrs={
                self._index[group.name]: group.nets
                for group in policy.groups.values()
                if group.selector is None
            },
            rules=tuple(
                NodeRule(
                    rule_id=rule.id,
                    source=self._index[rule.source],
                    target=self._index[rule.target],
                    ports=tuple(
                        PortMatch(number, spec.low, spec.high)
                        for spec in rule.ports
                        for number in spec.numbers
                    ),
                    action=rule.action,
                    direction=rule.direction,
                    staged=rule.stage,
                )
                for rule in policy.rules
                if rule.enabled
            ),
        )
        self._known: dict[object, tuple[int, ...]] = {}
        self._parts: dict[str, _Part] = {}

    def compile(self, workloads: Iterable[Workload]) -> Compiled:
        """What holds with these attached. Of those that are as they were when it was asked last,
        nothing is worked out again: of a full node, that is all but one or two.
        """
        ports: dict[int, PortPolicy] = {}
        own: dict[int, tuple[Address, ...] | None] = {}
        by_port: dict[int, tuple[int, ...]] = {}
        by_address: dict[Address, tuple[int, ...]] = {}
        former, self._parts = self._parts, {}
        for workload in workloads:
            part = former.get(workload.id)
            if part is None or part.workload is not workload:
                part = self._part(workload)
            self._parts[workload.id] = part
            ports.update(part.ports)
            own.update(part.own)
            for port_id in part.ports:
                by_port[port_id] = part.groups
            for ip in part.known:
                others = by_address.get(ip, part.groups)
                if others != part.groups:
                    others = tuple(sorted({*others, *part.groups}))
                by_address[ip] = others
        return Compiled(self.node, Members(by_port, by_address), ports, own)

    def _part(self, workload: Workload) -> _Part:
        mode = effective_mode(self.policy, workload).mode
        return _Part(
            workload=workload,
            groups=self._groups(workload),
            ports={
                port.port_id: PortPolicy(
                    port_id=port.port_id,
                    mode=mode,
                    mac=port.mac,
                    rules=None,
                    default=_default(mode),
                    deny_rst=self.policy.deny_rst,
                )
                for port in workload.ports
            },
            own={
                port.port_id: None if workload.any_source else addresses(port)
                for port in workload.ports
            },
            known=tuple(ip for port in workload.ports for ip in known_addresses(port)),
        )

    def _groups(self, workload: Workload) -> tuple[int, ...]:
        """With `any`, so that nobody's are none."""
        labels = tuple(sorted(workload.labels.items()))
        facts = (workload.name, workload.image, workload.runtime, labels)
        found = self._known.get(facts)
        if found is None:
            names = groups_of(self.policy, workload)
            found = (0, *sorted(self._index[name] for name in names))
            self._known[facts] = found
        return found


def compile_policy(policy: Policy, workloads: Iterable[Workload]) -> Compiled:
    """The whole node's compiled policy."""
    return Compiler(policy).compile(workloads)


def _default(mode: Mode) -> Action:
    """Monitor judges as protect would; that it lets all pass is the engine's business."""
    return Action.ALLOW if mode is Mode.DISCOVER else Action.DENY
