"""What the verdict cache is worth: connections, discover mode, bulk after its verdict, revocation.

In: a lab with the worlds of bench-paths. Out: runs by series, as bench_rounds keeps them.
Discover is measured on the decided world, whose server's mode is switched meanwhile. A packet after a
policy counts by the kernel's own time of its arrival, against the moment that `policy apply` returned.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bench_traffic as traffic
from bench_lab import (
    POLICY,
    Agent,
    BenchError,
    Lab,
    World,
    first_line,
    on_core,
    wait_until,
)
from compare_paths import PINNED_PORT, exchanges

REVOKE_PORT = 7003
REVOKE = Path(__file__).with_name("bench_revoke.py")
BEFORE_S, AFTER_S = 0.5, 0.5
AT_LEAST = 200
"""Datagrams before the policy, for the zero after it to mean anything."""
DENY = POLICY.replace(
    "rules:\n",
    "rules:\n  - {id: 9, from: any, to: servers, ports: [udp], action: deny}\n",
)


def start_servers(lab: Lab, world: World) -> None:
    """The end of the connections."""
    world.client.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=10240 65000")
    serve = (lab.tool("bench_tcp"), "serve", str(PINNED_PORT))
    lab.spawn(*world.server.command(*on_core("apart", -1), *serve))
    wait_until(
        lambda: f":{PINNED_PORT} " in world.server.run("ss", "-Hltn"),
        10,
        f"port {PINNED_PORT} is not listened to in {world.server.name}",
    )


def connections(lab: Lab, world: World, seconds: float) -> dict[str, float]:
    """Connect, 64 bytes there and back, close: how many a second."""
    return exchanges(lab, world, "crr", seconds)


@contextmanager
def discovered(world: World, agent: Agent) -> Iterator[None]:
    """The world's workloads in discover meanwhile."""
    for name in world.attached:
        agent.client.set_mode(name, "discover")
    try:
        yield
    finally:
        for name in world.attached:
            agent.client.set_mode(name, "auto")


def bulk(world: World, agent: Agent, seconds: float) -> dict[str, float]:
    """Percent of a stream's packets that went to the engine once it was decided."""
    streaming = threading.Thread(
        target=traffic.tcp_stream, args=(world, seconds + 2), daemon=True
    )
    streaming.start()
    time.sleep(1)
    before = agent.steered(world.attached)
    time.sleep(seconds)
    after = agent.steered(world.attached)
    streaming.join()
    grown = {key: count - before.get(key, 0) for key, count in after.items()}
    kernel, engine = grown.get("flow_allow", 0), grown.get("to_engine", 0)
    if not kernel:
        raise BenchError("the stream was not carried by the kernel")
    return {
        "percent": 100 * engine / (kernel + engine),
        "kernel": kernel,
        "engine": engine,
    }


def revoke(lab: Lab, world: World, agent: Agent) -> dict[str, float]:
    """Datagrams of an allowed flow that arrive after the policy that denies it was applied."""
    python = ("/usr/bin/python3", "-I", "-S", REVOKE)
    receiver = lab.spawn(
        *world.server.command(*python, "receive", str(REVOKE_PORT)),
        stdout=subprocess.PIPE,
        text=True,
    )
    first_line(receiver)
    ends = (*python, "send", world.server.ip, str(REVOKE_PORT))
    sender = lab.spawn(*world.client.command(*ends))
    try:
        time.sleep(BEFORE_S)
        agent.client.apply_policy(DENY)
        applied = time.time()
        time.sleep(AFTER_S)
    finally:
        sender.send_signal(signal.SIGTERM)
        sender.wait(timeout=10)
        receiver.send_signal(signal.SIGTERM)
        arrived = json.loads(receiver.communicate(timeout=10)[0])
        agent.client.apply_policy(POLICY)
    before = sum(at <= applied for at in arrived)
    if before < AT_LEAST:
        raise BenchError(f"only {before} datagrams arrived before the policy")
    return {"after": len(arrived) - before, "before": before}
