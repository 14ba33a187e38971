"""Traffic through a world: one run of iperf3, of sockperf, of our own programs, and the search for a UDP
rate.

In: a World with its servers. Out: plain numbers with their units in the key. Each run is short, so
that runs of all paths can be interleaved and the machine's drift hits all of them alike.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from typing import Any

from scripts.bench.worlds import CPUS, Bed, World, on_core
from tests.lab.pace import LabError, wait_for

IPERF_PORT, UDP_PORT, FREE_PORT, PINNED_PORT = 5201, 7001, 7111, 7112
PLACEMENTS = {"apart": 11111, "together": 11112} if CPUS[1:] else {"together": 11112}
"""Of worlds.PLACED those that this machine has → the port of sockperf's server."""
LOSS_ALLOWED = 0.001
KEPT = 0.98
"""Of what was asked for: a sender below it could not keep the rate."""
BEYOND = 1.6
"""Times a lossless flat-out rate: where paced senders are tried."""
SENDERS = min(2, len(CPUS))
"""One cannot send more than a core does, which no path is bound to."""


def serve(lab: Bed, world: World, *names: str) -> None:
    """Start servers (iperf3, sockperf, udp, tcp) in the world's server; return when they listen. Ours for
    TCP run where the scheduler likes, and on one core."""
    tcp = (lab.tool("tcp"), "serve") if "tcp" in names else ()
    known: dict[str, list[tuple[int, tuple[Any, ...]]]] = {
        "iperf3": [(IPERF_PORT, ("iperf3", "-s", "-p", str(IPERF_PORT)))],
        "sockperf": [
            (port, (*on_core(place, -1), "sockperf", "sr", "--tcp", "-p", str(port)))
            for place, port in PLACEMENTS.items()
        ],
        "tcp": [
            (FREE_PORT, (*tcp, str(FREE_PORT))),
            (PINNED_PORT, (*on_core("apart", -1), *tcp, str(PINNED_PORT))),
        ],
    }
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if "udp" in names:
        world.server.spawn(lab.tool("udp"), "receive", str(UDP_PORT), **quiet)
    wanted = [one for name in names for one in known.get(name, ())]
    for _, argv in wanted:
        world.server.spawn(*argv, **quiet)

    def listening() -> bool:
        told = world.server.run("ss", "-Hltn").stdout
        return all(f":{port} " in told for port, _ in wanted)

    wait_for(listening, 20, f"not all of {names} listen in {world.server.name}")


def tcp_stream(world: World, seconds: float) -> dict[str, float]:
    """One iperf3 stream, client to server: what the receiver got."""
    out = world.client.run(
        *("iperf3", "-c", world.server.address, "-p", str(IPERF_PORT)),
        *("-t", f"{seconds:g}", "-J", "--connect-timeout", "5000"),
        seconds=seconds + 30,
    ).stdout
    told = json.loads(out)
    if "error" in told or "sum_received" not in told.get("end", {}):
        raise LabError(f"iperf3: {told.get('error', 'no result')}")
    ended = told["end"]
    return {
        "gbit_s": ended["sum_received"]["bits_per_second"] / 1e9,
        "retransmits": ended["sum_sent"].get("retransmits", 0),
    }


_RATE = re.compile(
    r"\[Valid Duration\] RunTime=([\d.]+) sec; SentMessages=\d+; ReceivedMessages=(\d+)"
)
_PERCENTILE = re.compile(r"percentile ([\d.]+) = *([\d.]+)")


def tcp_ping_pong(world: World, placement: str, seconds: int) -> dict[str, float]:
    """sockperf, one TCP message of 14 bytes there and back at a time: how many, and half of the
    time that each took. `placement`: see worlds.PLACED.
    """
    out = world.client.run(
        *on_core(placement, 0),
        *("sockperf", "pp", "--tcp", "-i", world.server.address),
        *("-p", str(PLACEMENTS[placement]), "-t", str(seconds)),
        seconds=seconds + 30,
    ).stdout
    rate = _RATE.search(out)
    percentiles = {float(at): float(us) for at, us in _PERCENTILE.findall(out)}
    if rate is None or 50.0 not in percentiles:
        raise LabError(f"sockperf told nothing: {out.strip()[-300:]}")
    return {
        "round_trips_s": int(rate[2]) / float(rate[1]),
        "latency_p50_us": percentiles[50.0],
        "latency_p99_us": percentiles[99.0],
    }


def tcp(
    lab: Bed,
    world: World,
    kind: str,
    seconds: float,
    flows: int = 1,
    core: tuple[str, ...] = (),
) -> dict[str, float]:
    """One run of tcp.c, as it told; `core`: what puts the client on one."""
    port = PINNED_PORT if core else FREE_PORT
    out = world.client.run(
        *core,
        *(lab.tool("tcp"), kind, world.server.address, str(port)),
        *(f"{seconds:g}", str(flows)),
        seconds=seconds + 40,
    ).stdout
    told: dict[str, float] = json.loads(out)
    return told


def exchanges(
    lab: Bed, world: World, kind: str, seconds: float, clients: int = 1
) -> dict[str, float]:
    """How many exchanges a second. rr: 64 bytes there and back; crr: connect, the same, close. One client has
    a connection at a time, and the two ends a core each; several run where the scheduler likes."""
    core = on_core("apart", 0) if clients == 1 else ()
    told = tcp(lab, world, kind, seconds, clients, core)
    return {"per_s": told["times"] / told["seconds"]}


def udp_burst(lab: Bed, world: World, rate: float, seconds: float) -> dict[str, float]:
    """64-byte datagrams at a rate (0: as fast as the senders can)."""
    out = world.client.run(
        *(lab.tool("udp"), "send", world.server.address, str(UDP_PORT)),
        *(f"{rate:.0f}", f"{seconds:g}", str(SENDERS)),
        seconds=seconds + 30,
    ).stdout
    told = json.loads(out)
    lost = max(0, told["sent"] - told["received"])
    return {
        "asked_pps": rate,
        "sent_pps": told["sent"] / told["seconds"],
        "received_pps": told["received"] / told["seconds"],
        "loss": lost / told["sent"] if told["sent"] else 1.0,
    }


@dataclass
class RateSearch:
    """The highest rate that arrives but for 0.1 %: first flat out, then halving the interval.

    A rate that failed is tried once more before it counts as too high: one pause of a shared
    machine must not halve the answer. Flat out without loss is not yet the end, because senders that
    never sleep take their cores from the path.
    """

    steps: int
    tries: list[dict[str, float]] = field(default_factory=list)
    low: float = 0.0
    high: float = 0.0
    best_pps: float = 0.0
    sender_limited: bool = False
    """At the best rate the senders could not have sent more."""
    _failed: bool = False

    def next_rate(self) -> float | None:
        """What to send at next; None: the search is over."""
        if not self.tries:
            return 0.0
        if len(self.tries) >= self.steps:
            return None
        return (self.low + self.high) / 2

    def learn(self, told: dict[str, float]) -> None:
        """Take the outcome of next_rate()."""
        self.tries.append(told)
        passed = told["loss"] <= LOSS_ALLOWED
        flat_out = not told["asked_pps"]
        slow = flat_out or told["sent_pps"] < KEPT * told["asked_pps"]
        if passed and told["received_pps"] > self.best_pps:
            self.best_pps = told["received_pps"]
            self.sender_limited = slow
        if flat_out:
            self.low = told["received_pps"] if passed else 0.0
            self.high = told["sent_pps"] * (BEYOND if passed else 1.0)
        elif passed:
            self._failed = False
            if slow:
                self.high = told["asked_pps"]
            else:
                self.low = told["asked_pps"]
        elif not self._failed:
            self._failed = True
        else:
            self._failed = False
            self.high = told["asked_pps"]

    def result(self) -> dict[str, object]:
        return {
            "pps": self.best_pps,
            "sender_limited": self.sender_limited,
            "tries": self.tries,
        }
