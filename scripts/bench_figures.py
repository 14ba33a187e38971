"""From raw runs to the figures of the table, each with what it must reach.

In: the raw runs by series. Out: rows. I/O: none. A ratio is taken round by round, between runs that
follow each other at once, and its median over the rounds is the figure: what slows the whole machine
for a while slows both parts of a ratio.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from typing import Any

from bench_chart import PATHS, number
from bench_report import PLACED, Row

Raw = dict[str, Any]


def _column(runs: list[Raw], path: str, key: str) -> list[float]:
    return [one[key] for one in runs if one["path"] == path]


def _ratio(
    runs: list[Raw], key: str, above: str, below: str
) -> tuple[list[float], dict[str, float]]:
    """Round by round; beside it the ratio of the two medians."""
    tops, bottoms = _column(runs, above, key), _column(runs, below, key)
    ratios = [
        top / bottom for top, bottom in zip(tops, bottoms, strict=False) if bottom
    ]
    middle = statistics.median(bottoms) if bottoms else 0
    if not ratios or not middle:
        return [], {}
    return ratios, {"ratio_of_medians": statistics.median(tops) / middle}


def ratio_row(
    runs: list[Raw], key: str, above: str, name: str, what: str, **target: Any
) -> list[Row]:
    """One path's runs in parts of another's (`below`; else of what is not intercepted)."""
    below = target.pop("below", "base")
    values, extra = _ratio(runs, key, above, below)
    return [Row(name, what, "ratio", values, extra=extra, **target)] if values else []


def absolute(
    runs: list[Raw],
    key: str,
    name: str,
    what: str,
    unit: str,
    scale: float = 1.0,
    paths: Mapping[str, str] = PATHS,
) -> list[Row]:
    """A row for each path that was measured."""
    rows = []
    for path, words in paths.items():
        values = [value * scale for value in _column(runs, path, key)]
        if values:
            rows.append(Row(f"{name}_{path}", f"{what}, {words}", unit, values))
    return rows


def stream_rows(raw: Raw) -> list[Row]:
    runs = raw.get("stream", [])
    return [
        *ratio_row(
            *(runs, "gbit_s", "decided", "stream_decided"),
            "TCP stream, decided flow",
            at_least=0.95,
        ),
        *ratio_row(
            *(runs, "gbit_s", "engine", "stream_engine"),
            "TCP stream, verdict cache off",
            at_least=0.50,
        ),
        *absolute(runs, "gbit_s", "stream", "TCP stream", "Gbit/s"),
    ]


def rr_rows(raw: Raw) -> list[Row]:
    rows = []
    for place, words in PLACED.items():
        runs = raw.get(f"rr_{place}", [])
        # No target together: without wake-ups, what remains is the engine's own hop, in µs.
        rows += [
            *ratio_row(
                *(runs, "round_trips_s", "decided", f"rr_decided_{place}"),
                f"TCP round trips/s, decided flow ({words})",
                at_least=0.90,
            ),
            *ratio_row(
                *(runs, "latency_p50_us", "engine", f"latency_engine_{place}"),
                f"one-way TCP latency, verdict cache off ({words})",
                at_most=1.5 if place == "apart" else None,
            ),
            *ratio_row(
                *(runs, "latency_p50_us", "decided", f"latency_decided_{place}"),
                f"one-way TCP latency, decided flow ({words})",
            ),
            *absolute(
                *(runs, "round_trips_s", f"round_trips_{place}"),
                *(f"TCP round trips ({words})", "k/s", 1e-3),
            ),
            *absolute(
                *(runs, "latency_p50_us", f"latency_{place}"),
                *(f"one-way TCP latency ({words})", "µs"),
            ),
        ]
    return rows


def udp_rows(raw: Raw) -> list[Row]:
    runs = raw.get("udp", [])
    rows = [
        *ratio_row(
            *(runs, "pps", "engine", "udp_engine"),
            "UDP 64 bytes, packets/s, verdict cache off ÷ decided",
            below="decided",
            at_least=0.5,
        ),
        *ratio_row(
            *(runs, "pps", "decided", "udp_decided"),
            "UDP 64 bytes, packets/s, decided flow",
        ),
        *absolute(runs, "pps", "udp", "UDP 64 bytes, loss ≤ 0.1 %", "k/s", 1e-3),
    ]
    limited = sorted(
        {PATHS[one["path"]] for one in runs if one["sender_limited"]},
        key=list(PATHS.values()).index,
    )
    if limited and rows:
        rows[0].note = (
            "bounded by the share of the machine that the senders got, not by loss: "
            + ", ".join(limited)
        )
    return rows


def cache_rows(raw: Raw) -> list[Row]:
    connections = raw.get("crr", [])
    rows = [
        *ratio_row(
            *(raw.get("discover", []), "gbit_s", "decided", "stream_discover"),
            "TCP stream, discover",
            at_least=0.95,
        ),
        *ratio_row(
            *(connections, "per_s", "decided", "crr_decided"),
            "TCP connect/request/close, cache on",
            at_least=0.70,
        ),
        *absolute(connections, "per_s", "crr", "connect/request/close", "k/s", 1e-3),
    ]
    for name, key, what, unit, most in (
        ("bulk", "percent", "bulk flow: packets to the engine after it", "%", 0.1),
        ("revoke", "after", "packets after `policy apply` denied their flow", "", 0),
    ):
        if values := [one[key] for one in raw.get(name, [])]:
            rows.append(Row(name, what, unit, values, at_most=most))
    return rows


def attach_rows(raw: Raw) -> list[Row]:
    cycles = raw.get("attach", [])
    if not cycles:
        return []

    def column(key: str) -> list[float]:
        return [one[key] for one in cycles]

    errors = Counter(error for one in cycles for error in one["attach_errors"])
    late = Counter(error for one in cycles for error in one["detach_errors"])
    return [
        Row(
            *("attach_ms", "attach, wall time at the API socket", "ms"),
            column("attach_ms"),
            at_most=100,
        ),
        Row(
            *("attach_gap_ms", "attach, longest gap of a 1 ms probe", "ms"),
            column("attach_gap_ms"),
            at_most=35,
        ),
        Row(
            *("attach_errors", "attach, errors the application saw", ""),
            [float(len(one["attach_errors"])) for one in cycles],
            at_most=0,
            note=_counted(errors),
        ),
        Row(
            *("detach_ms", "detach, wall time at the API socket", "ms"),
            column("detach_ms"),
        ),
        Row(
            *("detach_gap_ms", "detach, longest gap of a 1 ms probe", "ms"),
            column("detach_gap_ms"),
        ),
        Row(
            *("detach_errors", "detach, errors the application saw", ""),
            [float(len(one["detach_errors"])) for one in cycles],
            note=_counted(late),
        ),
        Row(
            *("quiet_gap_ms", "longest gap of the probe while nothing happens", "ms"),
            column("quiet_gap_ms"),
        ),
    ]


def _counted(errors: Counter[str]) -> str:
    return ", ".join(
        f"{error} ({count} times)" for error, count in errors.most_common()
    )


def memory_rows(raw: Raw) -> list[Row]:
    samples = raw.get("memory", [])
    if not samples:
        return []
    worst = max(samples, key=lambda one: one["pss_mb"])
    parts = ", ".join(
        f"{name} {number(size)}" for name, size in worst["by_process"].items()
    )
    return [
        Row(
            *("pss_mb", "agent + engine, proportional set size, idle", "MB"),
            [worst["pss_mb"]],
            at_most=150,
            note=f"{parts}; of it packet rings {number(worst['rings_mb'])}; "
            f"the larger of: {', '.join(one['when'] for one in samples)}",
            extra={"rings_mb": worst["rings_mb"]},
        ),
        Row(
            *("idle_cpu", "agent + engine, idle, of one core", "%"),
            [one["cpu_percent"] for one in samples],
        ),
    ]


def single_rows(raw: Raw) -> list[Row]:
    rows = []
    if raw.get("demo"):
        rows.append(
            Row(
                *("demo_s", "./scripts/demo on a machine already set up", "s"),
                raw["demo"],
                at_most=60,
            )
        )
    if raw.get("help"):
        rows.append(Row("help_s", "segctl --help", "s", raw["help"], at_most=0.2))
    return rows


def rows_of(raw: Raw) -> list[Row]:
    """All rows, in the order of the table."""
    return [
        *stream_rows(raw),
        *rr_rows(raw),
        *udp_rows(raw),
        *cache_rows(raw),
        *attach_rows(raw),
        *single_rows(raw),
        *memory_rows(raw),
    ]
