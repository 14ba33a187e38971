"""Traffic over the datapaths, in turn: TCP bulk, exchanges and connections, UDP packets.

In: a lab, which paths and figures, how long. Out: `raw`, the runs by series (see datapaths_figures).
Each path has a world and an agent of its own, all there from the beginning to the end: one instance
keeps the offloads of its vbr-neuv, or has them off, for all of its workloads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from scripts.bench.figures.datapaths import PATHS
from scripts.bench.figures.report import say
from scripts.bench.rounds import WorldRounds
from scripts.bench.traffic import exchanges, tcp
from scripts.bench.worlds import Agent, Bed, World, cores_used
from tests.lab.pace import LabError

FIGURES = ("stream", "rr", "crr", "udp", "growth")
STREAMS = tuple((way, flows) for way in ("up", "down") for flows in (1, 8))
IDLE_S = 2.0


@dataclass(frozen=True)
class Chosen:
    """What is measured, and how long. `rounds` of the traffic; growth has its own."""

    paths: tuple[str, ...]
    figures: tuple[str, ...]
    rounds: int
    seconds: float
    udp_steps: int
    growth_rounds: int
    growth_seconds: float


class Traffic(WorldRounds):
    """The figures that are traffic. `keep` is called after each: what there is so far."""

    def __init__(self, lab: Bed, chosen: Chosen, keep: Callable[[], None]) -> None:
        super().__init__(lab)
        self.chosen = chosen
        self.keep = keep
        self.idle = 0.0

    def measure(self) -> None:
        """All that was chosen, of the paths that could be made."""
        names = [name for name in PATHS if name in self.chosen.paths]
        say(f"making the worlds of {', '.join(names)}")
        started = time.monotonic()
        self.make_worlds(names, "tcp", "udp")
        self.worlds = [world for world in self.worlds if self._attached(world)]
        say(f"  ready in {time.monotonic() - started:.0f} s")
        self.keep()
        # The others' share of it is no part of what a path costs. Not the machine's: a neighbour is no
        # constant.
        agents = [one.agent for one in self.worlds if one.agent]
        self.idle = cores_used(agents, IDLE_S)
        self.raw["idle_cores"] = self.idle
        for figure, name, one, share in self._series():
            if figure not in self.chosen.figures:
                continue
            with self.figure(name), self.steering_seen(name, share):
                self.interleave(name, self.chosen.rounds, one)
            self.keep()
        if "udp" in self.chosen.figures:
            with self.figure("udp"), self.steering_seen("udp"):
                seconds = max(0.3, self.chosen.seconds / 3)
                self.udp(self.chosen.rounds, self.chosen.udp_steps, seconds)
            self.keep()

    def _attached(self, world: World) -> bool:
        """Whether the world is what its path says, and carries traffic."""
        path = PATHS[world.name]
        with self.figure(f"attaching {world.name}"):
            if path.attach is not None:
                # One after the other: in a guest, four at once take longer than one may.
                agent = Agent(self.lab, world.name, flow_cache=path.flow_cache)
                world.attach(agent, **path.attach)
            tcp(self.lab, world, "up", 0.2)
            return True
        return False

    def _series(
        self,
    ) -> Iterable[tuple[str, str, Callable[[World], dict[str, float]], int]]:
        """(figure, series, one run, the kernel's share of a decided path)."""
        seconds = self.chosen.seconds
        for way, flows in STREAMS:
            yield (
                *("stream", f"stream_{way}_{flows}"),
                partial(self.stream, way=way, flows=flows, seconds=seconds),
                5,
            )
        rr = partial(exchanges, self.lab, kind="rr", seconds=seconds)
        crr = partial(exchanges, self.lab, kind="crr", seconds=seconds)
        yield "rr", "rr", rr, 5
        # The SYN goes to the engine, the rest of a connection does not.
        yield "crr", "crr", crr, 5

    def stream(
        self, world: World, way: str, flows: int, seconds: float
    ) -> dict[str, float]:
        """Gbit/s, and the milliseconds of CPU (all cores, without what idling costs) for a Gbit."""
        told = tcp(self.lab, world, way, seconds, flows)
        if not told["bytes"]:
            raise LabError("not a byte arrived")
        gbit = told["bytes"] * 8 / 1e9
        spent = max(0.0, told["busy"] - self.idle * told["seconds"])
        return {
            "gbit_s": gbit / told["seconds"],
            "cpu_ms_per_gbit": spent / gbit * 1000,
            "busy_s": told["busy"],
        }
