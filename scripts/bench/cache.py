"""What the verdict cache is worth: connections, discover mode, bulk after its verdict, revocation.

In: a lab with the worlds of bench-paths. Out: runs by series, as rounds keeps them.
Discover is measured on the decided world, whose server's mode is switched meanwhile. A packet after a
policy counts by the kernel's own time of its arrival, against the moment that `policy apply` returned.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.bench import traffic
from scripts.bench.worlds import POLICY, Agent, World
from tests.lab.net.traffic import Program
from tests.lab.pace import LabError

REVOKE_PORT = 7003
BEFORE_S, AFTER_S = 0.5, 0.5
AT_LEAST = 200
"""Datagrams before the policy, for the zero after it to mean anything."""
DENY = POLICY.replace(
    "rules:\n",
    "rules:\n  - {id: 9, from: any, to: servers, ports: [udp], action: deny}\n",
)

# The kernel's own times of arrival, SO_TIMESTAMPNS (35): not when the program came to read.
_ARRIVALS = """
import struct
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, 35, 1); sock.bind(("0.0.0.0", int(sys.argv[1]))); say(ready=True)
arrived = []
while sys.stdin not in (ready := select.select([sock, sys.stdin], [], [])[0]):
    seconds, ns = struct.unpack("=qq", sock.recvmsg(64, 64)[1][0][2][:16])
    arrived.append(seconds + ns / 1e9)
say(arrived=arrived)
"""
_STEADY = """
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while not select.select([sys.stdin], [], [], 0.0005)[0]:
    sock.sendto(b"still here", (sys.argv[1], int(sys.argv[2])))
say(done=True)
"""


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


def bulk(world: World, seconds: float) -> dict[str, float]:
    """Percent of a stream's packets that went to the engine once it was decided."""
    streaming = threading.Thread(
        target=traffic.tcp_stream, args=(world, seconds + 2), daemon=True
    )
    streaming.start()
    time.sleep(1)
    before = world.steered()
    time.sleep(seconds)
    after = world.steered()
    streaming.join()
    grown = {key: count - before.get(key, 0) for key, count in after.items()}
    kernel, engine = grown.get("flow_allow", 0), grown.get("to_engine", 0)
    if not kernel:
        raise LabError("the stream was not carried by the kernel")
    return {
        "percent": 100 * engine / (kernel + engine),
        "kernel": kernel,
        "engine": engine,
    }


def revoke(world: World, agent: Agent) -> dict[str, float]:
    """Datagrams of an allowed flow that arrive after the policy that denies it was applied."""
    receiver = Program(world.server, _ARRIVALS, str(REVOKE_PORT))
    receiver.heard()
    sender = Program(world.client, _STEADY, world.server.address, str(REVOKE_PORT))
    try:
        time.sleep(BEFORE_S)
        agent.client.apply_policy(DENY)
        applied = time.time()
        time.sleep(AFTER_S)
    finally:
        sender.said("")
        arrived = receiver.said("")["arrived"]
        agent.client.apply_policy(POLICY)
    before = sum(at <= applied for at in arrived)
    if before < AT_LEAST:
        raise LabError(f"only {before} datagrams arrived before the policy")
    return {"after": len(arrived) - before, "before": before}
