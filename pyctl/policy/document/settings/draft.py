"""A policy being read, and settings that only groups of workloads have.

In: plain values. Out: settings by group, noted errors. I/O: none.
"""

from __future__ import annotations

from typing import TypeVar

from pyctl.policy.document import field_checks
from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.document.table import Kind
from pyctl.policy.document.types import ANY, Group

T = TypeVar("T")


class Draft(ErrorCollector):
    """A policy being read: its errors, and the groups read so far, which modes and rules name."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[str, Group] = {}
        self.declared = {ANY}
        """Groups with errors too: a rule must not be blamed for its group."""


def of_workloads(
    notes: Draft, path: str, value: object, kind: Kind[T | None], what: str
) -> dict[str, T]:
    """Return what `kind` reads for each group of workloads."""
    found = {}
    for name, content in field_checks.mapping(notes, path, value).items():
        inside = f"{path}.{name}"
        one = kind.read(notes, inside, content)
        group = notes.groups.get(name)
        if name not in notes.declared:
            notes.error(inside, "no such group")
        elif group is not None and group.selector is None:
            those = "names" if group.fqdns else "CIDRs"
            notes.error(
                inside, f"only workloads have {what}, and this group is {those}"
            )
        elif one:
            found[name] = one
    return found
