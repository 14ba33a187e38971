"""One engine is in charge: found or started, taught before it reads a frame, replaced where it is dead."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from pyctl import abi
from pyctl.engine import records, supervisor
from pyctl.engine.supervisor import HUNG_AFTER_S, NO_LIMIT, YOUNG_S, Supervisor
from pyctl.errors import (
    NotFoundError,
    RefusedError,
    SegctlError,
    UnreachableError,
    UsageError,
)
from pyctl.model.instance import Instance
from pyctl.model.worker import Worker
from pyctl.model.workload import Counter

RINGS_IN = ["adopt", "cache", "cache", "cache_limit", "taught", "give_rings"]
"""What a new engine is asked, in this order."""


class Rings:
    """A ring set of no device."""

    def __init__(self) -> None:
        self.closed = False
        self.up = True

    def close(self) -> None:
        self.closed = True

    def carries(self) -> bool:
        return self.up

    def on_device(self) -> bool:
        return self.up

    def reopened(self, _netns, _worker) -> Rings:
        return Rings()


class Engine:
    """An engine's process and its answers."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.abi, self.wire = abi.HASH, records.WIRE
        self.workers = 1
        self.rings: Rings | None = None
        self.lives = True
        self.hung = False
        self.killed = False
        self.refuses: dict[str, SegctlError] = {}
        self.said: dict[str, object] = {}
        self.stats: dict[str, object] = {}


class World:
    """A host with at most one engine behind the socket; what it is asked is kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine: Engine | None = None
        self.started: list[Engine] = []
        self.opened: list[Rings] = []
        self.asked: list[tuple[str, dict]] = []
        self.now = 1000.0
        self.start_fails: SegctlError | None = None
        clock = SimpleNamespace(
            CLOCK_MONOTONIC=1,
            monotonic=lambda: self.now,
            clock_gettime_ns=lambda _: int(self.now * 1e9),
        )
        for name, played in (
            ("EngineClient", lambda _path: Client(self)),
            ("start_engine", self.start),
            ("open_rings", self.open_rings),
            ("Running", lambda pid: Process(self.by_pid(pid))),
            ("time", clock),
        ):
            monkeypatch.setattr(supervisor, name, played)

    def found(self) -> Engine:
        """An engine that an earlier agent left, with the rings that it reads."""
        self.engine = Engine(70)
        self.engine.rings = Rings()
        return self.engine

    def by_pid(self, pid: int) -> Engine:
        (one,) = {one for one in (self.engine, *self.started) if one and one.pid == pid}
        return one

    def start(
        self, _instance, *, log_level: str, flow_cache: bool, worker: Worker
    ) -> Client:
        assert self.engine is None or not self.engine.lives, "two engines at once"
        if self.start_fails:
            raise self.start_fails
        self.engine = Engine(100 + len(self.started))
        self.started.append(self.engine)
        self.asked.append(("start", {"level": log_level, "cache": flow_cache}))
        return Client(self)

    def open_rings(self, _netns, *, worker: Worker) -> Rings:
        self.opened.append(Rings())
        return self.opened[-1]

    def ops(self) -> list[str]:
        """What was asked since the last call."""
        found, self.asked = [op for op, _ in self.asked], []
        return found


class Client:
    """A client that asks whichever engine there is."""

    def __init__(self, world: World) -> None:
        self._world = world

    def close(self) -> None: ...

    def peer(self) -> int | None:
        engine = self._world.engine
        return engine.pid if engine and engine.lives else None

    def _engine(self) -> Engine:
        engine = self._world.engine
        if engine is None or not engine.lives or engine.hung:
            raise UnreachableError("nobody answers")
        return engine

    def hello(self) -> dict:
        one = self._engine()
        stats = {"heartbeat_ns": int(self._world.now * 1e9), **one.stats}
        names = ("abi", "wire", "pid", "workers")
        return {"stats": stats, **{name: getattr(one, name) for name in names}}

    def take_rings(self) -> Rings | None:
        return self._engine().rings

    def give_rings(self, rings: Rings) -> None:
        self._engine().rings = rings
        self._world.asked.append(("give_rings", {}))

    def stop(self) -> None:
        self._engine().lives = False
        self._world.asked.append(("stop", {}))

    def __getattr__(self, op: str) -> Callable[..., object]:
        def ask(*of: object, **also: object) -> object:
            engine = self._engine()
            self._world.asked.append((op, {"of": of, **also}))
            if op in engine.refuses:
                raise engine.refuses[op]
            return engine.said.get(op)

        return ask


class Process:
    """A process held by its pidfd."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.pid = engine.pid

    def ended(self, _seconds: float = 0.0) -> bool:
        return not self._engine.lives

    def kill(self) -> None:
        self._engine.lives, self._engine.killed = False, True

    def close(self) -> None: ...


@pytest.fixture
def world(monkeypatch) -> World:
    return World(monkeypatch)


@pytest.fixture
def kept(world) -> Supervisor:
    made = Supervisor(Instance("segt-supervisor"))
    made.on_new_engine = lambda _: world.asked.append(("taught", {}))
    return made


def test_with_no_engine_one_is_started_and_taught_before_it_gets_the_rings(world, kept):
    kept.start()
    assert world.ops() == ["start", *RINGS_IN]
    assert (kept.pid, kept.restarts) == (100, 0)
    assert world.engine.rings is world.opened[0]
    kept.start()
    assert world.ops() == [], "it has one"


def test_its_options_reach_the_engine(world):
    kept = Supervisor(Instance("segt-supervisor"), flow_cache=False, cache_limit=9)
    kept.log_level = "debug"
    kept.start()
    asked = dict(world.asked)
    assert asked["start"] == {"level": "debug", "cache": False}
    assert asked["cache"] == {"of": (), "enabled": False}
    assert asked["cache_limit"] == {"of": (9,)}


def test_a_living_engine_is_found_and_goes_on_with_its_rings(world, kept):
    engine = world.found()
    kept.start()
    assert (kept.pid, kept.restarts, world.opened) == (70, 0, [])
    assert ("cache_limit", {"of": (NO_LIMIT,)}) in world.asked
    assert world.ops() == ["cache", "cache_limit", "log_level"]
    assert engine.lives


def test_a_found_engine_without_rings_is_taught_before_it_gets_some(world, kept):
    world.found().rings = None
    kept.start()
    assert world.ops()[:2] == ["taught", "give_rings"]
    assert world.engine.rings is world.opened[0]


def test_a_found_engine_that_knows_no_limit_goes_on_without(world, kept):
    world.found().refuses["cache_limit"] = UsageError("no such request")
    kept.start()
    assert kept.pid == 70


@pytest.mark.parametrize(("what", "other"), [("abi", "?"), ("wire", None)])
def test_an_engine_of_another_version_is_ended_and_replaced(world, kept, what, other):
    former = world.found()
    setattr(former, what, other)
    kept.start()
    assert (former.lives, former.killed) == (False, False)
    assert kept.pid == 100
    assert world.ops() == ["stop", "start", *RINGS_IN]


def test_a_found_engine_that_hangs_is_killed_and_replaced(world, kept):
    former = world.found()
    former.hung = True
    kept.start()
    assert former.killed
    assert kept.pid == 100


def test_who_calls_a_dead_engine_gets_another_one_once(world, kept):
    kept.start()
    world.engine.lives = False
    world.ops()
    kept.call_engine(lambda engine: engine.sync())
    assert (kept.pid, kept.restarts) == (101, 1)
    assert world.ops() == ["start", *RINGS_IN], "what it is taught includes it"
    kept.call_engine(lambda engine: engine.sync())
    assert world.ops() == ["sync"]
    assert world.engine.rings is world.opened[0], "frames wait in the same ones"


def test_one_that_hangs_is_killed_before_another_is_started(world, kept):
    kept.start()
    world.engine.hung = True
    kept.call_engine(lambda engine: engine.sync())
    assert world.started[0].killed
    assert kept.pid == 101


def test_what_an_engine_refuses_is_no_reason_to_replace_it(world, kept):
    kept.start()
    world.engine.refuses["sync"] = RefusedError("no")
    with pytest.raises(RefusedError):
        kept.call_engine(lambda engine: engine.sync())
    assert kept.restarts == 0


def test_an_engine_that_dies_while_it_is_taught_starts_no_other_from_there(world, kept):
    def teach(_: Supervisor) -> None:
        world.engine.lives = False
        kept.call_engine(lambda engine: engine.sync())

    kept.on_new_engine = teach
    with pytest.raises(UnreachableError):
        kept.start()
    assert len(world.started) == 1
    kept.on_new_engine = lambda _: None
    kept.replace(kept.pid)
    assert kept.healthy()


def test_one_that_cannot_be_taught_is_ended_and_another_is_tried(world, kept):
    """It would answer and count as healthy, and nobody would give it the rings."""

    def teach(_: Supervisor) -> None:
        raise RefusedError("the policy is refused")

    former, kept.on_new_engine = kept.on_new_engine, teach
    with pytest.raises(RefusedError):
        kept.start()
    assert not world.engine.lives
    assert not kept.healthy()
    kept.on_new_engine = former
    kept.replace(kept.pid)
    assert kept.healthy()
    assert world.engine.rings is not None


def test_one_that_ends_while_it_is_found_is_none(world, kept, monkeypatch):
    world.found()

    def running(pid: int) -> Process:
        if pid == 70:
            world.engine.lives = False
            raise NotFoundError("there is no process 70")
        return Process(world.by_pid(pid))

    monkeypatch.setattr(supervisor, "Running", running)
    kept.start()
    assert kept.pid == world.started[0].pid


def test_an_engine_that_was_replaced_meanwhile_is_not_replaced_again(world, kept):
    kept.start()
    former = kept.pid
    kept.replace(former)
    kept.replace(former)
    assert (kept.pid, kept.restarts, len(world.started)) == (101, 1, 2)


def test_where_none_can_be_started_the_next_call_tries_again(world, kept):
    kept.start()
    world.start_fails = SegctlError("no memory")
    with pytest.raises(SegctlError, match="no memory"):
        kept.replace(kept.pid)
    assert kept.pid is None
    assert not kept.healthy()
    world.start_fails = None
    kept.call_engine(lambda engine: engine.sync())
    assert kept.healthy()


def kept_flows(world: World) -> list[bool]:
    return [fields["keep"] for op, fields in world.asked if op == "adopt"]


def test_after_young_deaths_an_engine_starts_without_the_flows_of_the_former(
    world, kept
):
    kept.start()
    for _ in range(3):
        kept.replace(kept.pid)
    assert kept_flows(world) == [True, True, True, False]
    world.now += YOUNG_S + 1
    kept.replace(kept.pid)
    assert kept_flows(world)[-1], "that one lived"


def test_flows_that_cannot_be_taken_over_keep_no_engine_from_starting(
    world, kept, monkeypatch
):
    def refuse(*_of: object, **_also: object) -> None:
        raise SegctlError("another layout")

    monkeypatch.setattr(Client, "adopt", refuse, raising=False)
    kept.start()
    assert world.ops() == ["start", *RINGS_IN[1:]]


def test_it_is_healthy_while_it_lives_and_its_loop_beats(world, kept):
    assert not kept.healthy()
    kept.start()
    assert kept.healthy()
    world.engine.stats = {"heartbeat_ns": int((world.now - HUNG_AFTER_S - 1) * 1e9)}
    assert kept.heartbeat_age() == pytest.approx(HUNG_AFTER_S + 1)
    assert not kept.healthy()
    world.engine.lives = False
    assert kept.heartbeat_age() == float("inf")


def test_its_status_says_whether_frames_reach_it(world, kept):
    kept.start()
    world.engine.stats = {"sessions": 3, "ring_drops": (1, 2, 0), "flows_entries": 5}
    status = kept.status()
    assert (status["state"], status["pid"], status["sessions"]) == ("running", 100, 3)
    assert (status["ring_drops"], status["heartbeat_age_ms"]) == (3, 0.0)
    assert status["flow_map"]["entries"] == 5
    assert status["flow_map"]["capacity"] == 0
    world.opened[0].up = False
    assert kept.status()["state"] == "cut off"
    world.engine.lives = False
    down = kept.status()
    assert (down["state"], down["flow_map"]) == ("down", None)


def test_a_dead_engine_has_nothing_to_tell(kept):
    assert kept.stats() == kept.counters(1) == kept.cache_stats(1) == {}
    assert kept.flow_map([1]) is None
    assert kept.session_count(1) == 0
    assert kept.sessions(10) == kept.names(10) == []
    assert (kept.names_of([]), kept.name_counts(1)) == ([], {})
    assert kept.events(1, ack=0, after=0, limit=1) is None
    assert kept.hits(1, after=0) is None


def test_the_flow_map_of_ports_is_their_sum(world, kept):
    kept.start()
    world.engine.stats = {"flows_capacity": 64}
    world.engine.said |= {
        "cache_stats": {"entries": 2, "refused": 1},
        "counters": {"none": Counter(1, 60, 0)},
    }
    found = kept.flow_map([1, 2])
    assert (found["capacity"], found["entries"], found["refused"]) == (64, 4, 2)
    assert found["evicted"] == 0
    assert kept.counters(1)["none"].packets == 1


def test_rings_on_a_new_device_are_given_to_the_same_engine(world, kept):
    kept.reopen_rings()
    assert world.ops() == [], "there are none yet"
    kept.start()
    world.ops()
    kept.reopen_rings()
    assert world.ops() == ["give_rings"]
    assert world.opened[0].closed
    assert not world.engine.rings.closed
    assert (kept.pid, kept.restarts) == (100, 0)


def test_rings_on_a_new_device_reach_a_new_engine_where_the_former_is_dead(world, kept):
    kept.start()
    world.engine.lives = False
    kept.reopen_rings()
    assert kept.pid == 101
    assert not world.engine.rings.closed


def test_stop_ends_the_engine_and_closes_the_rings(world, kept):
    kept.start()
    kept.stop()
    assert (world.engine.lives, world.engine.killed) == (False, False)
    assert world.opened[0].closed
    assert kept.pid is None
    assert not kept.carries()
    kept.stop()


def test_stop_kills_an_engine_that_does_not_answer(world, kept):
    kept.start()
    world.engine.hung = True
    kept.stop()
    assert world.engine.killed


def test_release_leaves_the_engine_alive(world, kept):
    kept.start()
    kept.release()
    assert world.engine.lives
    assert world.opened[0].closed
    kept.release()


def test_the_next_agent_finds_what_the_former_released(world, kept):
    kept.start()
    kept.release()
    after = Supervisor(Instance("segt-supervisor"))
    after.start()
    assert after.pid == kept.pid
    assert len(world.started) == 1


def test_whether_it_lives_is_seen_while_readers_wait_for_its_answer(silent):
    """They wait five seconds each, one after the other: a hung engine stayed for a minute."""
    kept = Supervisor(Instance("segt-supervisor"))
    silent.is_asked(lambda: kept.counters(1), "counters")
    began = time.monotonic()
    assert kept.heartbeat_age() < HUNG_AFTER_S
    assert time.monotonic() - began < HUNG_AFTER_S


def test_a_hung_engine_is_ended_while_others_wait_for_its_answer(silent, monkeypatch):
    kept = Supervisor(Instance("segt-supervisor"))
    silent.says_hello = False
    for ask, op in (
        (kept.heartbeat_age, "hello"),
        (lambda: kept.counters(1), "counters"),
    ):
        silent.is_asked(ask, op)
    monkeypatch.setattr(supervisor, "start_engine", lambda *_, **__: 1 / 0)
    kept._rings = Rings()  # type: ignore[assignment]
    kept._process = silent  # type: ignore[assignment]
    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        kept.replace(1)
    assert time.monotonic() - began < HUNG_AFTER_S
