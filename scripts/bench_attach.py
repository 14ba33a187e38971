"""An attach as an application feels it: its wall time, the gap in its traffic, its errors.

In: an agent and a world of its own. Out: one record per attach/detach cycle. One probe sends from
outside to an echo in the server; another sends from inside the server, because only there does an
application get an errno when a route or an address is away. The same is measured over a window in
which nothing happens: what the probes show there is the machine's own doing.
"""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from bench_lab import ECHO_PORT, Agent, BenchError, Box, Lab, World

SETTLE_S = 0.4
"""Before and after each step; what belongs to the step shows within it."""
PROBE = Path(__file__).with_name("bench_probe.py")
NAME = "bench-server-attach"

Window = tuple[float, float]
Seen = dict[str, Any]


class Probes:
    """Two senders and their echoes; `finish` gives what they saw."""

    def __init__(self, lab: Lab, world: World) -> None:
        client, server = world.client, world.server
        self.outside_echo = self._start(lab, client, "echo", str(ECHO_PORT))
        self.inside_echo = self._start(lab, server, "echo", str(ECHO_PORT))
        self.outside = self._start(lab, client, "send", server.ip, str(ECHO_PORT))
        self.inside = self._start(lab, server, "send", client.ip, str(ECHO_PORT))

    @staticmethod
    def _start(lab: Lab, box: Box, *argv: str) -> subprocess.Popen[str]:
        python = ("/usr/bin/python3", "-I", "-S", PROBE)
        command = box.command(*python, *argv)
        return lab.spawn(*command, stdout=subprocess.PIPE, text=True)

    def finish(self) -> dict[str, Seen]:
        """outside and inside: a sender's record, with the errors of the echo beside it."""
        told = {}
        for name in ("outside", "inside", "outside_echo", "inside_echo"):
            process: subprocess.Popen[str] = getattr(self, name)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=10)
            if process.returncode:
                raise BenchError(f"the probe {name} ended with {process.returncode}")
            told[name] = json.loads(out)
        # The application that lives inside is a sender and an echo.
        told["inside"]["errors"] += told["inside_echo"]["errors"]
        told["outside"]["errors"] += told["outside_echo"]["errors"]
        return {name: told[name] for name in ("outside", "inside")}


def longest_gap_ms(arrivals: list[float], window: Window) -> float:
    """The longest time between two echoes (or to the window's ends) in the window."""
    start, end = window
    inside = [start, *(at for at in arrivals if start <= at <= end), end]
    pairs = itertools.pairwise(inside)
    return max(later - earlier for earlier, later in pairs) * 1000


def errors_in(seen: Seen, window: Window) -> list[str]:
    """`call errno` of each error that an application got in the window."""
    start, end = window
    return [f"{call} {name}" for at, call, name in seen["errors"] if start <= at <= end]


def attach_cycles(lab: Lab, agent: Agent, world: World, cycles: int) -> list[Seen]:
    """`cycles` times attach and detach of the world's server, under both probes."""
    probes = Probes(lab, world)
    time.sleep(2 * SETTLE_S)
    windows: list[tuple[dict[str, float], dict[str, Window]]] = []
    for _ in range(cycles):
        took: dict[str, float] = {}
        spans: dict[str, Window] = {}
        started = time.monotonic()
        time.sleep(SETTLE_S)
        spans["quiet"] = (started, time.monotonic())
        for step in ("attach", "detach"):
            before = time.monotonic()
            if step == "attach":
                agent.attach(world.server, NAME)
            else:
                agent.client.detach(workload=NAME)
            took[f"{step}_ms"] = (time.monotonic() - before) * 1000
            time.sleep(SETTLE_S)
            spans[step] = (before, time.monotonic())
        windows.append((took, spans))
    seen = probes.finish()
    return [_record(took, spans, seen) for took, spans in windows]


def _record(
    took: dict[str, float], spans: dict[str, Window], seen: dict[str, Seen]
) -> Seen:
    record: Seen = dict(took)
    for step, window in spans.items():
        errors: list[str] = []
        for where, probe in seen.items():
            record[f"{step}_gap_{where}_ms"] = longest_gap_ms(probe["echoes"], window)
            errors += [f"{where}: {error}" for error in errors_in(probe, window)]
        record[f"{step}_gap_ms"] = max(
            record[f"{step}_gap_{where}_ms"] for where in seen
        )
        record[f"{step}_errors"] = errors
    return record
