"""The way through the engine is looked after in bounds: what is wrong is mended once a second at most."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest

from pyctl.errors import NotFoundError
from pyctl.intercept.enforcer import VTH_INDEX, Cut
from pyctl.observe import detour
from pyctl.observe.detour import Detour, told_foreign


class Links:
    """The watch of a namespace that says what it is told."""

    def __init__(self, _netns: str) -> None:
        self.says: frozenset[int] | None = frozenset()

    def fileno(self) -> int:
        return 7

    def touched(self) -> frozenset[int] | None:
        return self.says


class World:
    """A namespace where the pair is cut or stands, with foreign devices."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.cut: Cut | None = None
        self.on_device = True
        self.foreign: dict[int, str] = {}
        self.done: list[str] = []
        self.told: list[str] = []
        self.call = lambda: None
        monkeypatch.setattr(detour, "LinkWatch", Links)
        monkeypatch.setattr(detour.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(detour, "cut", lambda _: self._looked())
        monkeypatch.setattr(detour, "remove_pair", lambda _: self._removed())
        monkeypatch.setattr(detour, "ensure_enforcer", lambda _: self._made())
        monkeypatch.setattr(
            detour,
            "foreign_devices",
            lambda _, indexes: {
                one: self.foreign[one] for one in indexes if one in self.foreign
            },
        )
        drivers = SimpleNamespace(hang_on_pair=lambda: self.done.append("hang"))
        steering = SimpleNamespace(
            drivers=drivers, repair=lambda _: self.done.append("repair")
        )
        context = SimpleNamespace(
            instance=SimpleNamespace(netns="/run/netns/x"),
            steering=steering,
            bridge_is_new=lambda: None,
            happened=lambda one: self.told.append(one.message),
        )
        supervisor = SimpleNamespace(
            on_device=lambda: self.on_device, reopen_rings=self._reopened
        )
        eyes = SimpleNamespace(open=self._opened)
        self.detour = Detour(context, supervisor, contextlib.nullcontext(), eyes)  # type: ignore[arg-type]
        self.detour()

    def touch(self, *indexes: int) -> None:
        self.detour._links.says = frozenset(indexes)  # type: ignore[attr-defined]
        self.call()

    def _opened(self, _fd: int, call) -> None:
        self.call = call

    def _looked(self) -> Cut | None:
        if self.cut and self.cut.why == "lost":
            raise NotFoundError("no namespace")
        return self.cut

    def _removed(self) -> None:
        self.done.append("remove")
        self.on_device = False

    def _made(self) -> None:
        self.done.append("make")
        self.cut = None

    def _reopened(self) -> None:
        self.done.append("rings")
        self.on_device = True


@pytest.fixture
def world(monkeypatch) -> World:
    """Name: world. Scope: function. A pair that stands, looked at once."""
    return World(monkeypatch)


def test_a_pair_that_stands_is_left_alone(world):
    world.touch(VTH_INDEX)
    world.detour()
    assert (world.done, world.told) == ([], [])


def test_a_pair_that_is_gone_is_made_with_filters_before_rings(world):
    world.cut, world.on_device = Cut("vbr-neuv was gone"), False
    world.touch(VTH_INDEX)
    world.detour()
    assert world.done == ["remove", "make", "hang", "rings", "repair"]
    assert len(world.told) == 1
    assert "vbr-neuv was gone" in world.told[0]


def test_a_pair_that_is_down_is_not_made_anew(world):
    world.cut = Cut("vth-neuv was down", only_down=True)
    world.touch(VTH_INDEX)
    world.detour()
    assert world.done == ["make"]


def test_another_pair_in_its_place_is_taken_away(world):
    world.on_device = False
    world.touch(VTH_INDEX)
    world.detour()
    assert world.done[0] == "remove"
    assert "another pair" in world.told[0]


def test_who_takes_it_away_all_the_time_does_not_take_the_agent(world):
    for _ in range(30):
        world.cut, world.on_device = Cut("vbr-neuv was gone"), False
        world.touch(VTH_INDEX)
        world.detour()
        world.now += 0.1
    assert world.done.count("make") <= 4
    world.now += 1
    world.detour()
    assert world.cut is None


def test_a_namespace_without_a_name_is_looked_at_again(world):
    world.cut = Cut("lost")
    world.touch(VTH_INDEX)
    world.detour()
    world.cut = Cut("vbr-neuv was gone")
    world.now += 2
    world.detour()
    assert world.cut is None


def test_a_foreign_device_is_told_once(world):
    world.foreign = {9: "mv0"}
    for _ in range(3):
        world.touch(9, 12)
        world.detour()
        world.now += 2
    assert len(world.told) == 1
    assert world.told[0].endswith("not segctl's: mv0")


def test_of_many_foreign_devices_some_are_named():
    assert told_foreign(f"mv{n}" for n in range(9)).endswith(
        "mv0, mv1, mv2, mv3 and 5 more"
    )
