"""`threats:` of a policy: what is done at each threat, by group.

In: plain values. Out: actions, noted errors. I/O: none.
"""

from __future__ import annotations

from pyctl.model.threats import BY_NAME, ThreatAction
from pyctl.policy.document import table
from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.document.settings.draft import Draft, of_workloads
from pyctl.policy.document.table import Field, Kind, Schema, Table

_ACTIONS = [str(action) for action in ThreatAction]
ACTION = table.checked(
    lambda value: value is False or (isinstance(value, str) and value in _ACTIONS),
    f"one of {', '.join(_ACTIONS)}",
    {"enum": [*_ACTIONS, False]},
    lambda value: ThreatAction(value or ThreatAction.OFF),
)
"""YAML reads `off` as false."""
_TABLE = Table(
    *(Field(one.name, ACTION, about=one.trigger) for one in BY_NAME.values())
)


def _settings(
    notes: ErrorCollector, path: str, value: object
) -> dict[str, ThreatAction]:
    """Return the settings of one group; threats that are not named have none."""
    found = _TABLE.read(notes, path, value)
    return {name: action for name, action in found.items() if action}


_SETTINGS: Kind[dict[str, ThreatAction] | None] = Kind(_settings, _TABLE.schema)


def _threats(
    notes: Draft, path: str, value: object
) -> dict[str, dict[str, ThreatAction]]:
    return of_workloads(notes, path, value, _SETTINGS, "threats")


_SCHEMA: Schema = {"type": "object", "additionalProperties": _SETTINGS.schema}
THREATS: Kind[dict[str, dict[str, ThreatAction]]] = Kind(_threats, _SCHEMA)
