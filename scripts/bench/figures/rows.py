"""From runs to figures: what a path of a comparison is, and a row of a table.

In: the raw runs by series. Out: rows. I/O: none. A ratio is taken round by round, between runs that
follow each other at once, and its median over the rounds is the figure: what slows the whole machine
for a while slows both parts of a ratio.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Raw = dict[str, Any]


@dataclass(frozen=True)
class Path:
    """One of those that are compared: what a row, a bar and a column call it. `flow_cache`: whether its
    engine may fill the verdict cache; `attach`: what its server's attach says; None: nothing is attached.
    """

    words: str
    bar: str
    column: str = ""
    flow_cache: bool = True
    attach: Mapping[str, Any] | None = None


Paths = Mapping[str, Path]


@dataclass
class Row:
    """One figure: `values` has one value for each run."""

    name: str
    what: str
    unit: str
    values: list[float]
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles, or the ends where there are few runs."""
        if len(self.values) < 4:
            return min(self.values), max(self.values)
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, high

    @property
    def held(self) -> bool | None:
        """None: the figure has no target."""
        if self.at_least is not None:
            return self.median >= self.at_least
        return None if self.at_most is None else self.median <= self.at_most

    @property
    def target(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"

    def as_dict(self) -> dict[str, Any]:
        low, high = self.spread
        return {
            "name": self.name,
            "what": self.what,
            "unit": self.unit,
            "at_least": self.at_least,
            "at_most": self.at_most,
            "median": self.median,
            "low": low,
            "high": high,
            "runs": len(self.values),
            "held": self.held,
            "note": self.note,
            "values": self.values,
            **self.extra,
        }


def number(value: float) -> str:
    """Three digits that matter."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 10 else f"{value:.2f}"


def column(runs: Iterable[Raw], path: str, key: str, scale: float = 1.0) -> list[float]:
    """A path's values, in the order of the rounds."""
    return [one[key] * scale for one in runs if one["path"] == path]


def ratio_row(
    runs: list[Raw], key: str, above: str, name: str, what: str, **target: Any
) -> list[Row]:
    """One path's runs in parts of another's (`below`; else of what is not intercepted), round by round;
    beside it the ratio of the two medians."""
    tops = column(runs, above, key)
    bottoms = column(runs, target.pop("below", "base"), key)
    ratios = [
        top / bottom for top, bottom in zip(tops, bottoms, strict=False) if bottom
    ]
    middle = statistics.median(bottoms) if bottoms else 0
    if not ratios or not middle:
        return []
    extra = {"ratio_of_medians": statistics.median(tops) / middle}
    return [Row(name, what, "ratio", ratios, extra=extra, **target)]


def absolute(
    runs: list[Raw],
    key: str,
    name: str,
    what: str,
    unit: str,
    scale: float = 1.0,
    *,
    paths: Mapping[str, str],
) -> list[Row]:
    """A row for each path that was measured."""
    return [
        Row(f"{name}_{path}", f"{what}, {words}", unit, values)
        for path, words in paths.items()
        if (values := column(runs, path, key, scale))
    ]


def words_of(paths: Paths) -> dict[str, str]:
    """What rows call them."""
    return {name: path.words for name, path in paths.items()}
