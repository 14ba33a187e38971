"""What a packet costs as more pairs are attached: 1, 10, 100, 1000.

In: a lab, rounds. Out: `raw["growth_back"]` and `raw["growth_decided"]`, ns a packet by driver and size.
All sizes of all drivers stand side by side (tests/lab/datapath/pairs.py), with one pair each that carries frames:

    back      frames enter vbr-neuv as the engine sends them, and go to the workload: where u32 walks
              its rules and ebpf looks one entry up
    decided   frames enter the workload's original port, and the verdict cache knows their flow

In u32's list the pair that is measured is the LAST: the cost of a walk past all others. u32's average pair
is met half as far; ebpf has no order. Everything from the frame's entry to the workload's socket runs on
the sender's core (veth pairs hand over in place), so time by frames that arrived is the cost of one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial

from scripts.bench.figures.datapaths import SIZES
from scripts.bench.figures.report import say
from scripts.bench.rounds import Rounds
from scripts.bench.worlds import Bed, on_core
from tests.lab.datapath.pairs import CLIENT_IP, CLIENT_MAC, SERVER_IP, Pairs
from tests.lab.pace import wait_for

PORT = 7113
ARRIVE = 0.95
"""Of what was sent. Below, a core's backlog overflowed, and what was dropped cost something too."""


class Growth(Rounds[Pairs]):
    """All sizes of the drivers, in turn. `keep` is called after each series."""

    def __init__(self, lab: Bed, drivers: list[str], keep: Callable[[], None]) -> None:
        super().__init__(lab)
        self.drivers = drivers
        self.keep = keep

    def measure(self, rounds: int, seconds: float) -> None:
        """Make the pairs, then both series."""
        for size in SIZES:
            for name in self.drivers:
                say(f"{name} with {size} pairs")
                with self.figure(f"growth, {name} with {size} pairs"):
                    self.worlds.append(self._filled(name, size))
        for series in ("back", "decided"):
            if series == "decided":
                self.worlds = [one for one in self.worlds if one.kind == "ebpf"]
            name = f"growth_{series}"
            if self.worlds:
                with self.figure(name):
                    one = partial(self._burst, series=series, seconds=seconds)
                    self.interleave(name, rounds, one)
            self.keep()

    def _filled(self, kind: str, size: int) -> Pairs:
        started = time.monotonic()
        pairs = Pairs(self.lab, kind, size)
        pairs.server.spawn(self.lab.tool("inject"), "sink", str(PORT))
        listening = partial(pairs.server.run, "ss", "-Hlun")
        wait_for(lambda: f":{PORT} " in listening().stdout, 20, "no sink")
        say(f"  filled in {time.monotonic() - started:.1f} s")
        return pairs

    def _burst(self, pairs: Pairs, series: str, seconds: float) -> dict[str, float]:
        """ns for each frame that arrived."""
        where, interface, mac = pairs.entries[series]
        arrived, carried = pairs.arrived(), pairs.carried()
        out = where.run(
            *on_core("apart", 0),
            *(self.lab.tool("inject"), interface),
            *(mac, CLIENT_MAC, CLIENT_IP, SERVER_IP, str(PORT), f"{seconds:g}"),
            seconds=seconds + 40,
        ).stdout
        told = json.loads(out)
        arrived = pairs.arrived() - arrived
        share = arrived / told["sent"]
        if share < ARRIVE:
            raise ValueError(f"of {told['sent']} frames {arrived} arrived")
        if series == "decided" and pairs.carried() - carried < ARRIVE * arrived:
            raise ValueError("the verdict cache did not carry them")
        return {"ns": told["ns"] / share, "arrived": share}
