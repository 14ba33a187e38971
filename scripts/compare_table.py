"""The comparison's table: a block of three lines for each figure, a column for each path.

In: rows of compare_figures. Out: text. I/O: none.
"""

from __future__ import annotations

from bench_chart import number
from bench_report import Row, aligned
from compare_figures import EXCHANGES, GROWTH, PATHS, SIZES, STREAMS

TITLES = {
    "base": "not interc.",
    "decided": "ebpf decided",
    "engine": "ebpf engine",
    "u32": "u32",
    "classic": "u32 off",
}
"""Of the columns; `u32 off`: with offloads off."""


def table(rows: list[Row]) -> str:
    """Traffic by path, then the cost of a packet by size; "" where nothing was measured."""
    streams = {name: f"{what}, Gbit/s" for name, what in STREAMS.items()}
    spent = {f"{name}_cpu": f"{what}, CPU ms/Gbit" for name, what in STREAMS.items()}
    others = {name: f"{what}, k/s" for name, (_, what) in EXCHANGES.items()}
    sizes = {str(size): f"{size} pair{'s'[: size > 1]}" for size in SIZES}
    growth = {f"{series}_{driver}": what for (series, driver), what in GROWTH.items()}
    paths = {path: TITLES[path] for path in PATHS}
    parts = [
        _part(rows, "", streams | spent | others, paths),
        _part(rows, "ns a packet", growth, sizes),
    ]
    return "\n\n".join(filter(None, parts))


def _part(
    rows: list[Row], head: str, figures: dict[str, str], columns: dict[str, str]
) -> str:
    by_name = {row.name: row for row in rows}
    lines: list[tuple[str, ...]] = []
    for name, what in figures.items():
        medians = [by_name.get(f"{name}_{column}") for column in columns]
        ratios = [by_name.get(f"{name}_{column}_ratio") for column in columns]
        if not any(medians):
            continue
        first = next(iter(columns.values()))
        lines.append((what, *(number(row.median) if row else "-" for row in medians)))
        lines.append(("  spread", *(_spread(row) for row in medians)))
        if any(ratios):
            cells = (number(row.median) if row else "" for row in ratios)
            lines.append((f"  ÷ {first}", *cells))
    if not lines:
        return ""
    return "\n".join(aligned([(head, *columns.values()), *lines], left={0}))


def _spread(row: Row | None) -> str:
    """Quartiles, or the ends of few runs."""
    if row is None or len(row.values) < 2:
        return ""
    low, high = row.spread
    return f"{number(low)}…{number(high)}"
