"""Merges what repeats within a time into one record with a count, in memory and on disk.

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
    """The id of its row in the database; None: not stored."""


class Repeats(Generic[Record]):
    """The newest record of each name. A record with the same `name` (None: never) within the window around an
    earlier one is its repeat; `both` adds it to that one.
    """

    def __init__(
        self,
        name: Callable[[Record], Hashable],
        time: Callable[[Record], float],
        both: Callable[[Record, Record], Record],
        window_s: float,
    ) -> None:
        self._name, self._time, self._both = name, time, both
        self._window_s = window_s
        self._newest: dict[Hashable, Kept[Record]] = {}

    def take(self, record: Record) -> Kept[Record]:
        """Return the earlier record that now counts this repeat, or else a new one."""
        name = self._name(record)
        kept = None if name is None else self._newest.get(name)
        # Either way, because the clock may be set back.
        if kept and abs(self._time(record) - self._time(kept.record)) < self._window_s:
            kept.record = self._both(kept.record, record)
            return kept
        kept = Kept(record)
        if name is not None:
            self._newest[name] = kept
        return kept

    def take_all(self, records: Iterable[Record]) -> list[Kept[Record]]:
        """Return the records in which these are counted now, each once."""
        return list(dict.fromkeys(map(self.take, records)))

    def drop(self, kept: Kept[Record]) -> None:
        """Add no more repeats to this record."""
        name = self._name(kept.record)
        if self._newest.get(name) is kept:
            del self._newest[name]

    def forget(self, now: float) -> None:
        """Drop the records that are too old for repeats, or are not stored."""
        for kept in list(self._newest.values()):
            age = abs(now - self._time(kept.record))
            if kept.row is None or age >= self._window_s:
                self.drop(kept)
