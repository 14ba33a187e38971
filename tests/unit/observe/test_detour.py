"""The way through the engine is mended where it was touched, and what failed is not forgotten. How often it is
looked at is the watch's (test_watch)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pyctl.errors import NotFoundError, SegctlError
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
        says, self.says = self.says, frozenset()
        return says


class World:
    """A namespace where the pair is cut or stands, with foreign devices."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cut: Cut | None = None
        self.on_device = True
        self.refuses = False
        self.foreign: dict[int, str] = {}
        self.done: list[str] = []
        self.told: list[str] = []
        monkeypatch.setattr(detour, "LinkWatch", Links)
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
            drivers=drivers, repair=lambda _: self.done.append("repair") or ([], [])
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
        self.anew = lambda: Detour(context, supervisor)  # type: ignore[arg-type]
        self.detour = self.anew()
        assert not self.detour.look()

    def look(self, *touched: int) -> bool:
        """Whether anything was wrong."""
        self.detour._links.says = frozenset(touched)  # type: ignore[attr-defined]
        return self.detour.look()

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
        if self.refuses:
            raise SegctlError("the engine is away")
        self.done.append("rings")
        self.on_device = True


@pytest.fixture
def world(monkeypatch) -> World:
    """Name: world. Scope: function. A pair that stands, looked at once."""
    return World(monkeypatch)


def test_a_pair_that_stands_is_left_alone(world):
    assert not world.look(VTH_INDEX)
    assert (world.done, world.told) == ([], [])


def test_at_first_it_is_looked_at_whoever_touched_it(world):
    """What came while no agent was looking was told to nobody."""
    world.cut = Cut("vth-neuv was down", only_down=True)
    assert not world.look(), "looked at once already"
    assert world.anew().look()
    assert world.done == ["make"]


def test_a_pair_that_is_gone_is_made_with_filters_before_rings(world):
    world.cut, world.on_device = Cut("vbr-neuv was gone"), False
    assert world.look(VTH_INDEX)
    assert world.done == ["remove", "make", "hang", "rings", "repair"]
    assert len(world.told) == 1
    assert "vbr-neuv was gone" in world.told[0]


def test_a_pair_that_is_down_is_not_made_anew(world):
    world.cut = Cut("vth-neuv was down", only_down=True)
    assert world.look(VTH_INDEX)
    assert world.done == ["make"]


def test_another_pair_in_its_place_is_taken_away(world):
    world.on_device = False
    assert world.look(VTH_INDEX)
    assert world.done[0] == "remove"
    assert "another pair" in world.told[0]


def test_where_it_was_not_touched_it_is_not_looked_at(world):
    world.cut = Cut("lost")
    assert not world.look(12)


def test_of_what_was_lost_it_may_be_the_pair(world):
    world.cut = Cut("vth-neuv was down", only_down=True)
    world.detour._links.says = None
    assert world.detour.look()
    assert world.done == ["make"]


def test_a_namespace_without_a_name_is_looked_at_again(world):
    world.cut = Cut("lost")
    with pytest.raises(NotFoundError):
        world.look(VTH_INDEX)
    world.cut = Cut("vbr-neuv was gone")
    assert world.look()
    assert world.cut is None
    assert not world.look()


def test_what_fails_half_way_is_mended_the_next_time(world):
    """The pair is made, and its rings are not on it yet."""
    world.cut, world.refuses = Cut("vbr-neuv was gone"), True
    with pytest.raises(SegctlError):
        world.look(VTH_INDEX)
    assert world.told == []
    world.refuses = False
    assert world.look()
    assert world.done[-2:] == ["rings", "repair"]
    assert "another pair" in world.told[0]


def test_a_foreign_device_is_told_once(world):
    world.foreign = {9: "mv0"}
    assert [world.look(9, 12) for _ in range(3)] == [True, False, False]
    assert len(world.told) == 1
    assert world.told[0].endswith("not segctl's: mv0")


def test_a_foreign_device_that_has_another_name_or_comes_again_is_told_again(world):
    for there in ({9: "mv0"}, {9: "mv1"}, {}, {9: "mv1"}):
        world.foreign = there
        assert world.look(9) is bool(there)
    assert [line.rsplit(" ", 1)[1] for line in world.told] == ["mv0", "mv1", "mv1"]


def test_of_many_foreign_devices_some_are_named():
    assert told_foreign(f"mv{n}" for n in range(9)).endswith(
        "mv0, mv1, mv2, mv3 and 5 more"
    )
