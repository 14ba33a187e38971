"""A dead engine is replaced by the controller, one that lives by its turn is not; events are fetched meanwhile."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from pyctl.controller.loop import Loop
from pyctl.errors import RefusedError, SegctlError
from pyctl.model.worker import ALONE
from pyctl.observe import engine_watch
from pyctl.observe.engine_watch import EngineWatch
from tests.lab.pace import wait_for
from tests.unit.observe.makers import Looks, Node


class World(Node):
    """A node with an engine, and what it has to tell."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.pid: int | None = 7
        self.worker = ALONE
        self.each = (self,)
        self.healths: list[bool] = []
        """What it says of itself, one after the other; then that it is well."""
        self.no_engine: Exception | None = None
        self.replaced: list[int | None] = []
        self.threads: list[str] = []
        self.collected = 0
        self.no_events: Exception | None = None
        self.name_kept = 0
        self.no_name: Exception | None = None
        self.summed = 0
        self.ebpf = False
        self.drops: list[str] = []
        self.closed = 0
        self.between = lambda: None
        self.steering = SimpleNamespace(
            drivers=SimpleNamespace(is_ready=lambda _: self.ebpf)
        )
        files = SimpleNamespace(keep_small=lambda: None)
        monkeypatch.setattr(engine_watch, "LogFiles", lambda _: files)
        monkeypatch.setattr(engine_watch, "keep_name", self._keep_name)
        monkeypatch.setattr(engine_watch, "EventReader", lambda _: self)
        monkeypatch.setattr(
            engine_watch,
            "kernel_event",
            lambda drop, _names: SimpleNamespace(workload=None, message=drop),
        )
        self.controller = Loop("controller")

    def watch(self) -> EngineWatch:
        return EngineWatch(self, self, self.controller, self._collect)  # type: ignore[arg-type]

    def healthy(self) -> bool:
        return self.healths.pop(0) if self.healths else True

    def replace(self, former: int | None) -> None:
        self.replaced.append(former)
        self.threads.append(threading.current_thread().name)
        self.between()
        if self.no_engine:
            raise self.no_engine
        self.pid = 8

    def read(self) -> list[str]:
        found, self.drops = self.drops, []
        return found

    def close(self) -> None:
        self.closed += 1

    def log_sums(self) -> None:
        self.summed += 1

    def _keep_name(self, *_: object) -> None:
        self.name_kept += 1
        if self.no_name:
            raise self.no_name

    def _collect(self) -> None:
        self.collected += 1
        if self.no_events:
            raise self.no_events


@pytest.fixture
def world(monkeypatch) -> World:
    """Name: world. Scope: function. An engine that is well, looked after by a loop that stands still."""
    made = World(monkeypatch)
    made.looks = Looks(monkeypatch)
    monkeypatch.setattr(engine_watch, "Loop", lambda _: made.looks)
    made.engine_watch = made.watch()
    made.engine_watch.start()
    return made


def rounds(world: World, number: int) -> None:
    for _ in range(number):
        world.looks.pass_time(0.2)


def test_all_is_looked_after_five_times_a_second(world):
    rounds(world, 10)
    assert (world.collected, world.name_kept, world.summed) == (10, 10, 10)
    assert (world.replaced, world.told) == ([], [])


def test_a_dead_engine_is_replaced_and_told(world):
    world.healths = [True, False, False]
    rounds(world, 3)
    assert world.replaced == [7]
    assert world.told == ["engine 7 was gone or hung; 8 took over"]


def test_one_that_is_well_when_its_turn_comes_is_left_alone(world):
    """Whatever the controller did before may have launched it."""
    world.healths = [False, True]
    rounds(world, 3)
    assert (world.replaced, world.told) == ([], [])


def test_an_engine_that_does_not_start_is_tried_again_and_told_once(world):
    """Not five times a second: a host out of memory is not flooded with attempts."""
    world.no_engine = SegctlError("no memory")
    world.healths = [False] * 400
    rounds(world, 100)
    assert 8 <= len(world.replaced) <= 11
    assert world.told == ["no memory."]
    failed = {(one.key, one.why) for one in world.engine_watch.pending() if one.tries}
    assert failed == {("process", "no memory.")}
    assert world.collected == 100, "all else goes on"
    world.no_engine, world.healths = None, [False, False]
    rounds(world, 20)
    assert world.told[-1] == "engine 7 was gone or hung; 8 took over"


def test_events_that_cannot_be_fetched_are_fetched_later(world):
    world.no_events = SegctlError("the engine does not answer")
    rounds(world, 50)
    assert world.told == ["the engine does not answer."]
    before = world.collected
    world.no_events = None
    rounds(world, 50)
    assert world.collected - before > 30


def test_a_name_that_is_anothers_is_no_failure(world):
    world.no_name = RefusedError("another namespace has it")
    rounds(world, 5)
    assert (world.name_kept, world.told) == (5, [])
    assert not [one for one in world.engine_watch.pending() if one.tries]


def test_the_kernels_events_are_fetched_from_when_there_are_some(world):
    world.drops = ["a frame was dropped"]
    rounds(world, 3)
    assert world.told == []
    world.ebpf = True
    rounds(world, 3)
    assert world.told == ["a frame was dropped"]
    world.engine_watch.stop()
    assert world.closed == 1


def test_what_nobody_foresaw_keeps_no_engine_from_being_replaced(world):
    world.no_events = ZeroDivisionError("odd")
    world.healths = [True, False, False]
    rounds(world, 5)
    assert world.replaced == [7]


def test_a_hung_engine_is_replaced_while_its_events_are_waited_for(monkeypatch):
    """Readers wait for the same, one after the other, and each for seconds."""
    node, go = World(monkeypatch), threading.Event()
    node.between = node.healths.clear
    asked: list[bool] = []
    watch = EngineWatch(
        node,  # type: ignore[arg-type]
        node,  # type: ignore[arg-type]
        node.controller,
        lambda: asked.append(go.wait(10)),
    )
    watch.start()
    wait_for(lambda: node.name_kept)
    node.healths = [False] * 1000
    wait_for(lambda: node.replaced, 3.0)
    assert asked == []
    go.set()
    watch.stop()


def test_the_controller_replaces_and_at_the_end_nobody_does(monkeypatch):
    """One that was asked for while the agent ends would outlive it."""
    node = World(monkeypatch)
    node.controller.start()
    node.healths = [False] * 1000
    node.between = node.healths.clear
    watch = node.watch()
    watch.start()
    wait_for(lambda: node.replaced)
    assert node.threads == ["controller"]
    begun, go = threading.Event(), threading.Event()
    holder = threading.Thread(
        target=node.controller.do, args=(lambda: begun.set() or go.wait(10),)
    )
    holder.start()
    assert begun.wait(10)
    node.healths = [False] * 1000
    wait_for(lambda: node.controller._requests)
    ender = threading.Thread(target=watch.stop)
    ender.start()
    wait_for(lambda: watch._looks.closing)
    go.set()
    for thread in (holder, ender):
        thread.join(10)
        assert not thread.is_alive()
    assert len(node.replaced) == 1
    node.controller.close()
