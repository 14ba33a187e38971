"""Fields of a mapping, said once: how each is read, and what JSON Schema says of it.

In: plain values out of YAML or JSON. Out: typed values and noted errors; JSON Schema. I/O: none.
A schema says all that can be said of one field alone; what holds between fields only readers say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pyctl.model.apps import NUMBERS
from pyctl.policy.document import field_checks
from pyctl.policy.document.field_checks import ErrorCollector, shown
from pyctl.policy.document.networks import Network
from pyctl.policy.document.types import ANY, PortSpec

T = TypeVar("T")
Schema = dict[str, Any]


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of value: how it is read, and its schema."""

    read: Callable[[Any, str, object], T]
    """Reads a value, given an ErrorCollector, its path and the value."""
    schema: Schema = field(default_factory=dict)
    """The JSON Schema of the value; empty: none."""
    missing: str = "is missing"


@dataclass(frozen=True)
class Field:
    """One key of a mapping."""

    name: str
    kind: Kind[Any]
    required: bool = False
    default: object = None
    """Read in place of an absent key; None: an absent key is not read."""
    about: str = ""


class Table:
    """The keys of a mapping. With `nulls` a key without a value counts as absent; with `others` unknown keys
    are ignored.
    """

    def __init__(
        self, *known: Field, nulls: bool = False, others: bool = False
    ) -> None:
        self._fields = known
        self._names = [one.name for one in known]
        self._nulls = nulls
        self._others = others

    def read(self, notes: ErrorCollector, path: str, value: object) -> dict[str, Any]:
        """Return a value for each key; None for an absent key, or what its kind reads from a wrong value."""
        known = None if self._others else self._names
        body = field_checks.mapping(notes, path, value, known)
        if self._nulls:
            body = {key: one for key, one in body.items() if one is not None}
        inside = f"{path}." if path else ""
        for one in self._fields:
            if one.required and one.name not in body and isinstance(value, dict):
                notes.error(f"{inside}{one.name}", one.kind.missing)
        found: dict[str, Any] = dict.fromkeys(self._names)
        for one in self._fields:
            if one.name in body or one.default is not None:
                content = body.get(one.name, one.default)
                found[one.name] = one.kind.read(notes, f"{inside}{one.name}", content)
        return found

    def read_some(
        self, notes: ErrorCollector, path: str, value: object
    ) -> dict[str, Any] | None:
        """Return the same of keys that ask for something; None: one is wrong, or none asks for anything, which is told."""
        before = notes.failed
        found = self.read(notes, path, value)
        if notes.failed == before and not any(found.values()):
            *others, last = self._names
            notes.error(path, f"asks for nothing: {', '.join(others)} or {last}")
        return None if notes.failed > before else found

    @property
    def schema(self) -> Schema:
        """Return the schema of the mapping with all its keys."""
        needed = [one.name for one in self._fields if one.required]
        return self.part(needed, *self._names)

    @property
    def kind(self) -> Kind[dict[str, Any]]:
        """Return the kind of value that is such a mapping."""
        return Kind(self.read, self.schema)

    def part(self, required: list[str], *names: str, **other: Schema) -> Schema:
        """Return the schema with these keys only, some of them under another schema."""
        properties = {
            one.name: one.kind.schema
            | ({"description": one.about} if one.about else {})
            for one in self._fields
            if one.name in names and one.kind.schema
        }
        return {
            "type": "object",
            "additionalProperties": False,
            "required": required,
            "properties": properties | other,
        }


def checked(
    test: Callable[[Any], bool],
    what: str,
    schema: Schema | None = None,
    make: Callable[[Any], Any] = lambda value: value,
) -> Kind[Any]:
    """Return a kind that reads `make(value)` if the test passes, else None and the error "must be `what`"."""

    def read(notes: ErrorCollector, path: str, value: object) -> Any:
        if test(value):
            return make(value)
        notes.error(path, f"must be {what}, not {shown(value)}")
        return None

    return Kind(read, schema or {})


def one_of(words: type[StrEnum]) -> Kind[Any]:
    """Return the kind of value that is a word of an enumeration."""
    known = [str(word) for word in words]
    what = f"one of {', '.join(known)}"
    return checked(known.__contains__, what, {"enum": known}, words)


def number(low: int, high: int) -> Kind[Any]:
    """Return the kind of value that is a whole number from `low` to `high`."""
    return checked(
        lambda value: type(value) is int and low <= value <= high,
        f"a number from {low} to {high}",
        {"type": "integer", "minimum": low, "maximum": high},
    )


def const(word: str) -> Kind[Any]:
    """Return the kind of value that is this word."""
    kind = checked([word].__contains__, word, {"const": word})
    return replace(kind, missing=f"must be {word}, not None")


def items_of(kind: Kind[T | None], *, nulls: bool = False) -> Kind[tuple[T, ...]]:
    """Return the kind of a list; elements with errors are left out. It needs one element, unless `nulls`
    allows an empty list, as Kubernetes does.
    """
    what = "a list" if nulls else "a list with an element"

    def read(notes: ErrorCollector, path: str, value: object) -> tuple[T, ...]:
        if not isinstance(value, list) or not (value or nulls):
            notes.error(path, f"must be {what}, not {shown(value)}")
            return ()
        found = []
        for index, item in enumerate(value):
            at = f"{path}[{index}]"
            if nulls and item is None:
                notes.error(at, "is null; for an empty one write {}")
            else:
                found.append(kind.read(notes, at, item))
        return tuple(one for one in found if one is not None)

    return Kind(read, {"type": "array", "minItems": 1, "items": kind.schema})


def _words(notes: ErrorCollector, path: str, value: object) -> dict[str, str]:
    found = field_checks.mapping(notes, path, value)
    return {key: WORD.read(notes, f"{path}.{key}", found[key]) or "" for key in found}


def _any_case(name: str) -> str:
    """Return a pattern of the name in letters of any case, which JSON Schema has no flag for."""
    return "".join(
        f"[{letter.upper()}{letter.lower()}]" if letter.isalpha() else letter
        for letter in name
    )


ANYTHING: Kind[object] = Kind(lambda _, __, value: value)
TEXT = Kind(field_checks.text, {"type": "string", "minLength": 1})
WORD = Kind(
    lambda notes, path, value: (
        "" if value == "" else field_checks.text(notes, path, value)
    ),
    {"type": "string"},
)
"""A string that may be empty."""
WORDS = Kind(_words, {"type": "object", "additionalProperties": WORD.schema})
"""Strings under any keys."""
FLAG = checked(
    lambda value: isinstance(value, bool), "true or false", {"type": "boolean"}
)
NET: Kind[Network | None] = Kind(
    field_checks.cidr,
    {"type": "string", "description": "10.1.0.0/16, 2001:db8::/32, or one address"},
)
FQDN: Kind[str | None] = Kind(
    field_checks.fqdn,
    {
        "type": "string",
        "pattern": f"^(?:{field_checks.FQDN.pattern})$",
        "description": "db.example.org, or *.example.org for the names below it",
    },
)
APP: Kind[str | None] = Kind(
    field_checks.app,
    {
        "anyOf": [
            {"enum": list(NUMBERS)},
            {"type": "string", "pattern": f"^(?:{'|'.join(map(_any_case, NUMBERS))})$"},
        ]
    },
)
PORT: Kind[PortSpec | None] = Kind(
    field_checks.port_spec,
    {
        "anyOf": [
            {"const": ANY},
            {"type": "string", "pattern": f"^(?:{field_checks.PORTS.pattern})$"},
        ]
    },
)
