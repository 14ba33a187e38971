"""What changes at the host's side reaches the workload, and only the ports that were touched are asked about."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from pyctl.controller.loop import Loop
from pyctl.errors import NotFoundError, SegctlError
from pyctl.model.workload import Port, Workload
from pyctl.observe import host_sides
from pyctl.observe.host_sides import HostSides
from tests import packets
from tests.unit.observe.makers import Node, Watch
from tests.unit.policy.makers import port, workload

PORT = replace(port(1), host_mac=packets.mac(77))
WEB = workload("web", PORT, port(2))
APP = workload("app", port(3))


class World(Node):
    """A node with the kernel's side of its ports."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        Watch.refuses = None
        self.there = {name for n in (1, 2, 3) for name in (port(n).vex, port(n).vin)}
        self.followed: list[int] = []
        self.says: tuple[str, ...] = ()
        self.now: dict[int, Port] = {}
        self.asked = 0
        monkeypatch.setattr(host_sides, "LinkWatch", Watch)
        monkeypatch.setattr(host_sides, "follow_host", self._follow)
        monkeypatch.setattr(
            host_sides,
            "host_side_now",
            lambda _, one: self.now.get(one.port_id, one),
        )
        monkeypatch.setattr(
            host_sides, "standing", lambda _, names: self.there & {*names}
        )
        monkeypatch.setattr(host_sides, "drop_and_tell_broken_ports", self._shed)
        self.controller = Loop("controller")
        monkeypatch.setattr(self.controller, "do", self._do)
        self.sides = HostSides(self, self.controller)  # type: ignore[arg-type]
        for load in (WEB, APP):
            self.registry.put(load)

    def _do(self, call):
        self.asked += 1
        return call()

    def _follow(self, _instance, one: Port) -> tuple[str, ...]:
        self.followed.append(one.port_id)
        return self.says

    def _shed(self, _context, load: Workload) -> bool:
        left = tuple(one for one in load.ports if {one.vex, one.vin} <= self.there)
        self.registry.put(replace(load, ports=left))
        self.told.append(f"shed {load.name}")
        return True

    def touch(self, *indexes: int) -> None:
        self.sides._links.said = frozenset(indexes)  # type: ignore[attr-defined]
        self.sides.follow()


@pytest.fixture
def world(monkeypatch) -> World:
    """Name: world. Scope: function. Three ports that stand as they did."""
    made = World(monkeypatch)
    yield made
    made.sides.close()


def test_the_ports_of_which_an_end_was_touched_are_followed(world):
    world.touch(PORT.vex_ifindex, port(3).vin_ifindex)
    assert sorted(world.followed) == [1, 3]
    assert world.told == []


def test_for_others_links_nobody_waits_for_the_controller(world):
    """Interfaces under way, and strangers' devices, come and go all the time."""
    world.touch(999)
    world.touch()
    assert (world.asked, world.followed) == (0, [])


@pytest.mark.parametrize("how", ["lost", "at the start"])
def test_where_it_may_be_any_all_are_followed(world, how):
    if how == "lost":
        world.sides._links.said = None
        world.sides.follow()
    else:
        world.sides.follow_all()
    assert sorted(world.followed) == [1, 2, 3]
    assert world.asked == 1


def test_what_was_followed_is_told(world):
    world.says = ("eth0: the MTU is 1400 by now",)
    world.touch(PORT.vex_ifindex)
    assert world.told == ["web: eth0: the MTU is 1400 by now"]
    assert world.refreshed == 0


def test_a_host_peer_that_is_another_by_now_is_put_in_force_and_told(world):
    world.now[1] = replace(PORT, host_mac=None)
    world.touch(PORT.vex_ifindex)
    assert world.registry.by_id["web"].ports == (world.now[1], port(2))
    assert world.refreshed == 1
    assert len(world.told) == 1
    assert "has a bridge or an XDP program" in world.told[0]
    world.now[1] = PORT
    world.touch(PORT.vex_ifindex)
    assert world.registry.by_id["web"].ports[0].host_mac == PORT.host_mac
    assert len(world.told) == 1, "that it may be passed by again is no news"


def test_two_ports_of_one_workload_are_both_kept(world):
    world.now = {
        1: replace(PORT, host_mac=None),
        2: replace(port(2), host_mac=packets.mac(78)),
    }
    world.touch(PORT.vex_ifindex, port(2).vex_ifindex)
    assert world.registry.by_id["web"].ports == (world.now[1], world.now[2])


def test_a_port_whose_end_is_gone_is_let_go_and_the_others_followed(world):
    world.there.discard(PORT.vin)
    world.touch(PORT.vex_ifindex, PORT.vin_ifindex, port(2).vex_ifindex)
    assert world.told == ["shed web"]
    assert world.followed == [2]
    assert world.registry.by_id["web"].ports == (port(2),)


def test_a_port_that_cannot_be_followed_is_come_back_to_and_keeps_no_other(
    world, monkeypatch
):
    """What was touched is told once."""

    def refuses(_instance, one: Port) -> tuple[str, ...]:
        if one.port_id == 1:
            raise OSError(errno.ENOBUFS, "no buffers")
        return world._follow(_instance, one)

    with monkeypatch.context() as kernel:
        kernel.setattr(host_sides, "follow_host", refuses)
        with pytest.raises(OSError, match="no buffers"):
            world.touch(PORT.vex_ifindex, port(3).vex_ifindex)
    assert world.followed == [3]
    world.touch()
    assert sorted(world.followed) == [1, 2, 3, 3]
    world.touch()
    assert len(world.followed) == 4


def test_what_was_done_is_told_where_it_is_refused_afterwards(world):
    world.says, world.refuses = (
        ("eth0 has no carrier any more",),
        SegctlError("no room"),
    )
    world.now[1] = replace(PORT, host_mac=None)
    with pytest.raises(SegctlError):
        world.touch(PORT.vex_ifindex)
    assert len(world.told) == 2


def test_a_namespace_without_a_name_is_an_error(world, monkeypatch):
    def gone(*_: object):
        raise NotFoundError("no namespace")

    monkeypatch.setattr(host_sides, "standing", gone)
    with pytest.raises(NotFoundError):
        world.touch(PORT.vex_ifindex)
    assert world.registry.by_id["web"] == WEB
