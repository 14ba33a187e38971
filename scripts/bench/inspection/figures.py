"""The figures of bench-inspect, each with what it must reach, and its chart.

In: the raw runs by series. Out: rows, panels. I/O: none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scripts.bench.figures.chart import Panel, panels
from scripts.bench.figures.rows import Path, Raw, Row, absolute, ratio_row, words_of

PATHS = {
    "base": Path("not intercepted", "not\nintercepted"),
    "decided": Path("a rule by address and port", "address\nand port"),
    "app": Path("a rule for an application", "application"),
    "request": Path("a rule for requests", "request"),
    "sensor": Path("200 patterns over all bytes", "200\npatterns"),
}
WORDS = words_of(PATHS)
KINDS = {
    "keep": ("per_s", "HTTP requests on one connection", "k/s", 1e-3),
    "each": ("per_s", "HTTP connect, request, close", "k/s", 1e-3),
    "streams": ("per_s", "HTTP/2 requests on one connection", "k/s", 1e-3),
    "bulk": ("gbit_s", "HTTP download", "Gbit/s", 1.0),
}
"""Series → its key, words, unit, scale."""
JUDGED = (
    ("each", "app", "base", 0.70),
    ("keep", "request", "base", 0.50),
    ("bulk", "app", "decided", 0.98),
)
"""Series, path, what it is compared with, and the least ratio."""
TOLD = (
    *(("keep", path, "base") for path in ("decided", "app")),
    *(("each", path, "base") for path in ("decided", "request")),
    *(("streams", path, "base") for path in ("decided", "app", "request")),
    *(("bulk", path, "base") for path in ("decided", "request", "sensor")),
    *((series, "sensor", "base") for series in ("keep", "each")),
)
SCAN_GBIT = 2.0
"""What one engine, on one core, must scan of a download under 200 patterns."""


PACKETS = (("median", 8), ("p95", 12))
"""Which of a round's connections, and the most packets of it that the engine may see."""


def rows_of(raw: Raw) -> list[Row]:
    """All rows, in the order of the table."""
    rows = []
    for which, most in PACKETS:
        values = [run[which] for run in raw.get("tls", [])]
        what = f"packets of a TLS connection in the engine, {which}"
        rows += [Row(f"tls_packets_{which}", what, "packets", values, at_most=most)] * bool(values)  # fmt: skip
    for series, path, below, least in JUDGED:
        rows += ratio(raw, series, path, below, at_least=least)
    for series, path, below in TOLD:
        rows += ratio(raw, series, path, below)
    for series, (key, words, unit, scale) in KINDS.items():
        runs = raw.get(series, [])
        rows += absolute(runs, key, series, words, unit, scale, paths=WORDS)
    return [
        replace(row, at_least=SCAN_GBIT) if row.name == "bulk_sensor" else row
        for row in rows
    ]


def ratio(raw: Raw, series: str, path: str, below: str, **target: Any) -> list[Row]:
    key, words = KINDS[series][:2]
    return ratio_row(
        *(raw.get(series, []), key, path, f"{series}_{path}_ratio"),
        f"{words}, {WORDS[path]} ÷ {WORDS[below]}",
        below=below,
        **target,
    )


def drawn(raw: Raw) -> list[Panel]:
    """Bars by path."""
    return panels(raw, PATHS, [(series, *kind) for series, kind in KINDS.items()])
