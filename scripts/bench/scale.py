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
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

from pyctl.datapath.pins import open_map
from scripts.bench import traffic
from scripts.bench.figures.report import say
from scripts.bench.figures.rows import Raw, Row, absolute, ratio_row
from scripts.bench.rounds import Bench, parser_of
from scripts.bench.worlds import PLACED, Agent, World
from tests.lab.net.crowd import Crowd, Member
from tests.lab.net.traffic import Program
from tests.lab.pace import LabError
from tests.lab.processes import descriptors

PATHS = {
    "base": "not intercepted",
    "alone": "the only one attached",
    "crowd": "one of all",
}
FLOW_PORTS, FIRST_PORT = 40, 20000
OPENING_S = 28
"""A UDP flow that nothing is said on is open for 30."""


# Answers each datagram once, on very many ports.
_ECHO = """
import contextlib
poller, sockets = select.epoll(), {}
for port in range(int(sys.argv[1]), int(sys.argv[1]) + int(sys.argv[2])):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20); sock.bind(("0.0.0.0", port))
    sock.setblocking(False); poller.register(sock, select.EPOLLIN); sockets[sock.fileno()] = sock
say(ready=True)
while True:
    for fd, _ in poller.poll():
        with contextlib.suppress(BlockingIOError):
            while True: sockets[fd].sendto(*sockets[fd].recvfrom(64))
"""
# So many sockets' datagrams to all those ports, sent again where no answer came. It keeps its sockets: a
# closed one would answer what is still on its way with an ICMP error.
_OPEN = """
import contextlib, resource
address, first, ports, count = sys.argv[1], *map(int, sys.argv[2:])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
kept, opened = [], 0
for _ in range(count):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.settimeout(0.3); kept.append(sock)
    missing = set(range(first, first + ports))
    for _ in range(3):
        for port in missing: sock.sendto(b"flow", (address, port))
        with contextlib.suppress(TimeoutError):
            while missing: missing.discard(sock.recvfrom(64)[1][1])
    opened += ports - len(missing)
say(opened=opened)
sys.stdin.read()
"""


def options() -> argparse.Namespace:
    parser = parser_of("bench-scale", __doc__)
    parser.add_argument("--workloads", type=int, default=1000, metavar="N")
    parser.add_argument("--flows", type=int, default=200_000, metavar="N")
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="rounds")
    return parser.parse_args()


class Scale(Bench):
    """The measuring, one figure after the other."""

    name = "scale"

    def options(self) -> dict[str, Any]:
        """See Bench."""
        return {"workloads": self.chosen.workloads, "flows": self.chosen.flows}

    def rows(self) -> list[Row]:
        """See Bench."""
        return rows_of(self.raw)

    def measure(self) -> None:
        """See Bench."""
        with self.in_the_lab():
            say(f"making {self.chosen.workloads} namespaces")
            boxes = Crowd(self.lab).join(self.chosen.workloads, "bench-crowd")
            self.make_worlds(PATHS, "sockperf")
            _base, alone, among = self.worlds
            agent = Agent(self.lab, "crowd", flow_cache=True)
            among.attach(agent)
            with self.figure("attach"):
                self.attaching(agent, boxes)
            with self.figure("memory"):
                self.memory(agent)
            other = Agent(self.lab, "alone", flow_cache=True)
            alone.attach(other)
            for place in traffic.PLACEMENTS:
                name = f"rr_{place}"
                one = partial(traffic.tcp_ping_pong, placement=place, seconds=1)
                with self.figure(name), self.steering_seen(name):
                    self.interleave(name, self.chosen.runs, one)
            other.remove()
            with self.figure("flows"):
                self.flows(agent, among)
            with self.figure("detach"):
                self.detaching(agent, boxes)
            say("detaching all")
            started = time.monotonic()
            agent.remove()
            self.raw["remove_s"] = [time.monotonic() - started]

    def attaching(self, agent: Agent, boxes: list[Member]) -> None:
        say(f"attaching {len(boxes)}, one after the other")
        took = self.raw["attach_ms"] = []
        for box in boxes:
            started = time.monotonic()
            agent.attach(box, box.name, mode="protect")
            took.append((time.monotonic() - started) * 1000)

    def detaching(self, agent: Agent, boxes: list[Member]) -> None:
        say("detaching some of them, one after the other")
        took = self.raw["detach_ms"] = []
        for box in boxes[:: max(1, len(boxes) // 50)]:
            started = time.monotonic()
            agent.client.detach(workload=box.name)
            took.append((time.monotonic() - started) * 1000)

    def memory(self, agent: Agent) -> None:
        time.sleep(2)
        sizes = agent.sizes()
        (engine,), (pid, *_) = sizes["engine"], agent.pids()["agent"]
        self.raw["memory"] = {
            "agent_mb": sum(one["pss"] for one in sizes["agent"]),
            "engine_mb": engine["pss"],
            "rings_mb": engine["rings"],
            "descriptors": descriptors(pid),
        }

    def flows(self, agent: Agent, world: World) -> None:
        sockets = self.chosen.flows // FLOW_PORTS
        say(f"opening {sockets * FLOW_PORTS} flows")
        before = agent.sizes()["engine"][0]["pss"], map_bytes(agent)
        numbers = (str(FIRST_PORT), str(FLOW_PORTS))
        Program(world.server, _ECHO, *numbers).heard()
        started = time.monotonic()
        argv = (world.server.address, *numbers, str(sockets))
        opened = Program(world.client, _OPEN, *argv).heard()["opened"]
        seconds = time.monotonic() - started
        open_now = agent.client.status()["engine"]["sessions"]
        after = agent.sizes()["engine"][0]["pss"], map_bytes(agent)
        if seconds > OPENING_S or open_now < 0.99 * sockets * FLOW_PORTS:
            raise LabError(
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


def rows_of(raw: Raw) -> list[Row]:
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


if __name__ == "__main__":
    raise SystemExit(Scale(options()).main())
