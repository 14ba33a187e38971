"""Named ports of rules (`tcp/http`): which number a name stands for, each workload declares.

In: a Policy, workloads. Out: the Policy with numbers beside the names. I/O: none.

A workload declares a number by a label, `segctl.port.NAME=8080` (or `8080-udp`, `8080/udp`). A rule with a name
is followed by one with the same id for every number that a workload of its target declares, to those alone that
declare this one. Addresses without a workload declare none, so in a group of CIDRs a name stands for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pyctl.model.policy import Action
from pyctl.model.protocols import WITH_PORTS
from pyctl.policy.document.resolve import Named, selects
from pyctl.policy.document.types import (
    ANY,
    Expression,
    Group,
    Operator,
    Policy,
    PortSpec,
    Rule,
    Selector,
)

PORT_LABEL = "segctl.port."
MAX_NUMBERS_PER_NAME = 32
"""The most numbers of a name among the workloads of one target; each becomes a rule. Further numbers are
never allowed: a rule that denies the name denies the whole protocol to whoever declares one of them."""
_NUMBER = re.compile(rf"([1-9][0-9]{{0,4}})(?:[/-]({'|'.join(WITH_PORTS)}))?")


class PortName(NamedTuple):
    """A port name as a rule gives it."""

    target: str
    """The rule's group."""
    proto: str
    name: str


@dataclass(frozen=True)
class Declared:
    """The numbers that port names stand for."""

    numbers: Mapping[PortName, tuple[int, ...]] = field(default_factory=dict)
    """The smallest numbers of each name, MAX_NUMBERS_PER_NAME at most."""
    overflowing: frozenset[PortName] = frozenset()
    """The names that have more numbers than that."""


class PortNames:
    """The port names that a policy's rules use. It remembers what each workload declares of them."""

    def __init__(self, policy: Policy) -> None:
        names = dict.fromkeys(
            PortName(rule.target, spec.proto, spec.name)
            for rule in policy.rules
            if rule.enabled
            for spec in rule.ports
            if spec.name
        )
        self._selectors = {
            name: selector
            for name in names
            if (selector := _selector(policy, name.target)) is not None
        }
        self._by_label: dict[tuple[str, str], list[PortName]] = {}
        for name in self._selectors:
            self._by_label.setdefault((name.proto, name.name), []).append(name)
        self._remembered: dict[int, tuple[Named, frozenset[tuple[PortName, int]]]] = {}

    def declared_by(self, workloads: Iterable[Named]) -> Declared:
        """Return the numbers that these workloads declare."""
        if not self._selectors:
            return Declared()
        before, self._remembered = self._remembered, {}
        found: dict[PortName, set[int]] = {}
        for workload in workloads:
            known = before.get(id(workload)) or (workload, self.declared(workload))
            self._remembered[id(workload)] = known
            for name, number in known[1]:
                found.setdefault(name, set()).add(number)
        most = MAX_NUMBERS_PER_NAME
        return Declared(
            {name: tuple(sorted(of))[:most] for name, of in found.items()},
            frozenset(name for name, of in found.items() if len(of) > most),
        )

    def declared(self, workload: Named) -> frozenset[tuple[PortName, int]]:
        """Return what one workload declares."""
        return frozenset(
            (name, number)
            for proto, key, number in declared_ports(workload)
            for name in self._by_label.get((proto, key), ())
            if selects(self._selectors[name], workload)
        )

    def undeclared(self, workloads: Iterable[Named]) -> list[str]:
        """Return the named ports that no workload declares, as a rule writes them."""
        declared = self.declared_by(workloads).numbers
        missing = self._selectors.keys() - declared.keys()
        return sorted({f"{name.proto}/{name.name}" for name in missing})

    def warnings(self, workload: Named, among: Iterable[Named]) -> Iterator[str]:
        """Yield a line for each port that rules name and the workload does not declare."""
        keys = {PORT_LABEL + name for _, name in self._by_label}
        used = {key: workload.labels[key] for key in keys & workload.labels.keys()}
        yield from (f"its label {wrong}" for wrong in wrong_ports(used))
        known = self.declared_by(among)
        for name, number in sorted(self.declared(workload)):
            if number not in known.numbers.get(name, (number,)):
                yield (
                    f"its port {name.proto}/{name.name} is {number}: rules for {name.target} know the "
                    f"{MAX_NUMBERS_PER_NAME} smallest numbers of that name alone, and those that deny it deny "
                    f"it all of {name.proto}"
                )


def expand_named_ports(policy: Policy, declared: Declared) -> Policy:
    """Return the policy with a rule for each number of its named ports."""
    if not declared.numbers:
        return policy
    groups, rules = dict(policy.groups), list[Rule]()
    for rule in policy.rules:
        rules.append(rule)
        for spec in rule.ports if rule.enabled else ():
            for group, ports in _numbered(policy, rule, spec, declared):
                groups[group.name] = group
                rules.append(replace(rule, target=group.name, ports=(ports,)))
    return replace(policy, groups=groups, rules=tuple(rules))


def declared_ports(workload: Named) -> Iterator[tuple[str, str, int]]:
    """Yield protocol, name and number of each port that the workload declares."""
    for key, value in workload.labels.items():
        if key.startswith(PORT_LABEL) and (number := _number(value)):
            yield number[0], key.removeprefix(PORT_LABEL), number[1]


def wrong_ports(labels: Mapping[str, str | None]) -> list[str]:
    """Return what is wrong with the labels that declare ports, a line each; None for a value takes the label away."""
    return [
        f"{key} is {value!r}: no port like 8080 or 8080-udp"
        for key, value in sorted(labels.items())
        if key.startswith(PORT_LABEL) and value is not None and _number(value) is None
    ]


def _number(label_value: str) -> tuple[str, int] | None:
    found = _NUMBER.fullmatch(label_value)
    if found is None or int(found[1]) > 65535:
        return None
    return found[2] or "tcp", int(found[1])


def _numbered(
    policy: Policy, rule: Rule, spec: PortSpec, declared: Declared
) -> Iterator[tuple[Group, PortSpec]]:
    """Yield, for each declared number, the group that declares it and its port; then a group of the rest."""
    name = PortName(rule.target, spec.proto, spec.name)
    numbers, target = declared.numbers.get(name), _selector(policy, rule.target)
    if numbers is None or target is None:
        return
    label = PORT_LABEL + spec.name
    for number in numbers:
        text = f"{spec.text}={number}"
        one = Expression(label, Operator.IN, _label_values(number, spec.proto))
        group = _narrowed(f"{rule.target}:{text}", target, one)
        yield group, PortSpec(text, spec.proto, number, number)
    if name in declared.overflowing and rule.action is not Action.ALLOW:
        known = [value for one in numbers for value in _label_values(one, spec.proto)]
        elsewhere = [f"*[/-]{proto}" for proto in WITH_PORTS if proto != spec.proto]
        exists = Expression(label, Operator.EXISTS)
        other = Expression(label, Operator.NOT_IN, (*known, *elsewhere))
        group = _narrowed(f"{rule.target}:{spec.text}=others", target, exists, other)
        yield group, PortSpec(f"{spec.proto}/any", spec.proto)


def _label_values(number: int, proto: str) -> tuple[str, ...]:
    """Return all label values that mean this number."""
    said = (f"{number}/{proto}", f"{number}-{proto}")
    return (str(number), *said) if proto == "tcp" else said


def _selector(policy: Policy, target: str) -> Selector | None:
    """Return the target group's selector of workloads; None for a group of CIDRs."""
    return Selector() if target == ANY else policy.groups[target].selector


def _narrowed(name: str, among: Selector, *asked: Expression) -> Group:
    """Return the group of workloads for which all this holds. Its name is one that no author can give."""
    return Group(name, replace(among, expressions=(*among.expressions, *asked)))
