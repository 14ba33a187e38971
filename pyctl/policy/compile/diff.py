"""What a new policy changes, in sentences for people.

In: two policies, or two compiled ones. Out: sentences; ids of ports. I/O: none.
`policy apply --dry-run` shows the sentences; the agent publishes new generations for the ports.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import TypeVar

from pyctl.model.sensors.sensor import Sensor
from pyctl.model.threats import ThreatAction
from pyctl.policy.compile.affected_ports import affected_ports
from pyctl.policy.compile.compiler import Compiled
from pyctl.policy.document.conditions.http import http_text
from pyctl.policy.document.conditions.tls import tls_text
from pyctl.policy.document.settings.sensors import sensor_text
from pyctl.policy.document.types import Expression, Group, Policy, Rule

K = TypeVar("K")
V = TypeVar("V")


def changes(before: Policy, after: Policy) -> list[str]:
    """Return a line for each change to groups, modes, options, then rules; [] where both mean the same."""
    found = []
    found += _mapping("group", before.groups, after.groups, _group_text)
    found += _mapping("mode of", before.modes, after.modes, str)
    found += _mapping("threats of", before.threats, after.threats, _threats_text)
    found += _mapping("sensor", _sensors(before), _sensors(after), sensor_text)
    if before.deny_rst != after.deny_rst:
        word = {False: "drop", True: "reset"}
        found.append(f"option deny: {word[before.deny_rst]} → {word[after.deny_rst]}")
    old = {rule.id: rule for rule in before.rules}
    new = {rule.id: rule for rule in after.rules}
    found += _mapping("rule", old, new, rule_text)
    kept_before = [key for key in old if key in new]
    kept_after = [key for key in new if key in old]
    above = dict(zip(kept_after[1:], kept_after, strict=False))
    for key in moved(kept_before, kept_after):
        place = f"after rule {above[key]}" if key in above else "before all others"
        found.append(f"rule {key} moves: {place}")
    return found


def changed_ports(before: Compiled, after: Compiled) -> list[int]:
    """Return the ids of ports in `after` that are new or may be judged differently, ascending."""
    heads = {key for key in after.ports if before.ports.get(key) != after.ports[key]}
    return sorted(heads | affected_ports(before, after))


def rule_text(rule: Rule) -> str:
    """Return a rule as one line of text."""
    ports = ", ".join(spec.text for spec in rule.ports)
    apps = f" apps {', '.join(rule.apps)}" if rule.apps else ""
    unknown = f" (unknown: {rule.app_unknown})" if rule.app_unknown else ""
    asks = tls_text(rule.tls) + http_text(rule.http)
    end = f" at {rule.direction}" if rule.direction else ""
    off = "" if rule.enabled else " (disabled)"
    stage = " (staged)" if rule.stage else ""
    return f"{rule.action} {rule.source} → {rule.target} {ports}{apps}{asks}{unknown}{end}{stage}{off}"


def _sensors(policy: Policy) -> dict[str, Sensor]:
    return {one.name: one for one in policy.sensors}


def _threats_text(settings: Mapping[str, ThreatAction]) -> str:
    return ", ".join(f"{name} {action}" for name, action in sorted(settings.items()))


def _group_text(group: Group) -> str:
    if group.built_in:
        return "built in"
    if group.fqdns:
        return ", ".join(group.fqdns) + ("" if group.verify else " (not verified)")
    if group.selector is None:
        nets = ", ".join(str(net) for net in group.cidrs)
        holes = ", ".join(str(net) for net in group.excepts)
        return f"{nets} except {holes}" if holes else nets
    selector = group.selector
    parts = [f"name {selector.name}"] if selector.name is not None else []
    parts += [f"label {key}={value}" for key, value in selector.labels]
    parts += [f"image {selector.image}"] if selector.image is not None else []
    parts += [f"runtime {selector.runtime}"] if selector.runtime is not None else []
    if selector.namespace is not None:
        parts.append(f"namespace {selector.namespace}")
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


def moved(before: list[int], after: list[int]) -> list[int]:
    """Return the fewest ids that have to move, in the order of `after`: all that are not in the longest
    subsequence that both lists share.
    """
    place = {key: number for number, key in enumerate(before)}
    ends: list[int] = []
    """For each length, the place in `before` of the earliest end of a subsequence of that length."""
    row: list[int] = []
    """For each id in `after`, the length of the subsequence that it ends."""
    for key in after:
        length = bisect_left(ends, place[key])
        ends[length : length + 1] = [place[key]]
        row.append(length)
    stay = set()
    length = len(ends) - 1
    for key, own in zip(reversed(after), reversed(row), strict=True):
        if own == length:
            stay.add(key)
            length -= 1
    return [key for key in after if key not in stay]
