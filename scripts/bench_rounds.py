"""Measuring worlds in turn: a round measures each, and the order rotates from round to round.

In: a lab, worlds, a function that measures one. Out: `raw`, the runs by series, each with its round and
path; `problems`, in words. A figure, or a path of it, that cannot be measured must not take the others
with it: what goes wrong is told, not raised. A path that fails twice in a row is left out from then on,
so the n-th run of each path is of the same round, which is what ratios are taken between.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import bench_traffic as traffic
from bench_lab import Agent, BenchError, Lab, World

from pyctl.errors import SegctlError

FAULTS = (
    BenchError,
    SegctlError,
    OSError,
    ValueError,
    KeyError,
    subprocess.SubprocessError,
)
"""What a measurement may end in."""


def say(text: str) -> None:
    print(text, flush=True)


class Place(Protocol):
    """What is measured, each by its name."""

    @property
    def name(self) -> str:
        """Of the path."""


P = TypeVar("P", bound=Place)


class Rounds(Generic[P]):
    """What was measured so far, and how the next is."""

    def __init__(self, lab: Lab) -> None:
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
        before = {
            world.name: world.agent.steered(world.attached)
            for world in self.worlds
            if world.agent
        }
        yield
        for world in self.worlds:
            if not world.agent:
                continue
            now = world.agent.steered(world.attached)
            grown = {
                reason: count - before[world.name].get(reason, 0)
                for reason, count in now.items()
            }
            grown = {reason: count for reason, count in grown.items() if count}
            self.raw.setdefault("steered", {}).setdefault(name, {})[world.name] = grown
            kernel, engine = grown.get("flow_allow", 0), grown.get("to_engine", 0)
            if world.name == "decided" and kernel < share * engine:
                self.problem(
                    f"{name}: the decided path went {engine} times to the engine and "
                    f"only {kernel} times through the kernel"
                )
            if world.name != "decided" and (kernel or not engine):
                self.problem(
                    f"{name}, {world.name}: every packet should go to the engine, but the "
                    f"kernel carried {kernel} and the engine {engine}"
                )

    def attach_boxes(
        self, world: World, agent: Agent, *, both: bool = False, **options: Any
    ) -> None:
        """A world's server, or its client too; `options` as the agent's API has them."""
        world.agent = agent
        boxes = {"server": world.server}
        if both:
            boxes["client"] = world.client
        for role, box in boxes.items():
            name = f"bench-{role}-{world.name}"
            agent.attach(box, name, **options)
            world.attached.append(name)
