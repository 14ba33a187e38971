"""Text of a policy (YAML or JSON) → Policy.

In: the author's text. Out: a Policy that keeps it. I/O: none.
Every error is found in one go and told with the path of its field (`rules[2].ports[0]`). What
this version does not enforce (fqdns, apps) is refused by name: a rule that silently lacks a part
would allow more than its author wrote. For the same reason unknown and repeated keys are errors.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pyctl.model.policy import Action, Direction
from pyctl.model.workload import Mode
from pyctl.policy.document import fields, selectors
from pyctl.policy.document.casts import BUILT_IN
from pyctl.policy.document.fields import Notes
from pyctl.policy.document.named_ports import MAX_NUMBERS_PER_NAME
from pyctl.policy.document.networks import Network, outside
from pyctl.policy.document.text import load
from pyctl.policy.document.types import (
    ANY,
    API_VERSION,
    MAX_GROUPS,
    MAX_RULES,
    Group,
    Policy,
    PortSpec,
    Rule,
)

_RULE = (
    *("id", "from", "to", "direction", "ports", "apps"),
    *("action", "comment", "enabled", "stage"),
)
MAX_EXCEPTS = 10_000
"""Of all groups: one in a large network is cut into as many networks as bits are between them."""
_UNSUPPORTED = "not supported by this version"


class Deny(StrEnum):
    """How what is denied is answered."""

    DROP = "drop"
    RESET = "reset"


def parse(text: str) -> Policy:
    """The policy that `text` writes down; UsageError naming every bad field."""
    notes = Notes()
    root = fields.mapping(
        notes,
        "",
        load(text, "the policy"),
        ["apiVersion", "groups", "modes", "rules", "options"],
    )
    if root.get("apiVersion") != API_VERSION:
        found = fields.shown(root.get("apiVersion"))
        notes.error("apiVersion", f"must be {API_VERSION}, not {found}")
    groups = _groups(notes, root.get("groups", {}))
    declared = set(_names(root.get("groups"))) | {ANY}
    modes = _modes(notes, root.get("modes", {}), groups, declared)
    rules = _rules(notes, root.get("rules", []), declared)
    named = {rule.target for _, rule in rules} - declared
    groups |= {name: group for name, group in BUILT_IN.items() if name in named}
    deny_rst = _options(notes, root.get("options", {}))
    for index, rule in rules:
        _meant(notes, f"rules[{index}]", rule, groups)
    _room(notes, [rule for _, rule in rules], groups)
    notes.refuse("the policy has")
    return Policy(
        text=text,
        groups=groups,
        modes=modes,
        rules=tuple(rule for _, rule in rules),
        deny_rst=deny_rst,
        warnings=notes.warnings,
    )


def _names(value: object) -> list[str]:
    """Names of declared groups, bad ones too: a rule must not be blamed for its group."""
    return (
        [key for key in value if isinstance(key, str)]
        if isinstance(value, dict)
        else []
    )


def _groups(notes: Notes, value: object) -> dict[str, Group]:
    groups = {}
    excepts = 0
    for name, content in fields.mapping(notes, "groups", value).items():
        path = f"groups.{name}"
        if name == ANY:
            notes.error(path, "is built in and cannot be defined")
        elif fields.group_name(notes, path, name):
            group = _group(notes, path, name, content)
            if group:
                groups[name] = group
                excepts += len(group.excepts)
    if len(groups) > MAX_GROUPS:
        notes.error("groups", f"are {len(groups)}; at most {MAX_GROUPS}")
    if excepts > MAX_EXCEPTS:
        notes.error("groups", f"have {excepts} exceptions; at most {MAX_EXCEPTS}")
    return groups


def _group(notes: Notes, path: str, name: str, value: object) -> Group | None:
    before = notes.failed
    body = fields.mapping(notes, path, value, ["selector", "cidrs", "except", "fqdns"])
    if "fqdns" in body:
        notes.error(f"{path}.fqdns", _UNSUPPORTED)
    if notes.failed == before and ("selector" in body) == ("cidrs" in body):
        notes.error(path, "must have exactly one of selector and cidrs")
    if "except" in body and "cidrs" not in body:
        notes.error(f"{path}.except", "is for cidrs")
    selector = None
    if "selector" in body:
        selector = selectors.selector(notes, f"{path}.selector", body["selector"])
    cidrs, excepts = (
        _networks(notes, f"{path}.{key}", body[key]) if key in body else ()
        for key in ("cidrs", "except")
    )
    astray = set(outside(excepts, cidrs))
    for index, hole in enumerate(excepts):
        if hole in astray:
            notes.error(f"{path}.except[{index}]", f"{hole} is in none of the cidrs")
    if notes.failed > before:
        return None
    return Group(name, selector, cidrs, excepts)


def _networks(notes: Notes, path: str, value: object) -> tuple[Network, ...]:
    found = [
        fields.cidr(notes, f"{path}[{index}]", item)
        for index, item in enumerate(fields.sequence(notes, path, value))
    ]
    return tuple(network for network in found if network)


def _modes(
    notes: Notes, value: object, groups: dict[str, Group], declared: set[str]
) -> dict[str, Mode]:
    modes = {}
    for name, content in fields.mapping(notes, "modes", value).items():
        path = f"modes.{name}"
        mode = fields.choice(notes, path, content, Mode)
        if name not in declared:
            notes.error(path, "no such group")
        elif name in groups and groups[name].selector is None:
            notes.error(path, "only workloads have a mode, and this group is CIDRs")
        elif mode:
            modes[name] = mode
    return modes


def _rules(notes: Notes, value: object, declared: set[str]) -> list[tuple[int, Rule]]:
    if not isinstance(value, list):
        notes.error("rules", f"must be a list, not {fields.shown(value)}")
        return []
    if len(value) > MAX_RULES:
        notes.error("rules", f"are {len(value)}; at most {MAX_RULES}")
        return []
    rules = []
    first_with: dict[int, int] = {}
    for index, item in enumerate(value):
        rule = _rule(notes, f"rules[{index}]", item, declared)
        if rule is None:
            continue
        if rule.id in first_with:
            other = first_with[rule.id]
            notes.error(f"rules[{index}].id", f"{rule.id} is taken by rules[{other}]")
        first_with.setdefault(rule.id, index)
        rules.append((index, rule))
    return rules


def _rule(notes: Notes, path: str, value: object, declared: set[str]) -> Rule | None:
    body = fields.mapping(notes, path, value, _RULE)
    if not isinstance(value, dict):
        return None
    for key in ("id", "from", "to", "action"):
        if key not in body:
            notes.error(f"{path}.{key}", "is missing")
    if "apps" in body:
        notes.error(f"{path}.apps", _UNSUPPORTED)
    ends = {
        key: _end(notes, f"{path}.{key}", body, key, declared) for key in ("from", "to")
    }
    number = fields.rule_id(notes, f"{path}.id", body["id"]) if "id" in body else None
    action = None
    if "action" in body:
        action = fields.choice(notes, f"{path}.action", body["action"], Action)
    ports = _ports(notes, f"{path}.ports", body.get("ports", [ANY]))
    comment = ""
    if body.get("comment", "") != "":
        comment = fields.text(notes, f"{path}.comment", body["comment"]) or ""
    enabled = fields.flag(notes, f"{path}.enabled", body.get("enabled", True))
    stage = fields.flag(notes, f"{path}.stage", body.get("stage", False))
    direction = None
    if "direction" in body:
        direction = fields.choice(
            notes, f"{path}.direction", body["direction"], Direction
        )
    source, target = ends["from"], ends["to"]
    if number is None or action is None or source is None or target is None:
        return None
    return Rule(
        number, source, target, ports, action, comment, enabled, direction, stage
    )


def _end(
    notes: Notes, path: str, body: Any, key: str, declared: set[str]
) -> str | None:
    """The group at one end of a rule."""
    if key not in body:
        return None
    name = fields.text(notes, path, body[key])
    if name is None or name in declared or (key == "to" and name in BUILT_IN):
        return name
    if name in BUILT_IN:
        notes.error(path, f"nothing is sent from {name}: it can stand in `to` alone")
    else:
        notes.error(path, f"no such group: {fields.shown(name)}")
    return None


def _ports(notes: Notes, path: str, value: object) -> tuple[PortSpec, ...]:
    found = [
        fields.port_spec(notes, f"{path}[{index}]", item)
        for index, item in enumerate(fields.sequence(notes, path, value))
    ]
    return tuple(spec for spec in found if spec)


def _options(notes: Notes, value: object) -> bool:
    body = fields.mapping(notes, "options", value, ["deny"])
    if "deny" not in body:
        return False
    return fields.choice(notes, "options.deny", body["deny"], Deny) is Deny.RESET


def _room(notes: Notes, rules: list[Rule], groups: dict[str, Group]) -> None:
    """Each number of a named port will be a rule and a group."""
    named = sum(bool(spec.name) for rule in rules for spec in rule.ports)
    free = min(MAX_RULES - len(rules), MAX_GROUPS - len(groups))
    room = free // (MAX_NUMBERS_PER_NAME + 1)
    if named > max(0, room):
        notes.error(
            "rules",
            f"give {named} ports by a name: there is room for {room}, each for {MAX_NUMBERS_PER_NAME} numbers",
        )


def _meant(notes: Notes, path: str, rule: Rule, groups: dict[str, Group]) -> None:
    """Warn of what no workload can be concerned by."""
    ends = [groups.get(name) for name in (rule.source, rule.target)]
    no_port = [spec.text for spec in rule.ports if spec.name]
    for text in no_port:
        if text.partition("/")[2][0].isdigit():
            notes.warn(
                path, f"{text} is taken for the name of a port, not for a number"
            )
    if no_port and ends[1] is not None and ends[1].selector is None:
        notes.warn(
            path,
            f"{', '.join(no_port)} is a name, and addresses declare none: it stands for nothing there; "
            "write the number",
        )
    if any(end is not None and end.built_in for end in ends):
        return
    if all(end is not None and end.selector is None for end in ends):
        notes.warn(path, "names no workload: it holds only for workloads in its CIDRs")
