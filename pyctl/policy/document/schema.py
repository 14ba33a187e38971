"""The policy document as JSON Schema (draft 2020-12), for editors and CI.

In: nothing. Out: a plain dict. I/O: none.
Words and patterns are the parser's own. It says all that can be said of one field alone; what holds
between fields (a group that is named exists, an id is given once, a network has no host bits) only
the parser says. So what the parser takes, the schema takes; a test holds both directions.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pyctl.model.policy import Action, Direction
from pyctl.model.workload import Mode, RuntimeKind
from pyctl.policy.document.fields import GROUP_NAME, MAX_RULE_ID, PORTS
from pyctl.policy.document.parse import Deny
from pyctl.policy.document.selectors import WITH_VALUES
from pyctl.policy.document.types import (
    ANY,
    API_VERSION,
    MAX_GROUPS,
    MAX_RULES,
    Operator,
)

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_VALUE: Schema = {"type": "string"}
_NET: Schema = {
    "type": "string",
    "description": "10.1.0.0/16, 2001:db8::/32, or one address",
}
_NETS: Schema = {"type": "array", "minItems": 1, "items": _NET}


def document() -> Schema:
    """All of it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "segctl policy",
        **_object(
            ["apiVersion"],
            apiVersion={"const": API_VERSION},
            groups={
                "type": "object",
                "maxProperties": MAX_GROUPS,
                "propertyNames": {**_named(), "not": {"const": ANY}},
                "additionalProperties": {"oneOf": [_selected(), _networks()]},
            },
            modes={
                "description": "by group; a group named in none: discover",
                "type": "object",
                "additionalProperties": _one_of(Mode),
            },
            options=_object([], deny=_one_of(Deny)),
            rules={
                "description": "the first that matches decides",
                "type": "array",
                "maxItems": MAX_RULES,
                "items": _rule(),
            },
        ),
    }


def _rule() -> Schema:
    port = {"anyOf": [{"const": ANY}, {"type": "string", "pattern": _PORT}]}
    return _object(
        ["id", "from", "to", "action"],
        **{"from": _TEXT},
        id={"type": "integer", "minimum": 1, "maximum": MAX_RULE_ID},
        to=_TEXT,
        direction={
            **_one_of(Direction),
            "description": "the one end at which it holds; without it: both",
        },
        ports={"type": "array", "minItems": 1, "items": port},
        action=_one_of(Action),
        comment={"type": "string"},
        enabled={"type": "boolean"},
        stage={
            "type": "boolean",
            "description": "recorded as what it would decide; the next rules decide",
        },
    )


def _selected() -> Schema:
    asked = {
        "oneOf": [
            _object(
                ["key", "operator", "values"],
                key=_TEXT,
                operator={"enum": sorted(WITH_VALUES)},
                values={"type": "array", "minItems": 1, "items": _VALUE},
            ),
            _object(
                ["key", "operator"],
                key=_TEXT,
                operator={"enum": sorted(set(Operator) - WITH_VALUES)},
                values={"type": "array", "maxItems": 0},
            ),
        ]
    }
    selector = _object(
        [],
        name={**_TEXT, "description": "glob over the workload's name"},
        labels={
            "type": "object",
            "minProperties": 1,
            "additionalProperties": _VALUE,
            "description": "by key, glob over the label's value",
        },
        image={**_TEXT, "description": "glob over the image's name"},
        runtime=_one_of(RuntimeKind),
        namespace={
            **_TEXT,
            "description": "glob over the Kubernetes namespace; `default` where none is told",
        },
        expressions={"type": "array", "minItems": 1, "items": asked},
    )
    return _object(["selector"], selector={**selector, "minProperties": 1})


def _networks() -> Schema:
    return _object(["cidrs"], cidrs=_NETS, **{"except": _NETS})


def _object(required: list[str], /, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


def _one_of(kind: type[StrEnum]) -> Schema:
    return {"enum": [str(word) for word in kind]}


def _named() -> Schema:
    return {"pattern": f"^(?:{GROUP_NAME.pattern})$"}


_PORT = f"^(?:{PORTS.pattern})$"
