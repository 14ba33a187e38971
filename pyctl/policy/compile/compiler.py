"""Policy + attached workloads → what the node enforces.

In: a Policy, the workloads. Out: Compiled. I/O: none.

Rules stay as they are written, with groups as numbers: the engine finds the groups of both ends of a
packet, and the first rule between them decides. So a workload that is added, removed or changes group costs
two or three entries in Members, whatever the rules are; and since one list of rules judges both ends of a
flow, they agree.

Compiling again keeps what one workload gives as the very object that it was, as long as workload and
policy are: so who differs between two results is seen by identity, and all that follows (`affected_ports`,
the steering) looks at those alone. A node's thousandth workload costs what its tenth did.

An end is in a CIDR group by the packet's own address, and in a selector group by its workload, which
the engine knows for its own side by the port and for the other by the address. Of several workloads
that share an address it is one on the port's own closed bridge, where one is; else it cannot be told: what
one of them may not do, none of them does by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pyctl.model.apps import app_bits
from pyctl.model.policy import (
    Action,
    Fqdn,
    Holder,
    Members,
    NodePolicy,
    NodeRule,
    PortMatch,
    PortPolicy,
)
from pyctl.model.sensors.sensor import sensor_bits
from pyctl.model.threats import threat_bits
from pyctl.model.workload import (
    Fail,
    Mode,
    OtherTraffic,
    Port,
    PortPair,
    Service,
    Workload,
)
from pyctl.policy.compile.conditions import condition_of, verified_names
from pyctl.policy.document.casts import BROADCAST, broadcasts_of, with_subnets
from pyctl.policy.document.identity import rule_key
from pyctl.policy.document.named_ports import Declared, PortNames, expand_named_ports
from pyctl.policy.document.resolve import (
    Address,
    addresses,
    effective_mode,
    effective_sensors,
    effective_threats,
    groups_of,
)
from pyctl.policy.document.types import ANY, Policy, Rule


@dataclass(frozen=True)
class Part:
    """What one workload contributes to the compiled policy."""

    workload: Workload
    groups: tuple[int, ...]
    ports: Mapping[int, PortPolicy]
    pairs: Mapping[int, PortPair]
    own: Mapping[int, tuple[Address, ...] | None]
    known: tuple[Address, ...]
    """The addresses by which other workloads know it."""

    @property
    def as_holder(self) -> Holder:
        """Return the Holder that stands for the workload at its addresses."""
        return Holder(self.groups, tuple(sorted(self.workload.closed_segments)))


@dataclass(frozen=True)
class Compiled:
    """The compiled policy that a node enforces."""

    node: NodePolicy = field(default_factory=NodePolicy)
    members: Members = field(default_factory=Members)
    ports: Mapping[int, PortPolicy] = field(default_factory=dict)
    """Mode, default and MAC of each port."""
    own: Mapping[int, tuple[Address, ...] | None] = field(default_factory=dict)
    """The addresses that a port may use: all of its workload's, and its subnets' broadcasts. None: any, the
    workload forwards for others."""
    pairs: Mapping[int, PortPair] = field(default_factory=dict)
    """What the datapath is to do for each port."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """The parts of all the above, by workload id."""


@dataclass(frozen=True)
class Difference:
    """Where one compiled node may differ from another; everything else is the same in both."""

    ports: frozenset[int]
    addresses: frozenset[Address]


def difference(before: Compiled, after: Compiled) -> Difference:
    """Return the ports and addresses of the workloads that were added, removed or changed."""
    old, new = before.parts, after.parts
    other = [part for key, part in new.items() if old.get(key) is not part]
    other += [part for key, part in old.items() if new.get(key) is not part]
    # A port that was added or removed on its own.
    alone = before.members.ports.keys() ^ after.members.ports.keys()
    return Difference(
        frozenset(alone.union(*(part.ports for part in other))),
        frozenset(ip for part in other for ip in part.known),
    )


class Compiler:
    """Compiles one policy for changing workloads; it remembers who is in which groups."""

    def __init__(self, policy: Policy) -> None:
        self.written = policy
        self._port_names = PortNames(policy)
        self._declared = Declared()
        self._start(policy)

    def _start(self, policy: Policy) -> None:
        """Take these rules, and forget what was compiled from others."""
        self.policy = policy
        """The policy with the workloads' ports and subnets (effective.py)."""
        keys = {rule.id: rule_key(rule) for rule in self.written.rules}
        names = (ANY, *policy.groups)
        self._index = {name: number for number, name in enumerate(names)}
        self.node = NodePolicy(
            groups=names,
            cidrs={
                self._index[group.name]: group.nets
                for group in policy.groups.values()
                if group.cidrs
            },
            fqdns={
                self._index[group.name]: tuple(map(_fqdn, group.fqdns))
                for group in policy.groups.values()
                if group.fqdns
            },
            rules=tuple(
                NodeRule(
                    rule_id=rule.id,
                    source=self._index[rule.source],
                    target=self._index[rule.target],
                    ports=ports,
                    action=rule.action,
                    direction=rule.direction,
                    staged=rule.stage,
                    key=keys[rule.id],
                    apps=app_bits(rule.apps),
                    app_unknown=rule.app_unknown,
                    condition=condition_of(
                        rule, keys[rule.id], verified_names(policy, rule)
                    ),
                )
                for rule in policy.rules
                if rule.enabled and (ports := _ports(rule))
            ),
            # What groups do is said of each port.
            sensors=tuple(replace(one, groups={}) for one in policy.sensors),
        )
        self._holders: dict[Address, tuple[str, ...]] = {}
        self._last = Compiled(self.node)

    def compile(self, workloads: Iterable[Workload]) -> Compiled:
        """Return the policy compiled for these workloads. Work for workloads unchanged since the last call is
        reused; if none changed, the same object is returned.
        """
        workloads = list(workloads)
        self._know_ports(workloads)
        former = self._last.parts
        parts: dict[str, Part] = {}
        came: list[Part] = []
        for workload in workloads:
            part = former.get(workload.id)
            if part is None or part.workload is not workload:
                came.append(part := self._part(workload))
            parts[workload.id] = part
        gone = [part for key, part in former.items() if parts.get(key) is not part]
        if came or gone:
            self._know_subnets(parts)
            self._last = self._with(parts, gone, came)
        return self._last

    def _know_ports(self, workloads: list[Workload]) -> None:
        """Let named ports have the numbers these workloads declare. A new one is rare and recompiles all."""
        declared = self._port_names.declared_by(workloads)
        if declared != self._declared:
            self._declared = declared
            self._start(expand_named_ports(self.written, declared))

    def _know_subnets(self, parts: dict[str, Part]) -> None:
        """Let `broadcast` have the subnets of these workloads. A new subnet is rare and changes the rules."""
        self.policy = with_subnets(
            self.policy, [one.workload for one in parts.values()]
        )
        group = self.policy.groups.get(BROADCAST)
        if group is None or not group.built_in:
            return
        number = self._index[BROADCAST]
        if self.node.cidrs[number] != group.nets:
            cidrs = {**self.node.cidrs, number: group.nets}
            self.node = replace(self.node, cidrs=cidrs)

    def _with(
        self, parts: dict[str, Part], gone: list[Part], came: list[Part]
    ) -> Compiled:
        last = self._last
        ports, own, pairs = dict(last.ports), dict(last.own), dict(last.pairs)
        by_port, by_address = dict(last.members.ports), dict(last.members.addresses)
        together = dict(last.members.shared)
        for part in gone:
            for port_id in part.ports:
                for table in (ports, own, pairs, by_port):
                    table.pop(port_id, None)
            self._hold(part, holds=False)
        for part in came:
            ports.update(part.ports)
            own.update(part.own)
            pairs.update(part.pairs)
            by_port.update(dict.fromkeys(part.ports, part.groups))
            self._hold(part, holds=True)
        for ip in {ip for part in (*gone, *came) for ip in part.known}:
            holders = {parts[key].as_holder for key in self._holders.get(ip, ())}
            by_address.pop(ip, None)
            together.pop(ip, None)
            if len({one.groups for one in holders}) > 1:
                together[ip] = tuple(sorted(holders))
            elif holders:
                by_address[ip] = holders.pop().groups
        return Compiled(
            self.node, Members(by_port, by_address, together), ports, own, pairs, parts
        )

    def _hold(self, part: Part, *, holds: bool) -> None:
        """Add or remove the part as a holder of its addresses: two workloads may have the same."""
        name = part.workload.id
        for ip in dict.fromkeys(part.known):
            left = tuple(key for key in self._holders.pop(ip, ()) if key != name)
            if left or holds:
                self._holders[ip] = (*left, name) if holds else left

    def _part(self, workload: Workload) -> Part:
        mode = effective_mode(self.policy, workload).mode
        known = addresses(workload)
        threats = threat_bits(effective_threats(self.policy, workload))
        settings = effective_sensors(self.policy, workload)
        sensors = sensor_bits(self.policy.sensors, settings)
        return Part(
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
                    serves_dhcp=Service.DHCP in workload.serves,
                    segment=port.segment if _tells_apart(workload, port) else 0,
                    threats=threats,
                    sensors=sensors,
                )
                for port in workload.ports
            },
            pairs={
                port.port_id: port_pair(workload, port, mode) for port in workload.ports
            },
            own={
                port.port_id: None
                if workload.any_source
                else (*known, *broadcasts_of(workload))
                for port in workload.ports
            },
            known=known,
        )

    def _groups(self, workload: Workload) -> tuple[int, ...]:
        """Return the workload's group numbers, with that of `any`; () means that there is no workload."""
        names = groups_of(self.policy, workload)
        return (0, *sorted(self._index[name] for name in names))


def port_pair(workload: Workload, port: Port, mode: Mode) -> PortPair:
    """Return what the datapath is to do for one port of a workload in `mode`."""
    passes = {
        OtherTraffic.PASS: True,
        OtherTraffic.DROP: False,
        OtherTraffic.AUTO: mode is not Mode.PROTECT,
    }
    return PortPair(
        port_id=port.port_id,
        vex_ifindex=port.vex_ifindex,
        vin_ifindex=port.vin_ifindex,
        mac=port.mac,
        host_mac=port.host_mac,
        kind=port.kind,
        mode=mode,
        fail=Fail.OPEN if workload.fail is Fail.OPEN else Fail.CLOSED,
        pass_other=passes[workload.other_traffic],
        any_source=workload.any_source,
        xdp=port.xdp,
        addresses=workload.addresses,
        spare=workload.spare,
        serves=workload.serves,
        segment=port.segment,
        owner=workload.ports[0].port_id if workload.ports else port.port_id,
    )


def _ports(rule: Rule) -> tuple[PortMatch, ...]:
    """Return the matches of numbered ports. Named ports are covered by the rules that follow."""
    return tuple(
        PortMatch(number, spec.low, spec.high)
        for spec in rule.ports
        if not spec.name
        for number in spec.numbers
    )


def _fqdn(text: str) -> Fqdn:
    name = text.removeprefix("*.")
    return Fqdn(name, subdomains=name != text)


def _tells_apart(workload: Workload, port: Port) -> bool:
    """Return whether workloads on the port's bridge cannot pose as others."""
    return port.closed and workload.capabilities.source_check


def _default(mode: Mode) -> Action:
    """Return the action where no rule matches. Monitor judges as protect would; the engine lets it pass."""
    return Action.ALLOW if mode is Mode.DISCOVER else Action.DENY
