"""What one workload's connections cost another: round trips on one core, beside a flood on another.

In: a lab, the decided world, a world whose client floods its server. Out: runs of two paths, `quiet` and
`flooded`. The flood's world is attached by the same agent, client and server, so its SYNs are judged twice
where the first judge lets them pass.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.bench import traffic
from scripts.bench.worlds import POLICY, Agent, Bed, World, on_core

PATHS = {"quiet": "without it", "flooded": "beside it"}
DENIED_PORT = 7999
SYNS_S = 200_000
BEFORE_S, MEASURED_S = 0.3, 1
FLOOD_S = BEFORE_S + MEASURED_S + 0.7
OPENERS = 4
DENY = POLICY.replace(
    "rules:\n",
    f"rules:\n  - {{id: 9, from: clients, to: any, ports: [tcp/{DENIED_PORT}], action: deny}}\n",
)


@contextmanager
def denying(agent: Agent) -> Iterator[None]:
    """The clients may not open DENIED_PORT meanwhile."""
    agent.client.apply_policy(DENY)
    try:
        yield
    finally:
        agent.client.apply_policy(POLICY)


def denied(lab: Bed, world: World) -> list[str]:
    """The command that sends SYNs which policy denies."""
    addresses = (world.client.address, world.server.address)
    asked = (str(DENIED_PORT), str(SYNS_S), str(FLOOD_S))
    return [*on_core("apart", -1), str(lab.tool("syn")), *addresses, *asked]


def opened(lab: Bed, world: World) -> list[str]:
    """The command that opens connections as fast as one core can, both ends on it."""
    to = (world.server.address, str(traffic.PINNED_PORT))
    argv = (str(lab.tool("tcp")), "crr", *to, str(FLOOD_S), str(OPENERS))
    return [*on_core("apart", -1), *argv]


def round_trips(
    path: World, measured: World, flooding: World, flood: list[str]
) -> dict[str, float]:
    """Round trips in the measured world, and how many connections a second were flooded meanwhile."""
    if path.name == "quiet":
        return traffic.tcp_ping_pong(measured, "together", MEASURED_S)
    process = flooding.client.spawn(*flood, stdout=subprocess.PIPE, text=True)
    time.sleep(BEFORE_S)
    told = traffic.tcp_ping_pong(measured, "together", MEASURED_S)
    sent = json.loads(process.communicate(timeout=30)[0])
    many = sent.get("sent", sent.get("times"))
    return {**told, "flood_s": many / sent["seconds"]}
