"""Who is looked at when, how often, and what becomes of a look that fails; and an end that leaves nothing. The
observers are played."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pyctl.controller.loop import Loop
from pyctl.errors import NotFoundError, SegctlError
from pyctl.observe import watch
from pyctl.observe.poller import Poller
from pyctl.observe.watch import CHANGED, DETOUR, ENDED, FILTERS, Watcher
from tests.lab.pace import wait_for
from tests.unit.observe.makers import Looks, Node, Played, Watch, descriptors


class World(Node):
    """A node whose observers write down that they looked, and by which thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        Watch.refuses = None
        self.seen: list[str] = []
        self.threads: dict[str, str] = {}
        self.found = False
        """Whether filters and detour find something wrong."""
        self.fails: dict[str, Exception] = {}
        self.meanwhile: dict[str, Callable[[], object]] = {}
        self.due: float | None = None
        """In how many seconds an interface is to be attached."""
        self.closed: list[str] = []
        self.fds: dict[str, int] = {}
        self.controller = Loop("controller")
        for name in ("Filters", "HostSides", "Detour", "Segments", "Workloads"):
            monkeypatch.setattr(watch, name, self._maker(name))
        monkeypatch.setattr(watch, "Hotplug", lambda *_: Hotplug(self))

    def _maker(self, name: str) -> Callable[..., Observer]:
        def make(*_: object) -> Observer:
            return Observer(self, name)

        return make

    def watch(self) -> Watcher:
        return Watcher(self, None, self.controller, lambda _: None)  # type: ignore[arg-type]

    def look(self, name: str) -> bool:
        self.seen.append(name)
        self.threads[name] = threading.current_thread().name
        self.meanwhile.get(name, lambda: None)()
        if name in self.fails:
            raise self.fails[name]
        return self.found


class Observer(Watch):
    """Any of them."""

    def __init__(self, node: World, name: str) -> None:
        super().__init__()
        self._node, self._name = node, name
        node.fds[name] = self.fileno()

    def repair(self) -> bool:
        return self._node.look("repair")

    def tell_foreign_filters(self, touched: object) -> None:
        assert touched is None
        self._node.look("tell_foreign_filters")

    def follow(self) -> None:
        self._node.look("follow")

    def follow_all(self) -> None:
        self._node.look("follow_all")

    def look(self, workload_id: str | None = None) -> bool:
        if workload_id is not None:
            return self._node.look(f"changed {workload_id}")
        return self._node.look(self._name)

    def follow_registry(self) -> None:
        self._node.look("registry")

    def see_to_ended(self, ids) -> dict[str, Exception]:
        self._node.look(f"ended {' '.join(ids)}")
        return {}

    def not_buried(self, _key: str, _error: Exception) -> None: ...

    def close(self) -> None:
        self._node.closed.append(self._name)
        super().close()


class Hotplug:
    """Interfaces that are due when the node says so."""

    def __init__(self, node: World) -> None:
        self._node = node

    def due_in_s(self) -> float | None:
        return self._node.due

    def __call__(self) -> None:
        if self._node.due is not None:
            self._node.due = None
            self._node.look("hotplug")


@pytest.fixture
def world(monkeypatch) -> World:
    """Name: world. Scope: function. Watched by loops that stand still."""
    made = World(monkeypatch)
    made.looks = Looks(monkeypatch)
    made.poller = Played()
    monkeypatch.setattr(watch, "Loop", lambda _: made.looks)
    monkeypatch.setattr(watch, "Poller", lambda: made.poller)
    made.watcher = made.watch()
    made.watcher.start()
    made.looks.pass_time()
    made.first, made.seen = made.seen, []
    yield made
    made.watcher.stop()


def says(world: World, name: str) -> list[str]:
    """What is done when its descriptor speaks; it must be heard."""
    before = len(world.seen)
    assert world.poller.says(world.fds[name])
    world.looks.pass_time()
    return world.seen[before:]


def test_at_the_start_all_is_looked_at(world):
    """What came while no agent was looking was told to nobody."""
    assert sorted(world.first) == sorted(
        ["tell_foreign_filters", "follow_all", "Detour", "registry", "Segments"]
    )


@pytest.mark.parametrize(
    ("name", "look"),
    [("Filters", "repair"), ("HostSides", "follow"), ("Detour", "Detour")],
)
def test_who_speaks_is_looked_at_and_heard_again_also_where_the_look_failed(
    world, name, look
):
    assert says(world, name) == [look]
    world.looks.pass_time(60)
    world.fails[look] = SegctlError("no room")
    assert says(world, name) == [look]
    assert world.told == ["no room."]
    world.fails.clear()
    world.looks.pass_time(60)
    assert world.looks.reasons() == {}
    assert says(world, name) == [look]


def test_what_fails_for_one_port_keeps_the_others_waiting_for_seconds_only(world):
    world.fails["repair"] = SegctlError("no room")
    says(world, "Filters")
    for _ in range(600):
        world.looks.pass_time(1)
    before = len(world.seen)
    world.poller.says(world.fds["Filters"])
    world.looks.pass_time(3)
    assert world.seen[before:] == ["repair"]
    assert world.told == ["no room."]


@pytest.mark.parametrize("name", ["Filters", "Detour"])
def test_who_takes_something_away_all_the_time_does_not_take_the_agent(world, name):
    look = {"Filters": "repair"}.get(name, name)
    world.found = True
    for _ in range(30):
        world.poller.says(world.fds[name])
        world.looks.pass_time(0.1)
    assert 3 <= world.seen.count(look) <= 4
    world.found = False
    world.looks.pass_time(1)
    before = world.seen.count(look)
    for _ in range(30):
        world.poller.says(world.fds[name])
        world.looks.pass_time(0.1)
    assert world.seen.count(look) - before >= 29, (
        "where nothing was wrong it is no rest"
    )


def test_the_detour_is_looked_at_again_within_moments(world):
    """Its namespace may have lost its name, which is given back soon; nothing is told of it."""
    world.fails["Detour"] = NotFoundError("no namespace")
    says(world, "Detour")
    del world.fails["Detour"]
    world.looks.pass_time(0.3)
    assert world.seen.count("Detour") == 2
    assert world.told == []


def test_a_failure_is_told_once_for_its_reason_and_keeps_no_other(world):
    world.fails["Segments"] = SegctlError("no room")
    world.watcher.wake()
    for _ in range(5):
        world.looks.pass_time(60)
    assert world.told == ["no room."]
    assert world.seen.count("Segments") == 5
    assert world.seen.count("registry") == 1
    (one,) = [one for one in world.watcher.pending() if one.tries]
    assert (one.kind, one.why) == ("segments", "no room.")


def test_what_nobody_foresaw_ends_nothing(world):
    world.fails["registry"] = ZeroDivisionError("odd")
    world.watcher.wake()
    world.looks.pass_time()
    assert world.looks.reasons() == {"": "ZeroDivisionError('odd')"}
    world.fails.clear()
    world.looks.pass_time(3)
    assert world.looks.pending() == []


def test_a_change_of_the_registry_wakes_it(world):
    world.watcher.wake()
    world.looks.pass_time()
    assert sorted(world.seen) == ["Segments", "registry"]


@pytest.mark.parametrize("fails", [False, True])
def test_interfaces_that_a_look_has_found_are_attached_in_their_time(world, fails):
    """Also where the rest of that look failed."""
    world.meanwhile["changed web"] = lambda: setattr(world, "due", 0.5)
    if fails:
        world.fails["changed web"] = SegctlError("no room")
    world.looks.put(CHANGED, "web")
    world.looks.pass_time()
    assert world.seen == ["changed web"]
    world.looks.pass_time(0.5)
    assert world.seen == ["changed web", "hotplug"]


def test_interfaces_are_attached_one_after_the_other_and_looks_in_between(world):
    left = [0.0, 0.0]
    world.meanwhile["hotplug"] = lambda: left and setattr(world, "due", left.pop())
    world.due = 0.0
    world.looks.put(CHANGED, "web")
    world.looks._do_work()
    world.looks.put(CHANGED, "app")
    world.looks.pass_time()
    assert world.seen.count("hotplug") == 3
    assert world.seen.index("changed app") < len(world.seen) - 1


def test_one_that_cannot_be_attached_puts_off_no_other(world):
    """Hotplug knows when it is tried again."""
    world.fails["hotplug"] = SegctlError("no room")
    for _ in range(6):
        world.due = 0.0
        world.looks.put(CHANGED, "web")
        world.looks.pass_time(60)
    world.seen.clear()
    del world.fails["hotplug"]
    world.due = 0.1
    world.looks.put(CHANGED, "app")
    world.looks.pass_time(0)
    world.looks.pass_time(0.1)
    assert world.seen == ["changed app", "hotplug"]


def test_ends_are_seen_to_together(world):
    for name in ("web", "app"):
        world.looks.put(ENDED, name)
    world.looks.pass_time()
    assert world.seen == ["ended web app"]


def test_it_gives_its_descriptors_back(monkeypatch):
    before = set(descriptors())
    node = World(monkeypatch)
    watcher = node.watch()
    watcher.start()
    wait_for(lambda: "follow_all" in node.seen)
    watcher.stop()
    assert sorted(node.closed) == sorted(node.fds)
    assert {*descriptors()} <= before


def test_one_that_never_began_gives_its_descriptors_back_too(monkeypatch):
    before = set(descriptors())
    node = World(monkeypatch)
    node.watch().stop()
    assert {*descriptors()} <= before


def test_only_the_controller_writes(monkeypatch):
    node = World(monkeypatch)
    node.controller.start()
    watcher = node.watch()
    watcher.start()
    watcher._looks.put(FILTERS)
    wait_for(lambda: {"repair", "Detour", "follow_all"} <= {*node.seen})
    watcher.stop()
    node.controller.close()
    for look in ("repair", "Detour", "tell_foreign_filters"):
        assert node.threads[look] == "controller"
    assert node.threads["follow_all"] == "observe"


def test_its_end_waits_for_a_look_that_waits_for_the_controller(monkeypatch):
    """Which arms what it has looked at, and finds a poller that is there still."""
    node = World(monkeypatch)
    node.controller.start()
    watcher = node.watch()
    armed: list[bool] = []
    arm = Poller.arm

    def noted(poller: Poller, fd: int) -> None:
        armed.append(False)
        arm(poller, fd)
        armed[-1] = True

    monkeypatch.setattr(Poller, "arm", noted)
    begun, go = threading.Event(), threading.Event()
    node.meanwhile["Detour"] = lambda: begun.set() or go.wait(10)
    watcher.start()
    assert begun.wait(10)
    ender = threading.Thread(target=watcher.stop)
    ender.start()
    wait_for(lambda: watcher._looks.closing)
    assert ender.is_alive()
    assert node.closed == []
    go.set()
    ender.join(10)
    assert not ender.is_alive()
    assert armed
    assert all(armed)
    before = list(node.seen)
    watcher.wake()
    assert node.controller.do(lambda: node.seen) == before
    node.controller.close()


def test_a_controller_that_has_ended_ends_no_observer(monkeypatch):
    """It is refused, and nothing of it is told: the agent is ending."""
    node = World(monkeypatch)
    node.controller.start()
    watcher = node.watch()
    node.controller.close()
    watcher.start()
    wait_for(lambda: any(one.kind == DETOUR for one in watcher.pending() if one.tries))
    watcher.stop()
    assert "Detour" not in node.seen
