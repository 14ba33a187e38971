"""Measuring worlds in turn: a round measures each, and the order rotates from round to round.

In: a lab, worlds, a function that measures one. Out: `raw`, the runs by series, each with its round and
path; `problems`, in words. A figure, or a path of it, that cannot be measured must not take the others
with it: what goes wrong is told, not raised. A path that fails twice in a row is left out from then on,
so the n-th run of each path is of the same round, which is what ratios are taken between.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pyctl.errors import SegctlError
from scripts.bench import traffic
from scripts.bench.figures.chart import Panel
from scripts.bench.figures.report import environment, now, publish, say, table
from scripts.bench.figures.rows import Row
from scripts.bench.worlds import ROOT, Bed, World
from tests.lab.pace import LabError

FAULTS = (
    LabError,
    SegctlError,
    OSError,
    ValueError,
    KeyError,
    subprocess.SubprocessError,
)
"""What a measurement may end in."""


def parser_of(prog: str, text: str | None) -> argparse.ArgumentParser:
    """What all benchmarks' command lines have."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        *("-o", "--output"),
        metavar="DIR",
        type=Path,
        default=ROOT / "bench-results",
        help="where the results go (default: bench-results)",
    )
    return parser


class Place(Protocol):
    """What is measured, each by its name."""

    @property
    def name(self) -> str:
        """Of the path."""


P = TypeVar("P", bound=Place)


class Rounds(Generic[P]):
    """What was measured so far, and how the next is."""

    def __init__(self, lab: Bed) -> None:
        self.lab = lab
        self.raw: dict[str, Any] = {}
        self.problems: list[str] = []
        self.worlds: list[P] = []

    @contextmanager
    def figure(self, name: str) -> Iterator[None]:
        """What goes wrong inside is that figure's problem."""
        try:
            yield
        except FAULTS as error:
            self.problem(f"{name}: {type(error).__name__}: {error}")

    @contextmanager
    def in_the_lab(self) -> Iterator[None]:
        """Set up in there, and end with nothing left over."""
        with self.figure("set-up"), self.lab:
            yield
        self.problems += [f"left over by segctl: {it}" for it in self.lab.left_over]

    def problem(self, text: str) -> None:
        self.problems.append(text)
        say(f"  PROBLEM {text}")

    def in_turn(self, round_number: int) -> list[P]:
        """The worlds, beginning with another one each round."""
        at = round_number % len(self.worlds)
        return self.worlds[at:] + self.worlds[:at]

    def interleave(
        self, name: str, rounds: int, measure: Callable[[P], dict[str, float]]
    ) -> None:
        say(f"{name}: {rounds} rounds of {', '.join(one.name for one in self.worlds)}")
        runs = self.raw.setdefault(name, [])
        broken: set[str] = set()
        for number in range(rounds):
            for world in self.in_turn(number):
                told = self._tried(name, world, broken, measure)
                if told is not None:
                    runs.append({"round": number, "path": world.name, **told})

    def _tried(
        self,
        figure: str,
        world: P,
        broken: set[str],
        measure: Callable[[P], dict[str, float]],
    ) -> dict[str, float] | None:
        """None: broken, now or before. One hiccup of a shared machine is forgiven."""
        if world.name in broken:
            return None
        try:
            try:
                return measure(world)
            except FAULTS:
                return measure(world)
        except FAULTS as error:
            broken.add(world.name)
            self.problem(f"{figure}, {world.name}: {type(error).__name__}: {error}")
            return None


class WorldRounds(Rounds[World]):
    """Of worlds of namespaces, with traffic in them."""

    def make_worlds(self, names: Iterable[str], *servers: str) -> None:
        """A world for each path, with these servers in it; nothing is attached."""
        for number, name in enumerate(names, 1):
            world = self.lab.world(name, number)
            traffic.serve(self.lab, world, *servers)
            self.worlds.append(world)

    def udp(self, rounds: int, steps: int, seconds: float) -> None:
        say(f"udp: {rounds} rounds of searching each path's rate, step by step in turn")
        runs = self.raw.setdefault("udp", [])
        broken: set[str] = set()
        for number in range(rounds):
            searches = {world.name: traffic.RateSearch(steps) for world in self.worlds}
            for step in range(steps):
                for world in self.in_turn(number + step):
                    search = searches[world.name]
                    rate = search.next_rate()
                    if rate is None:
                        continue
                    one = partial(
                        traffic.udp_burst, self.lab, rate=rate, seconds=seconds
                    )
                    told = self._tried("udp", world, broken, one)
                    if told is not None:
                        search.learn(told)
            runs += [
                {"round": number, "path": path, **search.result()}
                for path, search in searches.items()
                if path not in broken
            ]

    @contextmanager
    def steering_seen(self, name: str, share: int = 20) -> Iterator[None]:
        """Proof that each path was what it is called: who carried the packets meanwhile. `share`: how
        many the kernel carries of a decided path for one that goes to the engine; 0: any.
        """
        before = {world.name: world.steered() for world in self.worlds}
        yield
        for world in self.worlds:
            if not world.agent:
                continue
            grown = {
                reason: more
                for reason, count in world.steered().items()
                if (more := count - before[world.name].get(reason, 0))
            }
            self.raw.setdefault("steered", {}).setdefault(name, {})[world.name] = grown
            kernel, engine = grown.get("flow_allow", 0), grown.get("to_engine", 0)
            if world.decided and kernel < share * engine:
                self.problem(
                    f"{name}, {world.name}: a decided path went {engine} times to the engine "
                    f"and only {kernel} times through the kernel"
                )
            if not world.decided and (kernel or not engine):
                self.problem(
                    f"{name}, {world.name}: every packet should go to the engine, but the "
                    f"kernel carried {kernel} and the engine {engine}"
                )


class Bench(WorldRounds):
    """One that is a program of its own: what it is told, and how its runs become figures."""

    name = ""
    heading = ""

    def __init__(self, chosen: argparse.Namespace) -> None:
        super().__init__(Bed())
        self.chosen = chosen

    def options(self) -> dict[str, Any]:
        """What the report says was asked for."""
        raise NotImplementedError

    def measure(self) -> None:
        """Everything that was asked for."""
        raise NotImplementedError

    def rows(self) -> list[Row]:
        """The figures of `raw`."""
        raise NotImplementedError

    def verdict(self, _rows: list[Row], _seconds: float) -> str:
        """What is said below the table."""
        return ""

    def drawn(self, _rows: list[Row]) -> list[Panel]:
        """What the chart shows."""
        return []

    def main(self) -> int:
        """Measure, tell, write; 1 where something could not be measured."""
        interruptible(signal.SIGINT)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        about: dict[str, Any] = {
            "time": now(),
            "environment": environment(),
            "options": self.options(),
        }
        for key, value in about["environment"].items():
            say(f"{key:9} {value}")
        say("")
        started = time.monotonic()
        try:
            self.measure()
        except KeyboardInterrupt:
            say("interrupted; everything made was removed")
            return 130
        rows = self.rows()
        seconds = time.monotonic() - started
        about |= {"seconds": round(seconds, 1), "problems": self.problems}
        if rows:
            say("\n" + table(rows))
        say(self.verdict(rows, seconds))
        for problem in self.problems:
            say(f"PROBLEM {problem}")
        stem = self.chosen.output / self.name
        publish(stem, about, rows, self.raw, self.heading, self.drawn(rows))
        return 1 if self.problems else 0


def interruptible(*numbers: signal.Signals) -> None:
    """End as ^C does, cleaning up: a shell's background job is started with SIGINT ignored."""
    for number in numbers:
        signal.signal(number, signal.default_int_handler)
