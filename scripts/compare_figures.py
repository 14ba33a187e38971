"""From the raw runs of the comparison to rows, verdicts and charts.

In: the raw runs by series. Out: rows (bench_figures says how ratios are taken), lines, panels. I/O: none.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

from bench_chart import COLOURS, bars, number
from bench_figures import Raw, absolute, ratio_row
from bench_report import Row

PATHS = {
    "base": "not intercepted",
    "decided": "ebpf, decided flow",
    "engine": "ebpf, every packet to the engine",
    "u32": "u32, offloads on",
    "classic": "u32, offloads off",
}
SHORT = {
    "base": "not inter-\ncepted",
    "decided": "ebpf,\ndecided",
    "engine": "ebpf,\nengine",
    "u32": "u32,\nengine",
    "classic": "u32,\noffloads\noff",
}
STREAMS = {
    f"stream_{way}_{flows}": f"TCP stream {words}, {flows} flow{'s'[: flows > 1]}"
    for way, words in (("up", "client → server"), ("down", "server → client"))
    for flows in (1, 8)
}
EXCHANGES = {
    "rr": ("per_s", "TCP request/response"),
    "crr": ("per_s", "TCP connect/request/close"),
    "udp": ("pps", "UDP 64 bytes, loss ≤ 0.1 %"),
}
JUDGED = ("stream_up_1", "stream_down_1")
CLASSIC_FACTOR = 4
GROWN = 1.15
SIZES = (1, 10, 100, 1000)
GROWTH = {
    ("growth_back", "ebpf"): "from the engine to the workload, ebpf",
    ("growth_back", "u32"): "from the engine to the workload, u32",
    ("growth_decided", "ebpf"): "decided flow, ebpf",
}
STEEP = 5
"""Times: beyond, the chart's costs are in powers of ten as the sizes are."""
GROWTH_COLOURS = {
    ("growth_back", "ebpf"): COLOURS["engine"],
    ("growth_back", "u32"): COLOURS["u32"],
    ("growth_decided", "ebpf"): COLOURS["decided"],
}


def stream_rows(raw: Raw) -> list[Row]:
    rows = []
    for name, what in STREAMS.items():
        runs = raw.get(name, [])
        rows += ratio_row(
            *(runs, "gbit_s", "decided", f"{name}_decided_classic"),
            f"{what}, ebpf decided ÷ u32 offloads off",
            below="classic",
            at_least=CLASSIC_FACTOR if name in JUDGED else None,
        )
        rows += _parts(runs, "gbit_s", name, what)
        rows += absolute(runs, "gbit_s", name, what, "Gbit/s", paths=PATHS)
        cpu = ("cpu_ms_per_gbit", f"{name}_cpu", f"CPU of a Gbit, {what}")
        rows += _parts(runs, *cpu)
        rows += absolute(runs, *cpu, "ms", paths=PATHS)
    return rows


def exchange_rows(raw: Raw) -> list[Row]:
    rows = []
    for name, (key, what) in EXCHANGES.items():
        runs = raw.get(name, [])
        rows += _parts(runs, key, name, what)
        rows += absolute(runs, key, name, what, "k/s", 1e-3, paths=PATHS)
    return rows


def _parts(runs: list[Raw], key: str, name: str, what: str) -> list[Row]:
    """Each path in parts of what is not intercepted."""
    rows = []
    for path, words in PATHS.items():
        if path != "base":
            text = f"{what}, {words} ÷ not intercepted"
            rows += ratio_row(runs, key, path, f"{name}_{path}_ratio", text)
    return rows


def growth_rows(raw: Raw) -> list[Row]:
    rows = []
    for (series, driver), what in GROWTH.items():
        runs = raw.get(series, [])
        cost = f"cost of a packet {what}"
        for size in SIZES[1:]:
            judged = driver == "ebpf" and size == SIZES[-1]
            rows += ratio_row(
                *(runs, "ns", f"{driver}_{size}", f"{series}_{driver}_{size}_ratio"),
                f"{cost}: {size} pairs ÷ {SIZES[0]}",
                below=f"{driver}_{SIZES[0]}",
                at_most=GROWN if judged else None,
            )
        sizes = {f"{driver}_{size}": f"{size} pair{'s'[: size > 1]}" for size in SIZES}
        rows += absolute(runs, "ns", series, cost, "ns", paths=sizes)
    return rows


def rows_of(raw: Raw) -> list[Row]:
    """All rows, in the order of the table."""
    return [*stream_rows(raw), *exchange_rows(raw), *growth_rows(raw)]


def targets(rows: list[Row], paths: set[str], figures: set[str]) -> list[str]:
    """What was asked for and must be judged, but was not measured."""
    names = {row.name for row in rows}
    wanted: dict[str, str] = {}
    if "stream" in figures and {"decided", "classic"} <= paths:
        wanted |= {f"{name}_decided_classic": STREAMS[name] for name in JUDGED}
    if "growth" in figures and paths & {"decided", "engine"}:
        for (series, driver), what in GROWTH.items():
            if driver == "ebpf":
                wanted[f"{series}_{driver}_{SIZES[-1]}_ratio"] = f"growth, {what}"
    return [what for name, what in wanted.items() if name not in names]


def verdicts(rows: list[Row]) -> list[str]:
    """A line for each target; u32's growth stands beside ebpf's."""
    lines = []
    for row in rows:
        if row.held is not None:
            word = "held    " if row.held else "NOT HELD"
            lines.append(f"{word}  {row.what}: {number(row.median)} ({row.target})")
        elif row.name == f"growth_back_u32_{SIZES[-1]}_ratio":
            lines.append(f"beside    {row.what}: {number(row.median)}")
    return lines


def panels(raw: Raw) -> list[Callable[[Any], None]]:
    """What the chart shows."""
    wanted = [
        *((name, "gbit_s", what, "Gbit/s", 1.0) for name, what in STREAMS.items()),
        (
            "stream_up_1",
            "cpu_ms_per_gbit",
            "CPU, 1 flow client → server",
            "ms/Gbit",
            1.0,
        ),
        ("rr", "per_s", "TCP request/response", "thousand/s", 1e-3),
        ("crr", "per_s", "TCP connect/request/close", "thousand/s", 1e-3),
        ("udp", "pps", "UDP 64 bytes, loss ≤ 0.1 %", "thousand packets/s", 1e-3),
    ]
    found: list[Callable[[Any], None]] = []
    for name, key, title, unit, scale in wanted:
        by_path = {
            path: [one[key] * scale for one in raw.get(name, []) if one["path"] == path]
            for path in PATHS
        }
        if any(by_path.values()):
            found.append(
                partial(bars, title=title, unit=unit, by_path=by_path, labels=SHORT)
            )
    curves = growth_curves(raw)
    return [*found, partial(_growth, curves=curves)] if curves else found


Curves = dict[tuple[str, str], dict[int, list[float]]]


def growth_curves(raw: Raw) -> Curves:
    """ns by size, of each series and driver that was measured."""
    curves: Curves = {}
    for series, driver in GROWTH:
        by_size = {
            size: [
                one["ns"]
                for one in raw.get(series, [])
                if one["path"] == f"{driver}_{size}"
            ]
            for size in SIZES
        }
        if any(by_size.values()):
            curves[series, driver] = {
                size: values for size, values in by_size.items() if values
            }
    return curves


def _growth(axis: Any, curves: Curves) -> None:
    """Medians as lines, the single runs as dots; both axes in powers of ten."""
    for key, by_size in curves.items():
        colour = GROWTH_COLOURS[key]
        sizes = list(by_size)
        medians = [statistics.median(values) / 1e3 for values in by_size.values()]
        axis.plot(sizes, medians, "-", color=colour, lw=2, label=GROWTH[key])
        for size, values in by_size.items():
            dots = [value / 1e3 for value in values]
            axis.plot([size] * len(dots), dots, "o", color=colour, ms=3, alpha=0.5)
    axis.set_xscale("log")
    medians = [statistics.median(one) for by in curves.values() for one in by.values()]
    if max(medians) > STEEP * min(medians):
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    axis.set_xticks(SIZES, [str(size) for size in SIZES])
    axis.set_title("Cost of a packet by attached pairs", fontsize=10)
    axis.set_ylabel("µs", fontsize=8)
    axis.legend(fontsize=7, frameon=False)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
