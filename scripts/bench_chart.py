"""Charts of what was compared path by path.

In: values by path, a description of the machine. Out: a PNG. matplotlib is imported only when one is drawn.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

PATHS = {
    "base": "not intercepted",
    "decided": "decided flow",
    "engine": "every packet through the engine",
}
COLOURS = {
    "base": "#8d99ae",
    "decided": "#2a9d8f",
    "engine": "#e76f51",
    "u32": "#7b6fb0",
    "classic": "#b5651d",
}


def number(value: float) -> str:
    """Three digits that matter."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 10 else f"{value:.2f}"


def chart(
    path: Path,
    heading: str,
    about: dict[str, Any],
    panels: Sequence[Callable[[Any], None]],
) -> None:
    """Each panel draws into the axis that it is given; none: no file."""
    import matplotlib as mpl  # noqa: PLC0415  slow to load, and only the chart needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    count = len(panels)
    if not count:
        return
    columns = min(3, count)
    lines = -(-count // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(4.6 * columns, 3.4 * lines), squeeze=False
    )
    flat = list(axes.flat)
    for axis, panel in zip(flat, panels, strict=False):
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


def bars(
    axis: Any,
    title: str,
    unit: str,
    by_path: dict[str, list[float]],
    labels: Mapping[str, str] = PATHS,
) -> None:
    """Medians by path, the single runs as dots."""
    shown = {path: values for path, values in by_path.items() if values}
    for at, (path, values) in enumerate(shown.items()):
        median = statistics.median(values)
        axis.bar(at, median, width=0.6, color=COLOURS[path])
        axis.plot([at] * len(values), values, "o", color="#22223b", ms=3, alpha=0.6)
        axis.annotate(
            number(median), (at + 0.32, median), fontsize=8, ha="left", va="center"
        )
    words = [labels[path].replace(" through", "\nthrough") for path in shown]
    axis.set_xticks(range(len(shown)), words, fontsize=7.5)
    axis.set_xlim(-0.5, len(shown) - 0.1)
    axis.set_ylim(bottom=0)
    axis.set_title(title, fontsize=10)
    axis.set_ylabel(unit, fontsize=8)
    axis.tick_params(axis="y", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
