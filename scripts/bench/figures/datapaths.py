"""The figures of compare-datapaths: rows, verdicts, the table and the chart.

In: the raw runs by series. Out: rows, lines, text, panels. I/O: none.
"""

from __future__ import annotations

from functools import partial

from scripts.bench.figures.chart import Curves, Panel, growth, panels
from scripts.bench.figures.report import blocks
from scripts.bench.figures.rows import (
    Path,
    Raw,
    Row,
    absolute,
    column,
    number,
    ratio_row,
    words_of,
)

EBPF, U32 = {"datapath": "ebpf"}, {"datapath": "u32"}
PATHS = {
    "base": Path("not intercepted", "not inter-\ncepted", "not interc."),
    "decided": Path(
        "ebpf, decided flow", "ebpf,\ndecided", "ebpf decided", attach=EBPF
    ),
    "engine": Path(
        *("ebpf, every packet to the engine", "ebpf,\nengine", "ebpf engine"),
        flow_cache=False,
        attach=EBPF,
    ),
    "u32": Path("u32, offloads on", "u32,\nengine", "u32", attach=U32),
    "classic": Path(
        *("u32, offloads off", "u32,\noffloads\noff", "u32 off"),
        attach={**U32, "offload": "off"},
    ),
}
WORDS = words_of(PATHS)
by_path = partial(absolute, paths=WORDS)
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
        rows += by_path(runs, "gbit_s", name, what, "Gbit/s")
        cpu = ("cpu_ms_per_gbit", f"{name}_cpu", f"CPU of a Gbit, {what}")
        rows += _parts(runs, *cpu)
        rows += by_path(runs, *cpu, "ms")
    return rows


def exchange_rows(raw: Raw) -> list[Row]:
    rows = []
    for name, (key, what) in EXCHANGES.items():
        runs = raw.get(name, [])
        rows += _parts(runs, key, name, what)
        rows += by_path(runs, key, name, what, "k/s", 1e-3)
    return rows


def _parts(runs: list[Raw], key: str, name: str, what: str) -> list[Row]:
    """Each path in parts of what is not intercepted."""
    rows = []
    for path, words in WORDS.items():
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


def table(rows: list[Row]) -> str:
    """Traffic by path, then the cost of a packet by size; "" where nothing was measured."""
    streams = {name: f"{what}, Gbit/s" for name, what in STREAMS.items()}
    spent = {f"{name}_cpu": f"{what}, CPU ms/Gbit" for name, what in STREAMS.items()}
    others = {name: f"{what}, k/s" for name, (_, what) in EXCHANGES.items()}
    sizes = {str(size): f"{size} pair{'s'[: size > 1]}" for size in SIZES}
    growths = {f"{series}_{driver}": what for (series, driver), what in GROWTH.items()}
    columns = {name: path.column for name, path in PATHS.items()}
    parts = [
        blocks(rows, "", streams | spent | others, columns),
        blocks(rows, "ns a packet", growths, sizes),
    ]
    return "\n\n".join(filter(None, parts))


def drawn(raw: Raw) -> list[Panel]:
    """What the chart shows."""
    cpu = ("cpu_ms_per_gbit", "CPU, 1 flow client → server", "ms/Gbit", 1.0)
    wanted = [
        *((name, "gbit_s", what, "Gbit/s", 1.0) for name, what in STREAMS.items()),
        ("stream_up_1", *cpu),
        ("rr", "per_s", "TCP request/response", "thousand/s", 1e-3),
        ("crr", "per_s", "TCP connect/request/close", "thousand/s", 1e-3),
        ("udp", "pps", "UDP 64 bytes, loss ≤ 0.1 %", "thousand packets/s", 1e-3),
    ]
    found = panels(raw, PATHS, wanted)
    if curves := growth_curves(raw):
        found.append(partial(growth, curves=curves, words=GROWTH, sizes=SIZES))
    return found


def growth_curves(raw: Raw) -> Curves:
    """ns by size, of each series and driver that was measured."""
    curves = {
        (series, driver): {
            size: values
            for size in SIZES
            if (values := column(raw.get(series, []), f"{driver}_{size}", "ns"))
        }
        for series, driver in GROWTH
    }
    return {key: by_size for key, by_size in curves.items() if by_size}
