"""What happens again within a time is one record with a count, in memory and on disk.

In: records in their order. Out: the cells that they are in. I/O: none.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Record = TypeVar("Record")


@dataclass(eq=False)
class Kept(Generic[Record]):
    """A record that repeats are added to."""

    record: Record
    row: int | None = None
    """Where it is stored; None: nowhere."""


@dataclass(frozen=True)
class Again(Generic[Record]):
    """What makes a record the repeat of another."""

    name: Callable[[Record], Hashable]
    """Equal for repeats; None: never one."""
    time: Callable[[Record], float]
    both: Callable[[Record, Record], Record]
    """Adds a repeat to the earlier one."""
    window_s: float


class Repeats(Generic[Record]):
    """The newest record of each name."""

    def __init__(self, again: Again[Record]) -> None:
        self._again = again
        self._newest: dict[Hashable, Kept[Record]] = {}

    def take(self, record: Record) -> Kept[Record]:
        """Return the record that this one repeats, which counts it now, or else a new one."""
        again, name = self._again, self._again.name(record)
        kept = None if name is None else self._newest.get(name)
        if kept and again.time(record) - again.time(kept.record) < again.window_s:
            kept.record = again.both(kept.record, record)
            return kept
        kept = Kept(record)
        if name is not None:
            self._newest[name] = kept
        return kept

    def take_all(self, records: Iterable[Record]) -> list[Kept[Record]]:
        """Return those that they are in now, each once."""
        return list(dict.fromkeys(map(self.take, records)))

    def drop(self, kept: Kept[Record]) -> None:
        """Add no more repeats to this one."""
        name = self._again.name(kept.record)
        if self._newest.get(name) is kept:
            del self._newest[name]

    def forget(self, now: float) -> None:
        """Drop what is too old for repeats, or is not stored."""
        again = self._again
        for kept in list(self._newest.values()):
            age = now - again.time(kept.record)
            if kept.row is None or age >= again.window_s:
                self.drop(kept)
