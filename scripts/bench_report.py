"""What was measured, for people and for programs: the table, the JSON, the chart, the machine.

In: rows and raw runs. Out: text, a JSON file, a PNG. matplotlib is imported only for the chart.
"""

from __future__ import annotations

import json
import platform
import re
import statistics
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from bench_chart import PATHS, bars, chart, number
from bench_lab import CPUS, BenchError, run

PLACED = {"apart": "a core each", "together": "on one core"}


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


def table(rows: list[Row]) -> str:
    """Aligned columns; the rows without a target come last, as background."""
    judged = [row for row in rows if row.held is not None]
    others = [row for row in rows if row.held is None]
    head = ("figure", "target", "median", "unit", "spread", "runs", "held")
    lines = [head, *map(_cells, judged), ("",) * len(head), *map(_cells, others)]
    text = aligned(lines, left={0, 3, 6})
    notes = [f"  {row.what}: {row.note}" for row in rows if row.note]
    return "\n".join([*text, *([""] if notes else []), *notes])


def aligned(lines: list[tuple[str, ...]], left: set[int]) -> list[str]:
    """Lines of cells as text, with a rule below the first; `left`: the columns that are words."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = tuple("─" * width for width in widths)
    return [
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (lines[0], rule, *lines[1:])
    ]


def _cells(row: Row) -> tuple[str, ...]:
    low, high = row.spread
    held = {True: "held", False: "NOT HELD", None: ""}[row.held]
    spread = f"{number(low)} … {number(high)}" if len(row.values) > 1 else ""
    return (
        *(row.what, row.target, number(row.median), row.unit),
        *(spread, str(len(row.values)), held),
    )


def machine() -> dict[str, str]:
    """Where a figure was measured."""
    cpu = re.search(
        r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE
    )
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(len(CPUS)),
        "cpu": cpu[1] if cpu else "unknown",
        "memory": f"{int(memory[1]) / 1e6:.1f} GB" if memory else "unknown",
        "load": Path("/proc/loadavg").read_text().split()[0],
    }


def versions() -> dict[str, str]:
    """Of what is ours and what it stands on."""
    return {
        "segctl": " ".join(
            part for part in (metadata.version("segctl"), _commit()) if part
        ),
        "bcc": _told("/usr/bin/python3", "-c", "import bcc; print(bcc.__version__)"),
        "python": platform.python_version(),
    }


def environment() -> dict[str, str]:
    """The machine and the versions that a figure is worth nothing without."""
    programs = {name: _told(name, "--version") for name in ("iperf3", "sockperf")}
    return machine() | versions() | programs


def _told(*argv: str) -> str:
    try:
        first = (run(*argv).strip().splitlines() or ["?"])[0]
    except (BenchError, FileNotFoundError) as error:
        return f"unknown ({error})"
    found = re.search(r"\d+\.\d+(\.\d+)?", first)
    return found[0] if found else first


def _commit() -> str:
    here = Path(__file__).resolve().parent
    try:
        return run("git", "-C", here, "describe", "--always", "--dirty").strip()
    except (BenchError, FileNotFoundError):
        return ""


def write_json(
    path: Path,
    about: dict[str, Any],
    rows: list[Row],
    raw: dict[str, Any],
) -> None:
    """Everything, the single runs too."""
    document = {**about, "figures": [row.as_dict() for row in rows], "raw": raw}
    path.write_text(json.dumps(document, indent=1) + "\n")


def _panels(raw: dict[str, Any]) -> list[tuple[str, str, dict[str, list[float]]]]:
    """(title, unit, values by path) of what was compared path by path."""
    wanted = [
        ("stream", "gbit_s", "TCP stream", "Gbit/s", 1.0),
        *(
            (f"rr_{place}", key, f"{title}, {where}", unit, scale)
            for place, where in PLACED.items()
            for key, title, unit, scale in (
                ("round_trips_s", "TCP round trips", "thousand/s", 1e-3),
                ("latency_p50_us", "One-way latency", "µs", 1.0),
            )
        ),
        ("udp", "pps", "UDP 64 bytes, loss ≤ 0.1 %", "thousand packets/s", 1e-3),
        ("crr", "per_s", "TCP connect/request/close", "thousand/s", 1e-3),
    ]
    panels = []
    for name, key, title, unit, scale in wanted:
        runs = raw.get(name, [])
        by_path = {
            path: [one[key] * scale for one in runs if one["path"] == path]
            for path in PATHS
        }
        if any(by_path.values()):
            panels.append((title, unit, by_path))
    return panels


def draw(
    path: Path, about: dict[str, Any], rows: list[Row], raw: dict[str, Any]
) -> None:
    """Bars by path; the last panel is attach and memory with their targets."""
    panels = [
        partial(bars, title=title, unit=unit, by_path=by_path)
        for title, unit, by_path in _panels(raw)
    ]
    singles = [
        row for row in rows if row.name in {"attach_ms", "attach_gap_ms", "pss_mb"}
    ]
    if singles:
        panels.append(partial(_targets, rows=singles))
    if panels:
        chart(path, "what interception costs", about, panels)


def _targets(axis: Any, rows: list[Row]) -> None:
    """Each figure in parts of what it may be."""
    for at, row in enumerate(rows):
        limit = row.at_most or 1
        axis.bar(at, row.median / limit, width=0.6, color="#577590")
        parts = [value / limit for value in row.values]
        axis.plot([at] * len(parts), parts, "o", color="#22223b", ms=3, alpha=0.6)
        axis.annotate(
            f"{number(row.median)} {row.unit}",
            (at + 0.32, row.median / limit),
            fontsize=8,
            ha="left",
            va="center",
        )
    labels = {
        "attach_ms": "attach,\nwall time",
        "attach_gap_ms": "attach,\nlongest gap",
        "pss_mb": "memory of\nagent + engine",
    }
    axis.axhline(1, color="#d62828", lw=1, ls="--")
    axis.set_xticks(range(len(rows)), [labels[row.name] for row in rows], fontsize=7.5)
    axis.set_xlim(-0.5, len(rows) - 0.1)
    axis.set_ylim(bottom=0)
    axis.set_title("Of what is allowed (dashed)", fontsize=10)
    axis.tick_params(axis="y", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
