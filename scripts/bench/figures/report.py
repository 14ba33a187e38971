"""What was measured, for people and for programs: tables, the JSON, the machine.

In: rows and raw runs. Out: text, a JSON file, a PNG.
"""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from scripts.bench.figures.chart import Panel, chart
from scripts.bench.figures.rows import Raw, Row, number
from scripts.bench.worlds import CPUS, ROOT
from tests.lab.pace import LabError
from tests.lab.processes import must


def say(text: str) -> None:
    print(text, flush=True)


def table(rows: list[Row]) -> str:
    """Aligned columns; the rows without a target come last, as background."""
    judged = [row for row in rows if row.held is not None]
    others = [row for row in rows if row.held is None]
    head = ("figure", "target", "median", "unit", "spread", "runs", "held")
    lines = [head, *map(_cells, judged), ("",) * len(head), *map(_cells, others)]
    text = aligned(lines, left={0, 3, 6})
    notes = [f"  {row.what}: {row.note}" for row in rows if row.note]
    return "\n".join([*text, *([""] if notes else []), *notes])


def blocks(
    rows: list[Row], head: str, figures: Mapping[str, str], columns: Mapping[str, str]
) -> str:
    """A block of two or three lines for each figure, a column for each path or size: medians, spread, and
    ratios to the first column; "" where nothing was measured."""
    by_name = {row.name: row for row in rows}
    lines: list[tuple[str, ...]] = []
    for name, what in figures.items():
        medians = [by_name.get(f"{name}_{column}") for column in columns]
        ratios = [by_name.get(f"{name}_{column}_ratio") for column in columns]
        if not any(medians):
            continue
        first = next(iter(columns.values()))
        lines.append((what, *(number(row.median) if row else "-" for row in medians)))
        lines.append(
            ("  spread", *(_spread(row, "…") if row else "" for row in medians))
        )
        if any(ratios):
            cells = (number(row.median) if row else "" for row in ratios)
            lines.append((f"  ÷ {first}", *cells))
    if not lines:
        return ""
    return "\n".join(aligned([(head, *columns.values()), *lines], left={0}))


def _spread(row: Row, between: str) -> str:
    """Quartiles, or the ends of few runs."""
    low, high = row.spread
    return f"{number(low)}{between}{number(high)}" if len(row.values) > 1 else ""


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
    held = {True: "held", False: "NOT HELD", None: ""}[row.held]
    return (
        *(row.what, row.target, number(row.median), row.unit),
        *(_spread(row, " … "), str(len(row.values)), held),
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
        first = (must(*argv).stdout.strip().splitlines() or ["?"])[0]
    except (LabError, FileNotFoundError) as error:
        return f"unknown ({error})"
    found = re.search(r"\d+\.\d+(\.\d+)?", first)
    return found[0] if found else first


def _commit() -> str:
    try:
        argv = ("git", "-C", ROOT, "describe", "--always", "--dirty")
        return must(*argv).stdout.strip()
    except (LabError, FileNotFoundError):
        return ""


def publish(
    stem: Path,
    about: dict[str, Any],
    rows: list[Row],
    raw: Raw,
    heading: str = "",
    drawn: Sequence[Panel] = (),
) -> None:
    """Everything as JSON, the single runs too, and a chart where there is one to draw."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    as_json, as_png = (
        stem.with_name(f"{stem.name}-{time.strftime('%Y%m%d-%H%M%S')}.{kind}")
        for kind in ("json", "png")
    )
    document = {**about, "figures": [row.as_dict() for row in rows], "raw": raw}
    as_json.write_text(json.dumps(document, indent=1) + "\n")
    chart(as_png, heading, about, drawn)
    for path in (as_json, as_png):
        if path.exists():
            say(str(path))


def now() -> str:
    """For the head of a report."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z")
