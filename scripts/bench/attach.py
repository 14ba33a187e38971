"""An attach as an application feels it: its wall time, the gap in its traffic, its errors.

In: an agent and a world of its own. Out: one record per attach/detach cycle. One pulse goes from
outside to an echo in the server; another from inside the server, because only there does an
application get an errno when a route or an address is away. The same is measured over a window in
which nothing happens: what the pulses show there is the machine's own doing.
"""

from __future__ import annotations

import time
from typing import Any

from scripts.bench.worlds import Agent, World
from tests.lab.net.pulse import Echo, Pulse, Seen, Window

ECHO_PORT = 7002
SETTLE_S = 0.4
"""Before and after each step; what belongs to the step shows within it."""
NAME = "bench-server-attach"


class Pulses:
    """Two senders and their echoes."""

    def __init__(self, world: World) -> None:
        ends = {"outside": world.client, "inside": world.server}
        self._echoes = {where: Echo(box, ECHO_PORT) for where, box in ends.items()}
        self._senders = {}
        for where, box, other in (
            ("outside", world.client, world.server),
            ("inside", world.server, world.client),
        ):
            target = ("connected", "", other.address)
            self._senders[where] = Pulse(box, ECHO_PORT, [target])

    def stop(self) -> dict[str, Seen]:
        """End them, and return what was seen outside and inside: the application that lives there is a sender and an echo."""
        found = {}
        for where, sender in self._senders.items():
            found[where] = sender.stop()
            found[where].errors.extend(self._echoes[where].stop())
        return found


def attach_cycles(agent: Agent, world: World, cycles: int) -> list[dict[str, Any]]:
    """`cycles` times attach and detach of the world's server, under both pulses."""
    pulses = Pulses(world)
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
                agent.attach(world.server, NAME, mode="protect")
            else:
                agent.client.detach(workload=NAME)
            took[f"{step}_ms"] = (time.monotonic() - before) * 1000
            time.sleep(SETTLE_S)
            spans[step] = (before, time.monotonic())
        windows.append((took, spans))
    seen = pulses.stop()
    return [_record(took, spans, seen) for took, spans in windows]


def _record(
    took: dict[str, float], spans: dict[str, Window], seen: dict[str, Seen]
) -> dict[str, Any]:
    record: dict[str, Any] = dict(took)
    for step, window in spans.items():
        start, end = window
        gaps = {where: one.longest_gap_ms(window) for where, one in seen.items()}
        record |= {f"{step}_gap_{where}_ms": gap for where, gap in gaps.items()}
        record[f"{step}_gap_ms"] = max(gaps.values())
        record[f"{step}_errors"] = [
            f"{where}: {call} {name}"
            for where, one in seen.items()
            for at, call, name in one.errors
            if start <= at <= end
        ]
    return record
