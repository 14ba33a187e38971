"""Charts of what was compared path by path, and by size.

In: raw runs, a description of the machine. Out: a PNG. matplotlib is imported only when one is drawn.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from scripts.bench.figures.rows import Paths, Raw, Row, column, number

COLOURS = {
    "base": "#8d99ae",
    "decided": "#2a9d8f",
    "engine": "#e76f51",
    "u32": "#7b6fb0",
    "classic": "#b5651d",
    "app": "#7b6fb0",
    "request": "#e76f51",
    "sensor": "#b5651d",
}
STEEP = 5
"""Times: beyond, costs are in powers of ten as the sizes are."""


Panel = Callable[[Any], None]
"""Draws into the axis that it is given."""
Curves = dict[tuple[str, str], dict[int, list[float]]]
"""Series and driver → what a packet costs by the number of pairs."""


def chart(
    path: Path,
    heading: str,
    about: dict[str, Any],
    drawn: Sequence[Panel],
) -> None:
    """All panels in one file; none: no file."""
    import matplotlib as mpl  # noqa: PLC0415  slow to load, and only the chart needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    count = len(drawn)
    if not count:
        return
    columns = min(3, count)
    lines = -(-count // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(4.6 * columns, 3.4 * lines), squeeze=False
    )
    flat = list(axes.flat)
    for axis, panel in zip(flat, drawn, strict=False):
        panel(axis)
    for axis in flat[count:]:
        axis.set_visible(False)
    machine = about["environment"]
    figure.suptitle(
        f"segctl {machine['segctl']}: {heading}\n"
        f"{machine['kernel']}, {machine['cores']} cores, {machine['cpu']}, {about['time']}",
        fontsize=10,
    )
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def panels(
    raw: Raw, paths: Paths, wanted: Iterable[tuple[str, str, str, str, float]]
) -> list[Panel]:
    """Bars by path of each series that was measured: (its name, key, title, unit, scale)."""
    found: list[Panel] = []
    for name, key, title, unit, scale in wanted:
        runs = raw.get(name, [])
        by_path = {
            path.bar: (COLOURS[at], values)
            for at, path in paths.items()
            if (values := column(runs, at, key, scale))
        }
        if by_path:
            found.append(partial(_bars, title=title, unit=unit, by_path=by_path))
    return found


def _bars(
    axis: Any, title: str, unit: str, by_path: dict[str, tuple[str, list[float]]]
) -> None:
    """Medians by path, the single runs as dots."""
    for at, (colour, values) in enumerate(by_path.values()):
        _bar(axis, at, values, number(statistics.median(values)), colour)
    _frame(axis, list(by_path), title)
    axis.set_ylabel(unit, fontsize=8)


def limits(axis: Any, rows: dict[str, Row]) -> None:
    """Each figure, by what stands below it, in parts of what it may be."""
    for at, row in enumerate(rows.values()):
        parts = [value / (row.at_most or 1) for value in row.values]
        _bar(axis, at, parts, f"{number(row.median)} {row.unit}", "#577590")
    axis.axhline(1, color="#d62828", lw=1, ls="--")
    _frame(axis, list(rows), "Of what is allowed (dashed)")


def _bar(axis: Any, at: int, values: list[float], words: str, colour: str) -> None:
    median = statistics.median(values)
    axis.bar(at, median, width=0.6, color=colour)
    axis.plot([at] * len(values), values, "o", color="#22223b", ms=3, alpha=0.6)
    axis.annotate(words, (at + 0.32, median), fontsize=8, ha="left", va="center")


def _frame(axis: Any, words: list[str], title: str) -> None:
    axis.set_xticks(range(len(words)), words, fontsize=7.5)
    axis.set_xlim(-0.5, len(words) - 0.1)
    axis.set_ylim(bottom=0)
    axis.set_title(title, fontsize=10)
    axis.tick_params(axis="y", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def growth(
    axis: Any, curves: Curves, words: dict[tuple[str, str], str], sizes: Sequence[int]
) -> None:
    """Medians as lines, the single runs as dots; both axes in powers of ten."""
    for key, by_size in curves.items():
        series, driver = key
        decided = series == "growth_decided"
        colour = COLOURS[
            "u32" if driver == "u32" else "decided" if decided else "engine"
        ]
        medians = [statistics.median(values) / 1e3 for values in by_size.values()]
        axis.plot(list(by_size), medians, "-", color=colour, lw=2, label=words[key])
        for size, values in by_size.items():
            dots = [value / 1e3 for value in values]
            axis.plot([size] * len(dots), dots, "o", color=colour, ms=3, alpha=0.5)
    axis.set_xscale("log")
    medians = [statistics.median(one) for by in curves.values() for one in by.values()]
    if max(medians) > STEEP * min(medians):
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.set_title("Cost of a packet by attached pairs", fontsize=10)
    axis.set_ylabel("µs", fontsize=8)
    axis.legend(fontsize=7, frameon=False)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
