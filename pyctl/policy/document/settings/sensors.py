"""`sensors:` of a policy: patterns, and what is done where one matches, by group.

In: plain values. Out: sensors, noted errors. I/O: none. Whether a regex compiles, only the library says, when the policy
is applied (pyctl.platform.patterns).
"""

from __future__ import annotations

import re
from typing import Any

from pyctl.model.sensors.sensor import (
    MAX_PATTERNS,
    MAX_REGEX,
    MAX_SENSORS,
    SEVERITIES,
    Confirm,
    Part,
    Pattern,
    Sensor,
    SensorAction,
)
from pyctl.model.sensors.shipped import SHIPPED
from pyctl.policy.document import field_checks, table
from pyctl.policy.document.field_checks import ErrorCollector, shown
from pyctl.policy.document.settings.draft import Draft, of_workloads
from pyctl.policy.document.settings.threats import ACTION
from pyctl.policy.document.table import Field, Kind, Schema, Table

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def _name(notes: ErrorCollector, path: str, value: object) -> str | None:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    notes.error(
        path,
        f"must be 1 to 32 of a-z, 0-9, _ and -, and begin with a letter or digit, not {shown(value)}",
    )
    return None


def _regex(notes: ErrorCollector, path: str, value: object) -> str | None:
    text = field_checks.text(notes, path, value)
    if text is None:
        return None
    if len(text) > MAX_REGEX or "\0" in text:
        notes.error(path, f"is longer than {MAX_REGEX} characters, or has a zero in it")
        return None
    return text


_ID: Kind[str | None] = Kind(
    _name, {"type": "string", "pattern": f"^(?:{_NAME.pattern})$"}
)
_SEVERITY = table.checked(
    SEVERITIES.__contains__, f"one of {', '.join(SEVERITIES)}", {"enum": [*SEVERITIES]}
)
_PATTERN = Table(
    Field("id", _ID, required=True),
    Field(
        "regex",
        Kind(
            _regex,
            {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_REGEX,
                "pattern": r"^[^\0]*$",
            },
        ),
        required=True,
        about="in PCRE's syntax, as far as Hyperscan takes it; flags are written in it: (?i)",
    ),
    Field("part", table.one_of(Part), required=True, about="what it is looked for in"),
    Field("severity", _SEVERITY, default="medium"),
    Field(
        "confirm",
        table.one_of(Confirm),
        about="a second look at what matched; without it a match is a hit",
    ),
)


def _pattern(notes: ErrorCollector, path: str, value: object) -> Pattern | None:
    before = notes.failed
    found = _PATTERN.read(notes, path, value)
    return None if notes.failed > before else Pattern(**found)


_SHIPPED = table.checked(
    lambda value: isinstance(value, str) and value in SHIPPED,
    f"a set that comes with segctl ({', '.join(sorted(SHIPPED)) or 'there is none'})",
    {"enum": sorted(SHIPPED)},
)


def _groups(notes: Any, path: str, value: object) -> dict[str, SensorAction]:
    return of_workloads(notes, path, value, ACTION, "sensors")


_GROUPS: Kind[dict[str, SensorAction]] = Kind(
    _groups,
    {"type": "object", "minProperties": 1, "additionalProperties": ACTION.schema},
)
_SENSOR = Table(
    Field(
        "use", table.items_of(_SHIPPED), about="sets of patterns that come with segctl"
    ),
    Field(
        "patterns",
        table.items_of(Kind(_pattern, _PATTERN.schema)),
        about="its own patterns, each with an id that no other of the sensor has",
    ),
    Field(
        "show",
        table.FLAG,
        default=False,
        about="events tell what matched; without it matched data is nowhere stored",
    ),
    Field(
        "groups",
        _GROUPS,
        default={},
        about="what is done at a hit, by group; of several groups the strictest counts",
    ),
)


def _sensor(notes: Draft, path: str, name: str, value: object) -> Sensor | None:
    before = notes.failed
    found = _SENSOR.read(notes, path, value)
    uses = tuple(dict.fromkeys(found["use"] or ()))
    patterns: dict[str, Pattern] = {}
    for one in (
        *(one for used in uses for one in SHIPPED[used]),
        *(found["patterns"] or ()),
    ):
        if one.id in patterns:
            notes.error(f"{path}.patterns", f"two have the id {one.id}")
        patterns[one.id] = one
    if notes.failed == before and not patterns:
        notes.error(path, "looks for nothing: use or patterns")
    if notes.failed == before and not found["groups"]:
        notes.error(f"{path}.groups", "names no group: who does what at a hit?")
    if notes.failed > before or _name(notes, path, name) is None:
        return None
    return Sensor(
        name, tuple(patterns.values()), bool(found["show"]), uses, found["groups"]
    )


def _sensors(notes: Draft, path: str, value: object) -> tuple[Sensor, ...]:
    found = []
    content = field_checks.mapping(notes, path, value)
    for name, one in content.items():
        sensor = _sensor(notes, f"{path}.{name}", name, one)
        if sensor:
            found.append(sensor)
    if len(content) > MAX_SENSORS:
        notes.error(path, f"are {len(content)}; at most {MAX_SENSORS}")
    count = sum(len(one.patterns) for one in found)
    if count > MAX_PATTERNS:
        notes.error(path, f"have {count} patterns; at most {MAX_PATTERNS}")
    return tuple(found)


_SCHEMA: Schema = {
    "type": "object",
    "maxProperties": MAX_SENSORS,
    "propertyNames": {"pattern": f"^(?:{_NAME.pattern})$"},
    "additionalProperties": _SENSOR.part(
        ["groups"], "use", "patterns", "show", "groups"
    )
    | {"anyOf": [{"required": ["use"]}, {"required": ["patterns"]}]},
}
SENSORS: Kind[tuple[Sensor, ...]] = Kind(_sensors, _SCHEMA)


def sensor_text(sensor: Sensor) -> str:
    """Return a sensor as one line of text."""
    parts = [f"use {', '.join(sensor.uses)}"] if sensor.uses else []
    parts += [_pattern_text(one) for one in _own(sensor)]
    parts += ["show"] if sensor.show else []
    parts += [f"{group} {action}" for group, action in sorted(sensor.groups.items())]
    return "; ".join(parts)


def _own(sensor: Sensor) -> list[Pattern]:
    """Return the patterns that are not of shipped sets."""
    shipped = {one for used in sensor.uses for one in SHIPPED.get(used, ())}
    return [one for one in sensor.patterns if one not in shipped]


def _pattern_text(one: Pattern) -> str:
    confirm = f" confirm {one.confirm}" if one.confirm else ""
    return f"{one.id} ({one.part}, {one.severity}) {one.regex}{confirm}"
