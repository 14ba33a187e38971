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
import time
from dataclasses import replace
from functools import partial
from typing import Any

from scripts.bench import cache, flood, traffic
from scripts.bench.attach import attach_cycles
from scripts.bench.figures import paths as paths_figures
from scripts.bench.figures.chart import Panel
from scripts.bench.figures.report import say
from scripts.bench.figures.rows import Row
from scripts.bench.rounds import Bench, parser_of
from scripts.bench.worlds import ROOT, Agent, World, cores_used
from tests.lab.processes import must
from tests.lab.segctl.agent import SEGCTL

COMPARED = ("stream", "rr", "udp", "crr")
CACHED = ("discover", "bulk", "revoke", "flood")
FIGURES = ("help", "memory", "attach", *COMPARED, *CACHED, "demo")
FULL = {"stream": 5, "rr": 10, "udp": 5, "crr": 8, "attach": 12, "help": 10}
FULL |= {"discover": 8, "bulk": 3, "revoke": 5, "flood": 8}
QUICK = {"stream": 3, "rr": 4, "udp": 1, "crr": 3, "attach": 4, "help": 5}
QUICK |= {"discover": 3, "bulk": 1, "revoke": 2, "flood": 3}
DEMO_SECONDS = 600
CLIENTS = 4


def options() -> argparse.Namespace:
    parser = parser_of("bench-paths", __doc__)
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


class PathsBench(Bench):
    """The measuring, one figure after the other."""

    name, heading = "paths", "what interception costs"

    def options(self) -> dict[str, Any]:
        """See Bench."""
        attached = "client and server" if self.chosen.both else "server"
        return {
            "quick": self.chosen.quick,
            "attached": "nothing" if self.chosen.control else attached,
            "wiring": "veth pairs into one bridge, as Docker does it",
            "mode": "protect, 5 rules, the second or fourth matches",
        }

    def rows(self) -> list[Row]:
        """See Bench."""
        return paths_figures.rows_of(self.raw)

    def drawn(self, rows: list[Row]) -> list[Panel]:
        """See Bench."""
        return paths_figures.drawn(self.raw, rows)

    def verdict(self, rows: list[Row], seconds: float) -> str:
        """See Bench."""
        told = ""
        if self.chosen.control:
            told = "\ncontrol: nothing was attached; every ratio's true value is 1\n"
        judged = [row for row in rows if row.held is not None]
        held = sum(bool(row.held) for row in judged)
        return f"{told}\n{held} of {len(judged)} figures held; {seconds:.0f} s"

    def rounds(self, figure: str) -> int:
        return self.chosen.runs or (QUICK if self.chosen.quick else FULL)[figure]

    def measure(self) -> None:
        """Everything that was asked for."""
        wanted = self.chosen.wanted
        if "help" in wanted:
            with self.figure("help"):
                self.time_help()
        if wanted & {"memory", "attach", *COMPARED, *CACHED}:
            with self.in_the_lab():
                self.traffic(wanted)
        if "demo" in wanted:
            with self.figure("demo"):
                self.time_demo()

    def time_help(self) -> None:
        say("segctl --help")
        self.raw["help"] = []
        # The first one fills the page cache.
        for index in range(self.rounds("help") + 1):
            started = time.monotonic()
            must(SEGCTL, "--help")
            if index:
                self.raw["help"].append(time.monotonic() - started)

    def time_demo(self) -> None:
        say("./scripts/demo")
        must(ROOT / "scripts/bootstrap", seconds=DEMO_SECONDS)
        started = time.monotonic()
        must(ROOT / "scripts/demo", seconds=DEMO_SECONDS)
        self.raw["demo"] = [time.monotonic() - started]

    def traffic(self, wanted: set[str]) -> None:
        say("making namespaces")
        self.make_worlds(paths_figures.PATHS, "iperf3", "sockperf", "udp", "tcp")
        if self.chosen.control:
            self.compare(wanted)
            return
        # One agent alone first: two would share pages, and each would look smaller.
        cached = Agent(self.lab, "cached", flow_cache=True)
        self.worlds[1].attach(cached, both=self.chosen.both)
        if "memory" in wanted:
            with self.figure("memory"):
                self.memory(cached, "before load")
        if "attach" in wanted:
            with self.figure("attach"):
                self.attaching(cached)
        if wanted & set(CACHED):
            self.verdict_cache(wanted, cached)
        if wanted & set(COMPARED):
            uncached = Agent(self.lab, "uncached", flow_cache=False)
            self.worlds[2].attach(uncached, both=self.chosen.both)
            self.compare(wanted)
            uncached.remove()
            if "memory" in wanted:
                with self.figure("memory"):
                    self.memory(cached, "after load")

    def memory(self, agent: Agent, when: str) -> None:
        say(f"memory of agent and engine, {when}")
        time.sleep(3)
        used = cores_used([agent], 3)
        sizes = agent.sizes()
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
                "cpu_percent": used * 100,
            }
        )

    def attaching(self, agent: Agent) -> None:
        cycles = self.rounds("attach")
        say(f"attach and detach under a 1 ms probe, {cycles} times")
        world = self.lab.world("attach", 9)
        self.raw["attach"] = attach_cycles(agent, world, cycles)

    def verdict_cache(self, wanted: set[str], agent: Agent) -> None:
        """What needs a policy or a mode of its own, on the decided world."""
        every, self.worlds = self.worlds, self.worlds[:2]
        seconds = 1 if self.chosen.quick else 3
        decided = self.worlds[1]
        if "discover" in wanted:
            with self.figure("discover"), cache.discovered(decided, agent):
                one = partial(traffic.tcp_stream, seconds=seconds)
                self.interleave("discover", self.rounds("discover"), one)
                self.connections("discover_crr", self.rounds("discover"), seconds)
        if "flood" in wanted:
            with self.figure("flood"):
                self.floods(decided, agent)
        self.worlds = [decided]
        if "bulk" in wanted:
            with self.figure("bulk"):
                one = partial(cache.bulk, seconds=seconds)
                self.interleave("bulk", self.rounds("bulk"), one)
        if "revoke" in wanted:
            with self.figure("revoke"):
                one = partial(cache.revoke, agent=agent)
                self.interleave("revoke", self.rounds("revoke"), one)
        self.worlds = every

    def connections(self, name: str, rounds: int, seconds: int) -> None:
        """Connect, request, close: by one client, and by four at once."""
        for suffix, clients in (("", 1), ("_many", CLIENTS)):
            one = partial(
                traffic.exchanges,
                self.lab,
                kind="crr",
                seconds=seconds,
                clients=clients,
            )
            self.interleave(name + suffix, rounds, one)

    def floods(self, decided: World, agent: Agent) -> None:
        world = self.lab.world("flood", 8)
        traffic.serve(self.lab, world, "tcp")
        world.attach(agent, both=True)
        self.worlds = [replace(decided, name=name) for name in flood.PATHS]
        with flood.denying(agent):
            for name, command in (
                ("flood_denied", flood.denied(self.lab, world)),
                ("flood_opened", flood.opened(self.lab, world)),
            ):
                one = partial(
                    flood.round_trips, measured=decided, flooding=world, flood=command
                )
                self.interleave(name, self.rounds("flood"), one)

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
            for place in traffic.PLACEMENTS:
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
                self.connections("crr", self.rounds("crr"), seconds)
        if "udp" in wanted:
            with self.figure("udp"), self.steering_seen("udp"):
                self.udp(self.rounds("udp"), *((9, 0.4) if quick else (13, 0.5)))


if __name__ == "__main__":
    raise SystemExit(PathsBench(options()).main())
