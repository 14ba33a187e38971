"""What a full host costs: very many attached namespaces, very many open flows.

    base     not intercepted
    alone    the server is the only one that its agent has attached
    crowd    the server is one of all those that another agent has attached

Round trips are measured in turn, in worlds of one shape that all stand from the beginning to the end,
with the crowd beside all three: what differs is how many segctl has attached, not how many there are.
Memory of a flow is what the engine grew by, and the whole flow map, in parts of the flows open.
Results: a table here, JSON with every run in bench-results/.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import bench_report
import bench_traffic as traffic
from bench_crowd import crowd
from bench_figures import absolute, ratio_row
from bench_lab import (
    PLACEMENTS,
    ROOT,
    Agent,
    BenchError,
    Box,
    Lab,
    World,
    family,
    first_line,
    proportional_size,
)
from bench_report import PLACED, Row
from bench_rounds import WorldRounds, say

from pyctl.datapath.pins import open_map

PATHS = {
    "base": "not intercepted",
    "alone": "the only one attached",
    "crowd": "one of all",
}
FLOW_PORTS, FIRST_PORT = 40, 20000
FLOWS_SCRIPT = Path(__file__).with_name("bench_scale_flows.py")
OPENING_S = 28
"""A UDP flow that nothing is said on is open for 30."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench-scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workloads", type=int, default=1000, metavar="N")
    parser.add_argument("--flows", type=int, default=200_000, metavar="N")
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="rounds")
    parser.add_argument(
        *("-o", "--output"),
        metavar="DIR",
        type=Path,
        default=ROOT / "bench-results",
        help="where the JSON goes (default: bench-results)",
    )
    return parser.parse_args()


class Scale(WorldRounds):
    """The measuring, one figure after the other."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        super().__init__(Lab())
        self.chosen = chosen

    def measure(self) -> None:
        with self.figure("set-up"), self.lab:
            say(f"making {self.chosen.workloads} namespaces")
            self.lab.compile_tools("bench_udp")
            boxes = crowd(self.lab, self.chosen.workloads)
            self.worlds = [self.lab.world(name, at) for at, name in enumerate(PATHS, 1)]
            _base, alone, among = self.worlds
            for world in self.worlds:
                self.lab.start_servers(world)
            for world in self.worlds:
                self.lab.settle(world)
            agent = Agent(self.lab, "crowd", flow_cache=True)
            self.attach_boxes(among, agent)
            with self.figure("attach"):
                self.attaching(agent, boxes)
            with self.figure("memory"):
                self.memory(agent)
            other = Agent(self.lab, "alone", flow_cache=True)
            self.attach_boxes(alone, other)
            with self.figure("rr"):
                self.round_trips()
            other.remove()
            with self.figure("flows"):
                self.flows(agent, among)
            with self.figure("detach"):
                self.detaching(agent, boxes)
            say("detaching all")
            started = time.monotonic()
            agent.remove()
            self.raw["remove_s"] = [time.monotonic() - started]
        self.problems += [f"left over by segctl: {it}" for it in self.lab.left_over]

    def attaching(self, agent: Agent, boxes: list[Box]) -> None:
        say(f"attaching {len(boxes)}, one after the other")
        took = self.raw["attach_ms"] = []
        for box in boxes:
            started = time.monotonic()
            agent.attach(box, box.name)
            took.append((time.monotonic() - started) * 1000)

    def detaching(self, agent: Agent, boxes: list[Box]) -> None:
        say("detaching some of them, one after the other")
        took = self.raw["detach_ms"] = []
        for box in boxes[:: max(1, len(boxes) // 50)]:
            started = time.monotonic()
            agent.client.detach(workload=box.name)
            took.append((time.monotonic() - started) * 1000)

    def memory(self, agent: Agent) -> None:
        time.sleep(2)
        pids = agent.pids()
        engine = proportional_size(pids["engine"])
        others = [pid for pid in family(pids["agent"]) if pid != pids["engine"]]
        self.raw["memory"] = {
            "agent_mb": sum(proportional_size(pid)["pss"] for pid in others),
            "engine_mb": engine["pss"],
            "rings_mb": engine["rings"],
            "descriptors": len(list(Path(f"/proc/{pids['agent']}/fd").iterdir())),
        }

    def round_trips(self) -> None:
        for place in PLACEMENTS:
            name = f"rr_{place}"
            before = [self.carried(world) for world in self.worlds]
            one = partial(traffic.tcp_ping_pong, placement=place, seconds=1)
            self.interleave(name, self.chosen.runs, one)
            for world, was in zip(self.worlds, before, strict=True):
                kernel, engine = (
                    now - then
                    for now, then in zip(self.carried(world), was, strict=True)
                )
                if world.agent and kernel < 20 * engine:
                    self.problem(
                        f"{name}, {world.name}: the kernel carried {kernel} packets, the engine {engine}"
                    )

    @staticmethod
    def carried(world: World) -> tuple[int, int]:
        """Packets by kernel, by engine."""
        seen = world.agent.steered(world.attached) if world.agent else {}
        return seen.get("flow_allow", 0), seen.get("to_engine", 0)

    def flows(self, agent: Agent, world: World) -> None:
        sockets = self.chosen.flows // FLOW_PORTS
        say(f"opening {sockets * FLOW_PORTS} flows")
        engine = agent.pids()["engine"]
        before = proportional_size(engine)["pss"], map_bytes(agent)
        python = ("/usr/bin/python3", "-I", "-S", FLOWS_SCRIPT)
        numbers = (str(FIRST_PORT), str(FLOW_PORTS))
        echo = self.lab.spawn(
            *world.server.command(*python, "echo", *numbers), stdout=subprocess.PIPE
        )
        first_line(echo)
        started = time.monotonic()
        opener = self.lab.spawn(
            *world.client.command(
                *python, "open", world.server.ip, *numbers, str(sockets)
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        opened = json.loads(first_line(opener))["opened"]
        seconds = time.monotonic() - started
        open_now = agent.client.status()["engine"]["sessions"]
        after = proportional_size(engine)["pss"], map_bytes(agent)
        if seconds > OPENING_S or open_now < 0.99 * sockets * FLOW_PORTS:
            raise BenchError(
                f"{opened} were opened in {seconds:.0f} s, but {open_now} are open"
            )
        self.raw["flows"] = {
            "open": open_now,
            "seconds": seconds,
            "engine_bytes": (after[0] - before[0]) * 1e6 / open_now,
            "map_bytes": after[1] / open_now,
            "map_empty_bytes": before[1],
        }


def map_bytes(agent: Agent) -> int:
    """What the kernel counts for the flow map of IPv4, its buckets too."""
    with open_map(agent.instance, "seg_flows4") as flows:
        told = Path(f"/proc/self/fdinfo/{flows.fileno()}").read_text()
    return next(
        int(line.split()[1])
        for line in told.splitlines()
        if line.startswith("memlock:")
    )


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def rows_of(raw: dict[str, Any]) -> list[Row]:
    rows = []
    if took := raw.get("attach_ms"):
        rows += [
            Row(
                *("attach_p95", f"attach, of {len(took)}, 95th percentile", "ms"),
                *([p95(took)],),
                at_most=300,
            ),
            Row("attach_first", "attach, the first hundred", "ms", took[:100]),
            Row("attach_last", "attach, the last hundred", "ms", took[-100:]),
        ]
    if memory := raw.get("memory"):
        told = ("pss_agent", "agent, proportional set size", "MB")
        note = (
            f"engine {memory['engine_mb']:.0f} MB, of it rings {memory['rings_mb']:.0f}; "
            f"{memory['descriptors']} descriptors"
        )
        rows.append(Row(*told, [memory["agent_mb"]], at_most=400, note=note))
    for place, words in PLACED.items():
        runs = raw.get(f"rr_{place}", [])
        rows += ratio_row(
            *(runs, "round_trips_s", "crowd", f"rr_{place}"),
            f"TCP round trips/s, one of all ÷ the only one ({words})",
            below="alone",
            at_least=0.95,
        )
        rows += absolute(
            *(runs, "round_trips_s", f"round_trips_{place}"),
            *(f"TCP round trips ({words})", "k/s"),
            scale=1e-3,
            paths=PATHS,
        )
    if flows := raw.get("flows"):
        each = flows["engine_bytes"] + flows["map_bytes"]
        note = (
            f"{flows['open']} open: engine {flows['engine_bytes']:.0f}, "
            f"map {flows['map_bytes']:.0f} with its buckets"
        )
        told = ("flow_bytes", "memory of a flow, engine and map", "bytes")
        rows.append(Row(*told, [each], at_most=1024, note=note))
    if took := raw.get("detach_ms"):
        rows.append(
            Row("detach", "detach, all others attached, all flows open", "ms", took)
        )
    if raw.get("remove_s"):
        rows.append(
            Row("remove", "detach all the others and end", "s", raw["remove_s"])
        )
    return rows


def main() -> int:
    chosen = options()
    # A shell's background job is started with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    about: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "environment": bench_report.environment(),
        "options": {"workloads": chosen.workloads, "flows": chosen.flows},
    }
    for key, value in about["environment"].items():
        say(f"{key:9} {value}")
    bench = Scale(chosen)
    started = time.monotonic()
    try:
        bench.measure()
    except KeyboardInterrupt:
        say("interrupted; everything made was removed")
        return 130
    rows = rows_of(bench.raw)
    about["seconds"] = round(time.monotonic() - started, 1)
    about["problems"] = bench.problems
    if rows:
        say("\n" + bench_report.table(rows))
    for problem in bench.problems:
        say(f"PROBLEM {problem}")
    chosen.output.mkdir(parents=True, exist_ok=True)
    path = chosen.output / f"scale-{time.strftime('%Y%m%d-%H%M%S')}.json"
    bench_report.write_json(path, about, rows, bench.raw)
    say(str(path))
    return 1 if bench.problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
