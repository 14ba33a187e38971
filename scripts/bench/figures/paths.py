"""The figures of bench-paths, each with what it must reach, and its chart.

In: the raw runs by series. Out: rows, panels. I/O: none.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

from scripts.bench.figures.chart import Panel, limits, panels
from scripts.bench.figures.rows import (
    Path,
    Raw,
    Row,
    absolute,
    number,
    ratio_row,
    words_of,
)
from scripts.bench.worlds import PLACED

PATHS = {
    "base": Path("not intercepted", "not intercepted"),
    "decided": Path("decided flow", "decided flow"),
    "engine": Path(
        *("every packet through the engine", "every packet\nthrough the engine")
    ),
}
WORDS = words_of(PATHS)
by_path = partial(absolute, paths=WORDS)


CONNECTIONS = (
    ("crr", "one client", 0.92),
    ("crr_many", "four clients at once", 0.90),
    ("discover_crr", "discover", 0.92),
    ("discover_crr_many", "discover, four clients at once", 0.90),
)
FLOODS = (
    ("flood_denied", "200,000 denied SYNs/s of another", 0.90),
    ("flood_opened", "another's connections, a core full", 0.85),
)
"""Series, words, and the least ratio."""


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
        *by_path(runs, "gbit_s", "stream", "TCP stream", "Gbit/s"),
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
            *by_path(
                *(runs, "round_trips_s", f"round_trips_{place}"),
                *(f"TCP round trips ({words})", "k/s", 1e-3),
            ),
            *by_path(
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
        *by_path(runs, "pps", "udp", "UDP 64 bytes, loss ≤ 0.1 %", "k/s", 1e-3),
    ]
    limited = sorted(
        {WORDS[one["path"]] for one in runs if one["sender_limited"]},
        key=list(WORDS.values()).index,
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
        *(
            row
            for series, words, target in CONNECTIONS
            for row in ratio_row(
                *(raw.get(series, []), "per_s", "decided", f"{series}_decided"),
                f"TCP connect/request/close, {words}",
                at_least=target,
            )
        ),
        *by_path(connections, "per_s", "crr", "connect/request/close", "k/s", 1e-3),
    ]
    for name, key, what, unit, most in (
        ("bulk", "percent", "bulk flow: packets to the engine after it", "%", 0.1),
        ("revoke", "after", "packets after `policy apply` denied their flow", "", 0),
    ):
        if values := [one[key] for one in raw.get(name, [])]:
            rows.append(Row(name, what, unit, values, at_most=most))
    return rows


def flood_rows(raw: Raw) -> list[Row]:
    rows = []
    for series, words, target in FLOODS:
        runs = raw.get(series, [])
        rows += ratio_row(
            *(runs, "round_trips_s", "flooded", series),
            f"TCP round trips/s beside {words} ÷ without",
            below="quiet",
            at_least=target,
        )
        if sent := [one["flood_s"] * 1e-3 for one in runs if "flood_s" in one]:
            rows.append(Row(f"{series}_sent", "the flood meanwhile", "k/s", sent))
    return rows


def attach_rows(raw: Raw) -> list[Row]:
    cycles = raw.get("attach", [])
    if not cycles:
        return []

    def row(step: str, what: str, at_most: float | None = None) -> Row:
        values = [one[step] for one in cycles]
        return Row(step, what, "ms", values, at_most=at_most)

    def errors(step: str, at_most: float | None = None) -> Row:
        seen = [one[f"{step}_errors"] for one in cycles]
        counted = Counter(error for some in seen for error in some).most_common()
        return Row(
            *(f"{step}_errors", f"{step}, errors the application saw", ""),
            [float(len(some)) for some in seen],
            at_most=at_most,
            note=", ".join(f"{error} ({count} times)" for error, count in counted),
        )

    return [
        row("attach_ms", "attach, wall time at the API socket", 100),
        row("attach_gap_ms", "attach, longest gap of a 1 ms probe", 35),
        errors("attach", 0),
        row("detach_ms", "detach, wall time at the API socket"),
        row("detach_gap_ms", "detach, longest gap of a 1 ms probe"),
        errors("detach"),
        row("quiet_gap_ms", "longest gap of the probe while nothing happens"),
    ]


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
            at_most=120,
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
        *flood_rows(raw),
        *attach_rows(raw),
        *single_rows(raw),
        *memory_rows(raw),
    ]


def drawn(raw: Raw, rows: list[Row]) -> list[Panel]:
    """Bars by path; the last panel is attach and memory with their targets."""
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
    labels = {
        "attach_ms": "attach,\nwall time",
        "attach_gap_ms": "attach,\nlongest gap",
        "pss_mb": "memory of\nagent + engine",
    }
    singles = {labels[row.name]: row for row in rows if row.name in labels}
    found = panels(raw, PATHS, wanted)
    return [*found, partial(limits, rows=singles)] if singles else found
