"""What interception costs: the paths of a packet compared, run by run in turn.

    base      not intercepted
    decided   the server is attached; the kernel carries the flow, its verdict is in the cache
    engine    the server is attached, the verdict cache is off: every packet through the engine

Each path has its own client and server, wired through a bridge as Docker does it; all three exist from
the beginning to the end. A round measures all three, and the order rotates from round to round.
Results: a table here, JSON with every run and a PNG chart in bench-results/.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import bench_cache
import bench_figures
import bench_report
import bench_traffic as traffic
from bench_attach import attach_cycles
from bench_lab import (
    PLACEMENTS,
    ROOT,
    SEGCTL,
    Agent,
    Lab,
    World,
    cpu_seconds,
    family,
    proportional_size,
    run,
)
from bench_rounds import WorldRounds, say

COMPARED = ("stream", "rr", "udp", "crr")
CACHED = ("discover", "bulk", "revoke")
FIGURES = ("help", "memory", "attach", *COMPARED, *CACHED, "demo")
FULL = {"stream": 5, "rr": 10, "udp": 5, "crr": 8, "attach": 12, "help": 10}
FULL |= {"discover": 8, "bulk": 3, "revoke": 5}
QUICK = {"stream": 3, "rr": 4, "udp": 1, "crr": 3, "attach": 4, "help": 5}
QUICK |= {"discover": 3, "bulk": 1, "revoke": 2}
DEMO_SECONDS = 600


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench-paths",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=FIGURES,
        help=f"one of {', '.join(FIGURES)}; may be repeated",
    )
    parser.add_argument("--runs", type=int, metavar="N", help="rounds of each figure")
    parser.add_argument(
        "--both", action="store_true", help="attach the clients as well as the servers"
    )
    parser.add_argument(
        "--with-demo", action="store_true", help="time ./scripts/demo, too"
    )
    parser.add_argument(
        "--control",
        action="store_true",
        help="attach nothing: the ratios then show what this machine's noise makes of 1",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        default=ROOT / "bench-results",
        help="where JSON and PNG go (default: bench-results)",
    )
    chosen = parser.parse_args()
    if chosen.runs is not None and chosen.runs < 1:
        parser.error("--runs must be 1 or more")
    wanted = set(chosen.only or FIGURES)
    if not chosen.with_demo and "demo" not in (chosen.only or ()):
        wanted.discard("demo")
    if chosen.control:
        wanted &= set(COMPARED)
    chosen.wanted = wanted
    return chosen


class Bench(WorldRounds):
    """The measuring, one figure after the other."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        super().__init__(Lab())
        self.chosen = chosen
        self.cached: Agent | None = None

    def rounds(self, figure: str) -> int:
        return self.chosen.runs or (QUICK if self.chosen.quick else FULL)[figure]

    def measure(self) -> None:
        """Everything that was asked for."""
        wanted = self.chosen.wanted
        if "help" in wanted:
            with self.figure("help"):
                self.time_help()
        if wanted & {"memory", "attach", *COMPARED, *CACHED}:
            with self.figure("set-up"), self.lab:
                self.in_the_lab(wanted)
        self.problems += [f"left over by segctl: {it}" for it in self.lab.left_over]
        if "demo" in wanted:
            with self.figure("demo"):
                self.time_demo()

    def time_help(self) -> None:
        say("segctl --help")
        self.raw["help"] = []
        # The first one fills the page cache.
        for index in range(self.rounds("help") + 1):
            started = time.monotonic()
            run(SEGCTL, "--help")
            if index:
                self.raw["help"].append(time.monotonic() - started)

    def time_demo(self) -> None:
        say("./scripts/demo")
        run(ROOT / "scripts/bootstrap", seconds=DEMO_SECONDS)
        started = time.monotonic()
        run(ROOT / "scripts/demo", seconds=DEMO_SECONDS)
        self.raw["demo"] = [time.monotonic() - started]

    def in_the_lab(self, wanted: set[str]) -> None:
        say("making namespaces")
        self.lab.compile_tools("bench_udp", "bench_tcp")
        names = ("base", "decided", "engine")
        self.worlds = [self.lab.world(name, at) for at, name in enumerate(names, 1)]
        for world in self.worlds:
            self.lab.start_servers(world)
            bench_cache.start_servers(self.lab, world)
        for world in self.worlds:
            self.lab.settle(world)
        if self.chosen.control:
            self.compare(wanted)
            return
        # One agent alone first: two would share pages, and each would look smaller.
        self.cached = Agent(self.lab, "cached", flow_cache=True)
        self.attach(self.worlds[1], self.cached)
        if "memory" in wanted:
            with self.figure("memory"):
                self.memory(self.cached, "before load")
        if "attach" in wanted:
            with self.figure("attach"):
                self.attaching(self.cached)
        if wanted & set(CACHED):
            self.cache(wanted, self.cached)
        if wanted & set(COMPARED):
            uncached = Agent(self.lab, "uncached", flow_cache=False)
            self.attach(self.worlds[2], uncached)
            self.compare(wanted)
            uncached.remove()
            if "memory" in wanted:
                with self.figure("memory"):
                    self.memory(self.cached, "after load")

    def attach(self, world: World, agent: Agent) -> None:
        """The server of a world, and with --both its client."""
        self.attach_boxes(world, agent, both=self.chosen.both)

    def memory(self, agent: Agent, when: str) -> None:
        say(f"memory of agent and engine, {when}")
        pids = agent.pids()
        everyone = {
            name: [one for one in family(pid) if name == "agent" or one == pid]
            for name, pid in pids.items()
        }
        # The engine may be a child of the agent: nobody is counted twice.
        others = set(everyone["engine"])
        everyone["agent"] = [one for one in everyone["agent"] if one not in others]
        time.sleep(3)
        before = {pid: cpu_seconds(pid) for pids in everyone.values() for pid in pids}
        time.sleep(3)
        used = sum(cpu_seconds(pid) - had for pid, had in before.items())
        sizes = {
            name: [proportional_size(pid) for pid in pids]
            for name, pids in everyone.items()
        }
        by_process = {
            name: sum(size["pss"] for size in all_of) for name, all_of in sizes.items()
        }
        self.raw.setdefault("memory", []).append(
            {
                "when": when,
                "pss_mb": sum(by_process.values()),
                "by_process": by_process,
                "rings_mb": sum(
                    size["rings"] for all_of in sizes.values() for size in all_of
                ),
                "sizes": sizes,
                "cpu_percent": used / 3 * 100,
            }
        )

    def attaching(self, agent: Agent) -> None:
        cycles = self.rounds("attach")
        say(f"attach and detach under a 1 ms probe, {cycles} times")
        world = self.lab.world("attach", 9)
        self.lab.settle(world)
        self.raw["attach"] = attach_cycles(self.lab, agent, world, cycles)

    def cache(self, wanted: set[str], agent: Agent) -> None:
        """What needs a policy or a mode of its own, on the decided world."""
        every, self.worlds = self.worlds, self.worlds[:2]
        seconds = 1 if self.chosen.quick else 3
        decided = self.worlds[1]
        if "discover" in wanted:
            with self.figure("discover"), bench_cache.discovered(decided, agent):
                one = partial(traffic.tcp_stream, seconds=seconds)
                self.interleave("discover", self.rounds("discover"), one)
        self.worlds = [decided]
        if "bulk" in wanted:
            with self.figure("bulk"):
                one = partial(bench_cache.bulk, agent=agent, seconds=seconds)
                self.interleave("bulk", self.rounds("bulk"), one)
        if "revoke" in wanted:
            with self.figure("revoke"):
                one = partial(bench_cache.revoke, self.lab, agent=agent)
                self.interleave("revoke", self.rounds("revoke"), one)
        self.worlds = every

    def compare(self, wanted: set[str]) -> None:
        quick = self.chosen.quick
        seconds = 1 if quick else 3
        for world in self.worlds:
            traffic.tcp_stream(world, 1)
        if "stream" in wanted:
            with self.figure("stream"), self.steering_seen("stream"):
                one = partial(traffic.tcp_stream, seconds=seconds)
                self.interleave("stream", self.rounds("stream"), one)
        if "rr" in wanted:
            for place in PLACEMENTS:
                name = f"rr_{place}"
                with self.figure(name), self.steering_seen(name):
                    one = partial(
                        traffic.tcp_ping_pong,
                        placement=place,
                        seconds=1,
                    )
                    self.interleave(name, self.rounds("rr"), one)
        if "crr" in wanted:
            # The SYN goes to the engine, the rest of a connection does not.
            with self.figure("crr"), self.steering_seen("crr", share=5):
                one = partial(bench_cache.connections, self.lab, seconds=seconds)
                self.interleave("crr", self.rounds("crr"), one)
        if "udp" in wanted:
            with self.figure("udp"), self.steering_seen("udp"):
                self.udp(self.rounds("udp"), *((9, 0.4) if quick else (13, 0.5)))


def main() -> int:
    chosen = options()
    # A shell's background job is started with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    about: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "environment": bench_report.environment(),
        "options": {
            "quick": chosen.quick,
            "attached": "nothing"
            if chosen.control
            else "client and server"
            if chosen.both
            else "server",
            "wiring": "veth pairs into one bridge, as Docker does it",
            "mode": "protect, 5 rules, the second or fourth matches",
        },
    }
    for key, value in about["environment"].items():
        say(f"{key:9} {value}")
    say("")
    bench = Bench(chosen)
    started = time.monotonic()
    try:
        bench.measure()
    except KeyboardInterrupt:
        say("interrupted; everything made was removed")
        return 130
    rows = bench_figures.rows_of(bench.raw)
    about["seconds"] = round(time.monotonic() - started, 1)
    about["problems"] = bench.problems
    if rows:
        say("\n" + bench_report.table(rows))
    if chosen.control:
        say("\ncontrol: nothing was attached; every ratio's true value is 1")
    judged = [row for row in rows if row.held is not None]
    held = sum(bool(row.held) for row in judged)
    say(f"\n{held} of {len(judged)} figures held; {about['seconds']:.0f} s")
    for problem in bench.problems:
        say(f"PROBLEM {problem}")
    write(chosen.output, about, rows, bench.raw)
    return 1 if bench.problems else 0


def write(
    folder: Path, about: dict[str, Any], rows: list[bench_report.Row], raw: Any
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"paths-{time.strftime('%Y%m%d-%H%M%S')}"
    bench_report.write_json(stem.with_suffix(".json"), about, rows, raw)
    say(f"{stem}.json")
    if rows:
        bench_report.draw(stem.with_suffix(".png"), about, rows, raw)
    if stem.with_suffix(".png").exists():
        say(f"{stem}.png")


if __name__ == "__main__":
    raise SystemExit(main())
