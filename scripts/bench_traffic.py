"""Traffic through a world: one run of iperf3, of sockperf, and the search for a UDP rate.

In: a World with its servers. Out: plain numbers with their units in the key. Each run is short, so
that runs of all paths can be interleaved and the machine's drift hits all of them alike.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from bench_lab import (
    CPUS,
    IPERF_PORT,
    PLACEMENTS,
    UDP_PORT,
    BenchError,
    Lab,
    World,
    on_core,
)

LOSS_ALLOWED = 0.001
KEPT = 0.98
"""Of what was asked for: a sender below it could not keep the rate."""
BEYOND = 1.6
"""Times a lossless flat-out rate: where paced senders are tried."""
SENDERS = min(2, len(CPUS))
"""One cannot send more than a core does, which no path is bound to."""


def tcp_stream(world: World, seconds: float) -> dict[str, float]:
    """One iperf3 stream, client to server: what the receiver got."""
    out = world.client.run(
        *("iperf3", "-c", world.server.ip, "-p", str(IPERF_PORT)),
        *("-t", f"{seconds:g}", "-J", "--connect-timeout", "5000"),
        seconds=seconds + 30,
    )
    told = json.loads(out)
    if "error" in told or "sum_received" not in told.get("end", {}):
        raise BenchError(f"iperf3: {told.get('error', 'no result')}")
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
    time that each took. `placement`: see bench_lab.PLACEMENTS.
    """
    out = world.client.run(
        *on_core(placement, 0),
        *("sockperf", "pp", "--tcp", "-i", world.server.ip),
        *("-p", str(PLACEMENTS[placement]), "-t", str(seconds)),
        seconds=seconds + 30,
    )
    rate = _RATE.search(out)
    percentiles = {float(at): float(us) for at, us in _PERCENTILE.findall(out)}
    if rate is None or 50.0 not in percentiles:
        raise BenchError(f"sockperf told nothing: {out.strip()[-300:]}")
    return {
        "round_trips_s": int(rate[2]) / float(rate[1]),
        "latency_p50_us": percentiles[50.0],
        "latency_p99_us": percentiles[99.0],
    }


def udp_burst(lab: Lab, world: World, rate: float, seconds: float) -> dict[str, float]:
    """64-byte datagrams at a rate (0: as fast as the senders can)."""
    out = world.client.run(
        *(lab.tool("bench_udp"), "send", world.server.ip, str(UDP_PORT)),
        *(f"{rate:.0f}", f"{seconds:g}", str(SENDERS)),
        seconds=seconds + 30,
    )
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
