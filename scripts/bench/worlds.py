"""What the benchmarks measure in: worlds of namespaces, and agents.

A world has the shape that Docker makes: a host namespace with a bridge, a client and a server whose
eth0 is a veth on that bridge. Every path to compare has a world of its own, all of one shape and all
there from the beginning to the end, so that runs can be interleaved without re-wiring anything.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.net.netns import Lab, Netns, bridge
from tests.lab.pace import wait_for
from tests.lab.processes import cpu_seconds, family, must, proportional_size
from tests.lab.segctl.agent import AgentProcess

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
PREFIX = "10.214"
CPUS = sorted(os.sched_getaffinity(0))
PLACED = {"apart": "a core each", "together": "on one core"}
"""Where a ping-pong's two ends run. `apart`: each on a core of its own, so that every message wakes
another core, tens of µs. `together`: on one core, where a message costs no wake-up, a few µs, so that
whatever the path adds stands out. Left alone, the scheduler moves between the two as it likes and the
figures are a lottery. The engine runs where it likes (sg_cpu_affinity.h)."""

POLICY = """
apiVersion: segctl/v1
groups:
  servers: {selector: {name: "bench-server-*"}}
  clients: {selector: {name: "bench-client-*"}}
  elsewhere: {cidrs: ["192.0.2.0/24", "198.51.100.0/24"]}
modes: {servers: protect, clients: protect}
rules:
  - {id: 1, from: elsewhere, to: servers, action: deny}
  - {id: 2, from: any, to: servers, action: allow}
  - {id: 3, from: servers, to: any, action: allow}
  - {id: 4, from: clients, to: any, action: allow}
  - {id: 5, from: any, to: clients, action: allow}
"""
"""In protect, with a rule that does not match before the one that does."""


@dataclass
class World:
    """A path's own host, client and server. `attached`: segctl's names of those spliced."""

    name: str
    host: Netns
    client: Netns
    server: Netns
    agent: Agent | None = None
    attached: list[str] = field(default_factory=list)
    decided: bool = False
    """The kernel carries its flows once they are judged."""

    def steered(self) -> dict[str, int]:
        """Packets of those attached by counter (`flow_allow`, `to_engine`, drops …)."""
        total: Counter[str] = Counter()
        for name in self.attached:
            total.update(self.agent.counts(name) if self.agent else {})
        return total

    def attach(self, agent: Agent, *, both: bool = False, **options: Any) -> None:
        """The server, or the client too; `options` as the agent's API has them."""
        self.agent = agent
        self.decided = agent.flow_cache and options.get("datapath") != "u32"
        boxes = {"server": self.server} | ({"client": self.client} if both else {})
        for role, box in boxes.items():
            name = f"bench-{role}-{self.name}"
            agent.attach(box, name, mode="protect", **options)
            self.attached.append(name)


class Bed(Lab):
    """Makes worlds. `tools`: where our C programs are, compiled; None: they are made."""

    def __init__(self, tools: Path | None = None) -> None:
        super().__init__("segbench")
        self.tools = tools
        self.left_over: list[str] = []

    def tool(self, name: str) -> Path:
        """One of our C programs."""
        path = (self.tools or self.folder) / name
        if not path.exists():
            compiled(path.parent, [name])
        return path

    def world(self, name: str, number: int) -> World:
        """Bridge br0 and two boxes on it, addresses 10.214.NUMBER.0/24."""
        gateway = f"{PREFIX}.{number}.1/24"
        host = self.netns(f"{name}-host")
        host.batch(*bridge(gateway))
        client, server = (
            self.pod(
                *(f"{name}-{role}", host, f"to-{role}", f"{PREFIX}.{number}.{last}/24"),
                via=(gateway,),
            )
            for role, last in (("client", 2), ("server", 3))
        )
        # A connection's ports are not free again at once.
        client.sysctl("ipv4/ip_local_port_range", "10240 65000")
        return World(name, host, client, server)


def compiled(folder: Path, names: Sequence[str]) -> None:
    """Make these of our C programs, in that folder."""
    for name in names:
        argv = ("gcc", "-O2", "-std=gnu11", "-pthread", "-o", folder / name)
        must(*argv, PROGRAMS / f"{name}.c")


def on_core(placement: str, which: int) -> tuple[str, ...]:
    """What to put before a command: its core, which of them if the ends are apart (0: first, -1: last)."""
    return ("taskset", "-c", str(CPUS[which if placement == "apart" else 0]))


class Agent(AgentProcess):
    """A segctl instance of the benchmark's own, from `agent run` to nothing left."""

    def __init__(self, lab: Bed, role: str, *, flow_cache: bool) -> None:
        super().__init__(f"{lab.tag}-{role}", lab.folder / f"{role}.log")
        self.lab, self.flow_cache = lab, flow_cache
        lab.undo.callback(self.remove)
        self.start("--flow-cache" if flow_cache else "--no-flow-cache")
        wait_for(lambda: self.client.status()["engine"]["state"] == "running", 60)
        self.client.apply_policy(POLICY)

    def pids(self) -> dict[str, list[int]]:
        """The agent's processes, itself first, and the engine's: nobody is counted twice."""
        status = self.client.status()
        engine = status["engine"]["pid"]
        agents = [pid for pid in family(status["pid"]) if pid != engine]
        return {"agent": agents, "engine": [engine]}

    def sizes(self) -> dict[str, list[dict[str, float]]]:
        """What each of them takes, by `proportional_size`."""
        return {
            name: [proportional_size(pid) for pid in pids]
            for name, pids in self.pids().items()
        }

    def remove(self) -> list[str]:
        """See AgentProcess; what the agent should have removed is told."""
        left = super().remove()
        self.lab.left_over += left
        for what in left:
            print(f"  left over by the agent, removed now: {what}", file=sys.stderr)
        return left


def cores_used(agents: Sequence[Agent], seconds: float) -> float:
    """How many cores all agents and engines together take in the next seconds."""
    pids = [pid for one in agents for some in one.pids().values() for pid in some]
    before, started = sum(map(cpu_seconds, pids)), time.monotonic()
    time.sleep(seconds)
    return (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - started)
