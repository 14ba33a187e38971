"""Text of a policy (YAML or JSON) → Policy.

In: the author's text. Out: a Policy that keeps it. I/O: none.
Every error is found in one go and told with the path of its field (`rules[2].ports[0]`). Unknown and
repeated keys are errors: a rule that silently lacks a part would allow more than its author wrote.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pyctl.model.policy import Action, Direction
from pyctl.model.protocols import WITH_APPS
from pyctl.model.workload import Mode
from pyctl.policy.document import field_checks, table
from pyctl.policy.document.casts import BUILT_IN
from pyctl.policy.document.conditions import http, tls
from pyctl.policy.document.field_checks import MAX_RULE_ID, ErrorCollector
from pyctl.policy.document.named_ports import MAX_NUMBERS_PER_NAME
from pyctl.policy.document.networks import Network, outside
from pyctl.policy.document.selectors import SELECTOR
from pyctl.policy.document.settings.draft import Draft, of_workloads
from pyctl.policy.document.settings.sensors import SENSORS
from pyctl.policy.document.settings.threats import THREATS
from pyctl.policy.document.table import Field, Kind, Schema, Table
from pyctl.policy.document.types import (
    ANY,
    API_VERSION,
    MAX_FQDNS,
    MAX_GROUPS,
    MAX_RULES,
    Group,
    Policy,
    Rule,
)
from pyctl.policy.document.yaml_text import load

_WITH_APPS = (*WITH_APPS, ANY)
"""Protocols of rules with apps; `any` stands for tcp and udp there."""
MAX_EXCEPTS = 10_000
"""The most exceptions of all groups: each cuts a large network into as many networks as bits lie between."""


MAX_CONDITIONS = 4096
"""SG_CONDITIONS_MAX: each new connection of TLS is compared with all of them."""


_ASKING = {"tls": tls.APPS, "http": http.APPS}
"""What a rule may ask besides applications, and of which."""


class Deny(StrEnum):
    """How a denied connection is answered."""

    DROP = "drop"
    RESET = "reset"


def parse(text: str) -> Policy:
    """Return the policy that `text` writes down; raise UsageError naming every bad field."""
    notes = Draft()
    found = DOCUMENT.read(notes, "", load(text, "the policy"))
    rules, groups = found["rules"], notes.groups
    named = {rule.target for _, rule in rules} - notes.declared
    groups |= {name: group for name, group in BUILT_IN.items() if name in named}
    for index, rule in rules:
        _meant(notes, f"rules[{index}]", rule, groups)
    _room(notes, [rule for _, rule in rules], groups)
    if sum(bool(rule.tls or rule.http) for _, rule in rules) > MAX_CONDITIONS:
        notes.error("rules", f"at most {MAX_CONDITIONS} may have tls or http")
    notes.refuse("the policy has")
    return Policy(
        text=text,
        groups=groups,
        modes=found["modes"],
        threats=found["threats"],
        sensors=found["sensors"],
        rules=tuple(rule for _, rule in rules),
        deny_rst=found["options"]["deny"] is Deny.RESET,
        warnings=notes.warnings,
    )


def _groups(notes: Draft, path: str, value: object) -> None:
    excepts = fqdns = 0
    for name, content in field_checks.mapping(notes, path, value).items():
        notes.declared.add(name)
        inside = f"{path}.{name}"
        if name == ANY:
            notes.error(inside, "is built in and cannot be defined")
        elif field_checks.group_name(notes, inside, name):
            group = _group(notes, inside, name, content)
            if group:
                notes.groups[name] = group
                excepts += len(group.excepts)
                fqdns += len(group.fqdns)
    if len(notes.groups) > MAX_GROUPS:
        notes.error(path, f"are {len(notes.groups)}; at most {MAX_GROUPS}")
    if excepts > MAX_EXCEPTS:
        notes.error(path, f"have {excepts} exceptions; at most {MAX_EXCEPTS}")
    if fqdns > MAX_FQDNS:
        notes.error(path, f"have {fqdns} names; at most {MAX_FQDNS}")


def _group(notes: ErrorCollector, path: str, name: str, value: object) -> Group | None:
    before = notes.failed
    if isinstance(value, dict):
        kinds = value.keys() & _KINDS
        if len(kinds) != 1 and value.keys() <= {*_KINDS, *_OF_KIND}:
            notes.error(path, f"must have exactly one of {', '.join(_KINDS)}")
        for key, kind in _OF_KIND.items():
            if key in value and kind not in value:
                notes.error(f"{path}.{key}", f"is for {kind}")
    found = _GROUP.read(notes, path, value)
    cidrs, excepts = found["cidrs"] or (), found["except"] or ()
    astray = set(outside(excepts, cidrs))
    for index, hole in enumerate(excepts):
        if hole in astray:
            notes.error(f"{path}.except[{index}]", f"{hole} is in none of the cidrs")
    if notes.failed > before:
        return None
    fqdns = tuple(dict.fromkeys(found["fqdns"] or ()))
    return Group(
        name,
        found["selector"],
        cidrs,
        excepts,
        fqdns,
        verify=found["verify"] is not False,
    )


def _modes(notes: Draft, path: str, value: object) -> dict[str, Mode]:
    return of_workloads(notes, path, value, _MODE, "a mode")


def _rules(notes: Draft, path: str, value: object) -> list[tuple[int, Rule]]:
    if not isinstance(value, list):
        notes.error(path, f"must be a list, not {field_checks.shown(value)}")
        return []
    if len(value) > MAX_RULES:
        notes.error(path, f"are {len(value)}; at most {MAX_RULES}")
        return []
    rules = []
    first_with: dict[int, int] = {}
    for index, item in enumerate(value):
        rule = _rule(notes, f"{path}[{index}]", item)
        if rule is None:
            continue
        if rule.id in first_with:
            other = first_with[rule.id]
            notes.error(f"{path}[{index}].id", f"{rule.id} is taken by {path}[{other}]")
        first_with.setdefault(rule.id, index)
        rules.append((index, rule))
    return rules


def _rule(notes: Draft, path: str, value: object) -> Rule | None:
    found = _RULE.read(notes, path, value)
    for name, key in (("source", "from"), ("target", "to")):
        found[name] = _end(notes, f"{path}.{key}", key, found.pop(key))
    _check_names(notes, path, found)
    found["apps"] = tuple(dict.fromkeys(found["apps"] or ()))
    for name, apps in _ASKING.items():
        if isinstance(value, dict) and name in value:
            found["apps"] = found["apps"] or apps[:1]
    _check_apps(notes, path, found, value)
    if None in [found[key] for key in ("id", "action", "source", "target")]:
        return None
    return Rule(**found)


def _check_names(notes: Draft, path: str, found: dict[str, Any]) -> None:
    """Let a rule to names hold where the flow is opened: nobody else knows what was looked up there."""
    source, target = (notes.groups.get(found[key]) for key in ("source", "target"))
    if source is not None and source.fqdns:
        notes.error(
            f"{path}.from",
            f"{source.name} is names, which tell whom a workload asked for, not who asks: it can stand in `to` alone",
        )
    if target is None or not target.fqdns:
        return
    if found["direction"] is Direction.INGRESS:
        notes.error(
            f"{path}.direction",
            f"{target.name} is names, which only the end that opens has looked up: write egress or leave it out",
        )
    found["direction"] = Direction.EGRESS


def _check_apps(notes: Draft, path: str, found: dict[str, Any], value: object) -> None:
    """Check that what a rule says of applications goes with its other fields."""
    written = value.keys() if isinstance(value, dict) else set()
    if found["app_unknown"] and not {"apps", *_ASKING} & written:
        notes.error(f"{path}.app_unknown", "is for a rule with apps")
    for name, apps in _ASKING.items():
        others = [one for one in found["apps"] if one not in apps]
        if name in written and others:
            notes.error(
                f"{path}.{name}",
                f"is for {', '.join(apps)}, not for {', '.join(others)}",
            )
    for spec in found["ports"] or () if found["apps"] else ():
        if spec.proto not in _WITH_APPS:
            notes.error(
                f"{path}.ports",
                f"{spec.text} carries no application: with apps, {', '.join(_WITH_APPS)}",
            )


def _end(notes: Draft, path: str, key: str, name: str | None) -> str | None:
    """Return the group at one end of a rule; None and an error for one that does not exist."""
    if name is None or name in notes.declared or (key == "to" and name in BUILT_IN):
        return name
    if name in BUILT_IN:
        notes.error(path, f"nothing is sent from {name}: it can stand in `to` alone")
    else:
        notes.error(path, f"no such group: {field_checks.shown(name)}")
    return None


def _room(notes: ErrorCollector, rules: list[Rule], groups: dict[str, Group]) -> None:
    """Check the limits: each number of a named port becomes a rule and a group."""
    named = sum(bool(spec.name) for rule in rules for spec in rule.ports)
    free = min(MAX_RULES - len(rules), MAX_GROUPS - len(groups))
    room = free // (MAX_NUMBERS_PER_NAME + 1)
    if named > max(0, room):
        notes.error(
            "rules",
            f"give {named} ports by a name: there is room for {room}, each for {MAX_NUMBERS_PER_NAME} numbers",
        )


def _meant(
    notes: ErrorCollector, path: str, rule: Rule, groups: dict[str, Group]
) -> None:
    """Warn of a rule that can concern no workload."""
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


_KINDS = ("selector", "cidrs", "fqdns")
_OF_KIND = {"except": "cidrs", "verify": "fqdns"}
"""Further keys of a group, each with the kind that it is for."""
_NETS: Kind[tuple[Network, ...]] = table.items_of(table.NET)
_GROUP = Table(
    Field("selector", SELECTOR),
    Field("cidrs", _NETS),
    Field("except", _NETS),
    Field(
        "fqdns",
        table.items_of(table.FQDN),
        about="addresses by the names under which a workload looked them up; for `to`",
    ),
    Field(
        "verify",
        table.FLAG,
        about="with fqdns: false where the name in TLS, QUIC or HTTP may be another, as of a proxy",
    ),
)
_MODE = table.one_of(Mode)
_RULE = Table(
    Field("id", table.number(1, MAX_RULE_ID), required=True),
    Field("from", table.TEXT, required=True),
    Field("to", table.TEXT, required=True),
    Field(
        "direction",
        table.one_of(Direction),
        about="the one end at which it holds; without it: both",
    ),
    Field("action", table.one_of(Action), required=True),
    Field("ports", table.items_of(table.PORT), default=[ANY]),
    Field(
        "apps",
        table.items_of(table.APP),
        about="the applications that it is for, of tcp and udp; without it: whatever it is",
    ),
    Field(
        "app_unknown",
        table.checked(
            ["allow", "deny"].__contains__,
            "one of allow, deny",
            {"enum": ["allow", "deny"]},
            Action,
        ),
        about="with apps: for a flow whose application stays unknown; without it: no match",
    ),
    Field(
        "tls",
        tls.TLS,
        about="what else a flow must show; without apps it is for TLS",
    ),
    Field(
        "http",
        http.HTTP,
        about="which requests it is for, each one of a connection; apps may be HTTP (HTTP/1, as without apps), WebSocket, HTTP2, gRPC, etcd",
    ),
    Field("comment", table.WORD, default=""),
    Field("enabled", table.FLAG, default=True),
    Field(
        "stage",
        table.FLAG,
        default=False,
        about="recorded as what it would decide; the next rules decide",
    ),
)
_GROUPS: Schema = {
    "type": "object",
    "maxProperties": MAX_GROUPS,
    "propertyNames": {
        "pattern": f"^(?:{field_checks.GROUP_NAME.pattern})$",
        "not": {"const": ANY},
    },
    "additionalProperties": {
        "oneOf": [
            _GROUP.part(["selector"], "selector"),
            _GROUP.part(["cidrs"], "cidrs", "except"),
            _GROUP.part(["fqdns"], "fqdns", "verify"),
        ]
    },
}
DOCUMENT = Table(
    Field("apiVersion", table.const(API_VERSION), required=True),
    Field("groups", Kind(_groups, _GROUPS)),
    Field(
        "modes",
        Kind(_modes, {"type": "object", "additionalProperties": _MODE.schema}),
        default={},
        about="by group; a group named in none: discover",
    ),
    Field(
        "threats",
        THREATS,
        default={},
        about="what is done at each threat, by group; `segctl threats` has the defaults",
    ),
    Field(
        "sensors",
        SENSORS,
        default={},
        about="patterns that are looked for in payload, and what is done where one matches",
    ),
    Field(
        "rules",
        Kind(_rules, {"type": "array", "maxItems": MAX_RULES, "items": _RULE.schema}),
        default=[],
        about="the first that matches decides",
    ),
    Field("options", Table(Field("deny", table.one_of(Deny))).kind, default={}),
)
"""The fields in the order in which they are read: modes and rules name groups."""
