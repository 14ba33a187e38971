"""What a new policy changes, in sentences for people.

In: two policies, or two compiled ones. Out: sentences; ids of ports. I/O: none.
`policy apply --dry-run` shows the sentences; the agent publishes new generations for the ports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from pyctl.policy.compile import Compiled
from pyctl.policy.concern import concerned
from pyctl.policy.document import Expression, Group, Policy, Rule

K = TypeVar("K")
V = TypeVar("V")


def changes(before: Policy, after: Policy) -> list[str]:
    """Groups, modes, options, then rules; empty where both mean the same."""
    found = []
    found += _mapping("group", before.groups, after.groups, _group_text)
    found += _mapping("mode of", before.modes, after.modes, str)
    if before.deny_rst != after.deny_rst:
        word = {False: "drop", True: "reset"}
        found.append(f"option deny: {word[before.deny_rst]} → {word[after.deny_rst]}")
    old = {rule.id: rule for rule in before.rules}
    new = {rule.id: rule for rule in after.rules}
    found += _mapping("rule", old, new, rule_text)
    kept_before = [key for key in old if key in new]
    kept_after = [key for key in new if key in old]
    if kept_before != kept_after:
        found.append(f"order of rules: {_ids(kept_before)} → {_ids(kept_after)}")
    return found


def changed_ports(before: Compiled, after: Compiled) -> list[int]:
    """Ids of the ports in `after` that are new, or may be judged otherwise, ascending."""
    heads = {key for key in after.ports if before.ports.get(key) != after.ports[key]}
    return sorted(heads | concerned(before, after))


def rule_text(rule: Rule) -> str:
    """A rule in one line."""
    ports = ", ".join(spec.text for spec in rule.ports)
    end = f" at {rule.direction}" if rule.direction else ""
    off = "" if rule.enabled else " (disabled)"
    return f"{rule.action} {rule.source} → {rule.target} {ports}{end}{off}"


def _group_text(group: Group) -> str:
    if group.selector is None:
        nets = ", ".join(str(net) for net in group.cidrs)
        holes = ", ".join(str(net) for net in group.excepts)
        return f"{nets} except {holes}" if holes else nets
    selector = group.selector
    parts = [f"name {selector.name}"] if selector.name is not None else []
    parts += [f"label {key}={value}" for key, value in selector.labels]
    parts += [f"image {selector.image}"] if selector.image is not None else []
    parts += [_expression_text(asked) for asked in selector.expressions]
    return " and ".join(parts)


def _expression_text(asked: Expression) -> str:
    values = f" {', '.join(asked.values)}" if asked.values else ""
    return f"label {asked.key} {asked.operator}{values}"


def _mapping(
    what: str, before: Mapping[K, V], after: Mapping[K, V], show: Callable[[V], str]
) -> list[str]:
    found = []
    for key, value in after.items():
        if key not in before:
            found.append(f"{what} {key} is new: {show(value)}")
        elif show(before[key]) != show(value):
            found.append(f"{what} {key}: {show(before[key])} → {show(value)}")
    gone = [key for key in before if key not in after]
    return found + [f"{what} {key} is gone: {show(before[key])}" for key in gone]


def _ids(ids: list[int]) -> str:
    return ", ".join(str(number) for number in ids)
