"""Traffic over the datapaths, in turn: TCP bulk, exchanges and connections, UDP packets.

In: a lab, which paths and figures, how long. Out: `raw`, the runs by series (see compare_figures).
Each path has a world and an agent of its own, all there from the beginning to the end: one instance
keeps the offloads of its vbr-neuv, or has them off, for all of its workloads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench_lab import (
    UDP_PORT,
    Agent,
    BenchError,
    Lab,
    World,
    cpu_seconds,
    family,
    on_core,
    wait_until,
)
from bench_rounds import WorldRounds, say
from compare_figures import PATHS

FREE_PORT, PINNED_PORT = 7111, 7112
FIGURES = ("stream", "rr", "crr", "udp", "growth")
STREAMS = tuple((way, flows) for way in ("up", "down") for flows in (1, 8))
IDLE_S = 2.0

ATTACHED: dict[str, tuple[bool, dict[str, Any]]] = {
    "decided": (True, {"datapath": "ebpf"}),
    "engine": (False, {"datapath": "ebpf"}),
    "u32": (True, {"datapath": "u32"}),
    "classic": (True, {"datapath": "u32", "offload": "off"}),
}
"""Path → whether its engine may fill the verdict cache, and what the server's attach says."""


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

    def __init__(self, lab: Lab, chosen: Chosen, keep: Callable[[], None]) -> None:
        super().__init__(lab)
        self.chosen = chosen
        self.keep = keep
        self.idle = 0.0

    def measure(self) -> None:
        """All that was chosen, of the paths that could be made."""
        names = [name for name in PATHS if name in self.chosen.paths]
        say(f"making the worlds of {', '.join(names)}")
        started = time.monotonic()
        worlds = {name: self.lab.world(name, at) for at, name in enumerate(names, 1)}
        for world in worlds.values():
            start_servers(self.lab, world)
        for world in worlds.values():
            self.lab.settle(world)
        for name, world in worlds.items():
            if self._attached(name, world):
                self.worlds.append(world)
        say(f"  ready in {time.monotonic() - started:.0f} s")
        self.keep()
        self.idle = idle_cores([one.agent for one in self.worlds if one.agent])
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

    def _attached(self, name: str, world: World) -> bool:
        """Whether the world is what its path says, and carries traffic."""
        with self.figure(f"attaching {name}"):
            if name in ATTACHED:
                flow_cache, options = ATTACHED[name]
                # One after the other: in a guest, four at once take longer than one may.
                agent = Agent(self.lab, name, flow_cache=flow_cache)
                self.attach_boxes(world, agent, **options)
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
            raise BenchError("not a byte arrived")
        gbit = told["bytes"] * 8 / 1e9
        spent = max(0.0, told["busy"] - self.idle * told["seconds"])
        return {
            "gbit_s": gbit / told["seconds"],
            "cpu_ms_per_gbit": spent / gbit * 1000,
            "busy_s": told["busy"],
        }


def start_servers(lab: Lab, world: World) -> None:
    """Ours, waiting in the world's server: TCP where the scheduler likes and on one core, UDP."""
    box = world.server
    serve = (lab.tool("bench_tcp"), "serve")
    # A connection's ports are not free again at once.
    world.client.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=10240 65000")
    lab.spawn(*box.command(*serve, str(FREE_PORT)))
    lab.spawn(*box.command(*on_core("apart", -1), *serve, str(PINNED_PORT)))
    lab.spawn(*box.command(lab.tool("bench_udp"), "receive", str(UDP_PORT)))
    ports = (FREE_PORT, PINNED_PORT)
    wait_until(
        lambda: all(f":{port} " in box.run("ss", "-Hltn") for port in ports),
        20,
        f"not all of the ports {ports} are listened to in {box.name}",
    )


def tcp(
    lab: Lab,
    world: World,
    kind: str,
    seconds: float,
    flows: int = 1,
    core: tuple[str, ...] = (),
) -> dict[str, float]:
    """One run of bench_tcp, as it told; `core`: what puts the client on one."""
    port = PINNED_PORT if core else FREE_PORT
    out = world.client.run(
        *core,
        *(lab.tool("bench_tcp"), kind, world.server.ip, str(port)),
        *(f"{seconds:g}", str(flows)),
        seconds=seconds + 40,
    )
    told: dict[str, float] = json.loads(out)
    return told


def exchanges(lab: Lab, world: World, kind: str, seconds: float) -> dict[str, float]:
    """One connection at a time, the two ends on a core each: how many exchanges a second."""
    told = tcp(lab, world, kind, seconds, core=on_core("apart", 0))
    return {"per_s": told["times"] / told["seconds"]}


def idle_cores(agents: list[Agent]) -> float:
    """How many cores all agents and engines together take while there is nothing to do: the others'
    share of it is no part of what a path costs. Not the machine's: a neighbour is no constant.
    """
    pids = {
        pid for agent in agents for own in agent.pids().values() for pid in family(own)
    }
    before, started = sum(map(cpu_seconds, pids)), time.monotonic()
    time.sleep(IDLE_S)
    return (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - started)
