"""ebpf and u32 compared, run by run in turn, on this kernel or on another one in a virtual machine.

    base      not intercepted
    decided   ebpf: the kernel carries the flow, its verdict is in the cache
    engine    ebpf, verdict cache off: every packet through the engine
    u32       u32: every packet through the engine, offloads on
    classic   u32, offloads off: what the seeds describe, and NeuVector does

Figures: TCP bulk (1 and 8 flows, each way, with the CPU that a Gbit costs), TCP request/response,
connect/request/close, UDP packets of 64 bytes, and the cost of a packet as attached pairs grow.
Results: a table here, JSON with every run and a PNG chart in bench-results/. What u32 needs and this
kernel lacks is told, and those paths left out.

Exit code: 0 each target held; 1 one did not, or something could not be measured; 2 usage; 4 not root.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.bench.datapaths_traffic import FIGURES, Chosen, Traffic
from scripts.bench.figures import datapaths as figures
from scripts.bench.figures.report import machine, now, publish, say, versions
from scripts.bench.growth import Growth
from scripts.bench.rounds import interruptible, parser_of
from scripts.bench.worlds import ROOT, Bed, compiled
from tests.lab.datapath.wiring import u32_missing

TOOLS = ("tcp", "udp", "inject")
U32 = {"u32", "classic"}
WORK = ROOT / ".cache/compare"
"""On the file system that guest and host share."""
DEADLINE_S = 1800
"""For hangs alone; with --quick as well."""
END_S = 30

# rounds, seconds of a run, steps of the search for a UDP rate, rounds and seconds of growth.
HERE = {False: (5, 1.5, 9, 15, 0.25), True: (2, 0.8, 6, 6, 0.15)}
# Emulation is slow, but an instruction takes what it takes: few rounds do.
GUEST = {False: (3, 1.0, 6, 5, 0.3), True: (1, 0.6, 4, 3, 0.2)}


def options() -> argparse.Namespace:
    parser = parser_of("compare-datapaths", __doc__)
    add = parser.add_argument
    add("--vm", metavar="KERNEL", help="on that kernel of scripts/vm --list")
    paths, some = list(figures.PATHS), "may be repeated; default: all"
    add("--path", action="append", choices=paths, help=some)
    add("--figure", action="append", choices=FIGURES, help=some)
    add("--runs", type=int, metavar="N", help="rounds of each figure")
    add("--seconds", type=float, metavar="S", help="of each run of traffic")
    add("--quick", action="store_true", help="fewer and shorter runs")
    add("--inside", metavar="DIR", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.runs is not None and told.runs < 1:
        parser.error("--runs must be 1 or more")
    if told.seconds is not None and not 0.1 <= told.seconds <= 60:
        parser.error("--seconds must be 0.1 to 60")
    return told


def chosen_of(told: argparse.Namespace, paths: list[str], *, guest: bool) -> Chosen:
    rounds, seconds, steps, growth_rounds, growth_seconds = (GUEST if guest else HERE)[
        told.quick
    ]
    return Chosen(
        paths=tuple(paths),
        figures=tuple(told.figure or FIGURES),
        rounds=told.runs or rounds,
        seconds=told.seconds or seconds,
        udp_steps=steps,
        growth_rounds=told.runs or growth_rounds,
        growth_seconds=growth_seconds,
    )


class Session:
    """What is measured on this kernel, and kept in a file as it grows."""

    def __init__(self, told: argparse.Namespace, file: Path) -> None:
        self.told = told
        self.file = file
        paths = told.path or list(figures.PATHS)
        self.lacks = u32_missing() if U32 & set(paths) else None
        self.paths = [path for path in paths if not (self.lacks and path in U32)]
        self.found: dict[str, Any] = {
            "machine": machine(),
            "left_out": f"no u32 on this kernel: {self.lacks}" if self.lacks else "",
            "paths": self.paths,
            "raw": {},
            "problems": [],
        }

    def keep(self) -> None:
        """Whole or not at all: a guest may be ended at any moment."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_suffix(".new")
        with new.open("w", encoding="utf-8") as out:
            json.dump(self.found, out)
            out.flush()
            os.fsync(out.fileno())
        new.replace(self.file)

    def measure(self) -> None:
        """Traffic first, then growth, each in a lab of its own, so that neither has the other's
        agents beside it.
        """
        guest = self.told.inside is not None
        chosen = chosen_of(self.told, self.paths, guest=guest)
        self.found["options"] = vars(chosen) | {"quick": self.told.quick}
        tools = WORK if guest else None
        if self.lacks:
            say(self.found["left_out"])
        self.keep()
        if set(chosen.figures) - {"growth"}:
            traffic = Traffic(Bed(tools), chosen, self.keep)
            self._run(traffic, traffic.measure)
        drivers = []
        if {"decided", "engine"} & set(self.paths):
            drivers.append("ebpf")
        if U32 & set(self.paths):
            drivers.append("u32")
        if "growth" in chosen.figures and drivers:
            growth = Growth(Bed(tools), drivers, self.keep)
            self._run(
                growth,
                lambda: growth.measure(chosen.growth_rounds, chosen.growth_seconds),
            )

    def _run(self, rounds: Traffic | Growth, measure: Callable[[], None]) -> None:
        rounds.raw, rounds.problems = self.found["raw"], self.found["problems"]
        with rounds.in_the_lab():
            measure()
        self.keep()


def in_guest(told: argparse.Namespace, file: Path) -> list[str]:
    """Measure on the other kernel; the file grows meanwhile. Gives problems."""
    WORK.mkdir(parents=True, exist_ok=True)
    # In a guest, either compiler takes a minute, and Python's once for each process.
    compiled(WORK, TOOLS)
    for folder in ("pyctl", "fallback_tc", "scripts", "tests/lab"):
        compileall.compile_dir(ROOT / folder, quiet=1)
    argv: list[str | Path] = [ROOT / "scripts/vm", "--kernel", told.vm]
    argv += ["--deadline", str(DEADLINE_S), "--", ROOT / ".venv/bin/python"]
    argv += ["-m", "scripts.bench.datapaths", "--inside", file.parent]
    for name, values in (("--path", told.path), ("--figure", told.figure)):
        for value in values or ():
            argv += [name, value]
    for name, value in (("--runs", told.runs), ("--seconds", told.seconds)):
        argv += [name, str(value)] if value is not None else []
    argv += ["--quick"] if told.quick else []
    guest = subprocess.Popen(argv, cwd=ROOT)
    try:
        code = guest.wait()
    except BaseException:
        # It ends its guest by itself.
        guest.send_signal(signal.SIGINT)
        guest.wait(END_S)
        raise
    return [f"the guest's run ended with exit code {code}"] if code else []


def report(told: argparse.Namespace, found: dict[str, Any], seconds: float) -> int:
    """The table, the verdicts, the files. Gives the exit code."""
    raw, problems = found["raw"], found["problems"]
    rows = figures.rows_of(raw)
    if rows:
        say("\n" + figures.table(rows))
    if found["left_out"]:
        say(f"\nleft out: {found['left_out']}")
    asked = set(told.figure or FIGURES)
    missing = figures.targets(rows, set(found["paths"]), asked)
    problems += [f"no figure to judge: {what}" for what in missing]
    say("")
    for line in figures.verdicts(rows):
        say(line)
    for problem in problems:
        say(f"PROBLEM {problem}")
    about = {
        "time": now(),
        "environment": found["machine"] | versions(),
        "emulated": bool(told.vm),
        "options": found.get("options", {}),
        "left_out": found["left_out"],
        "seconds": round(seconds, 1),
        "problems": problems,
    }
    where = f"vm{told.vm}" if told.vm else "native"
    heading = "the datapaths compared" + (" in an emulated machine" if told.vm else "")
    stem = told.output / f"datapaths-{where}"
    publish(stem, about, rows, raw, heading, figures.drawn(raw))
    say(f"{seconds:.0f} s")
    return 1 if problems or any(row.held is False for row in rows) else 0


def nothing_measured(told: argparse.Namespace, ended: list[str]) -> str:
    """What was tried, and how it ended: a run may end well for all that is known of it."""
    figures = ", ".join(told.figure or FIGURES)
    where = f"in a guest with kernel {told.vm}" if told.vm else "on this kernel"
    how = "; ".join(ended) or "the run ended without an error, and left no results"
    return f"nothing was measured: tried {figures} {where}; {how}"


def main() -> int:
    told = options()
    if os.geteuid():
        say("the comparison makes network namespaces: run it as root")
        return 4
    interruptible(signal.SIGINT, signal.SIGTERM)
    started = time.monotonic()
    if told.inside is not None:
        session = Session(told, told.inside / "found.json")
        session.measure()
        return 0
    file = WORK / f"run-{os.getpid()}" / "found.json"
    ended = []
    try:
        if told.vm:
            ended = in_guest(told, file)
        else:
            Session(told, file).measure()
    except KeyboardInterrupt:
        say("interrupted; everything made was removed; what was measured:")
        ended = ["interrupted"]
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        say(nothing_measured(told, ended))
        return 1
    found["problems"] += ended
    code = report(told, found, time.monotonic() - started)
    file.unlink()
    file.parent.rmdir()
    return code


if __name__ == "__main__":
    raise SystemExit(main())
