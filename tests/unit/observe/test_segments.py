"""The host's bridges are known as they are by now, and their namespaces watched as long as workloads are there."""

from __future__ import annotations

import errno
import os

import pytest

from pyctl.controller.loop import Loop
from pyctl.errors import NotFoundError, SegctlError
from pyctl.intercept.survey.segments import Found
from pyctl.model.workload import Segment
from pyctl.observe import segments
from pyctl.observe.segments import Segments
from tests import packets
from tests.unit.observe.makers import Node, Played, Watch, descriptors
from tests.unit.policy.makers import port, workload

HERE, THERE = (4, 1), (4, 2)
BRIDGE = Segment(frozenset({packets.mac(9)}), closed=True)


class World(Node):
    """A node whose workloads are on bridges of some host namespaces."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        Watch.refuses = None
        self.hosts = {HERE}
        self.found = Found({1: 7}, {7: BRIDGE})
        self.error: Exception | None = None
        self.order: list[str] = []
        self.poller = Played()
        self.touched = 0
        monkeypatch.setattr(segments, "ChangeWatch", Watch)
        monkeypatch.setattr(segments, "read_segments", self._read)
        self.controller = Loop("controller")
        self.segments = Segments(
            self,  # type: ignore[arg-type]
            self.controller,
            self.poller,  # type: ignore[arg-type]
            self._touched,
        )
        self.registry.put(workload("web", port(1)))

    def _touched(self) -> None:
        self.touched += 1

    def _read(self, _instance, ports, watch) -> Found:
        assert [one.port_id for one in ports] == [1]
        for host in sorted(self.hosts):
            watch(host, 99)
            self.order.append(f"armed {sorted(self.poller.armed) == self.fds()}")
        if self.error:
            raise self.error
        return self.found

    def fds(self) -> list[int]:
        return sorted(self.poller.calls)


@pytest.fixture
def world(monkeypatch) -> World:
    """Name: world. Scope: function. One workload, looked at once."""
    made = World(monkeypatch)
    before = set(descriptors())
    made.segments.look()
    yield made
    made.segments.close()
    assert {*descriptors()} <= before, "a descriptor is left"


def test_a_port_knows_its_bridge_and_the_drivers_its_macs(world):
    (one,) = world.registry.by_id["web"].ports
    assert (one.segment, one.closed) == (7, True)
    assert world.steering.segments == {7: BRIDGE}
    assert world.refreshed == 1


def test_where_nothing_is_otherwise_nothing_is_done(world):
    world.segments.look()
    assert world.refreshed == 1
    world.found = Found()
    world.segments.look()
    assert world.registry.by_id["web"].ports[0].segment == 0
    assert world.refreshed == 2


def test_a_host_namespace_is_watched_once_and_before_it_is_read(world):
    world.segments.look()
    assert len(world.fds()) == 1
    assert world.order == ["armed True"] * 2
    (fd,) = world.fds()
    assert world.poller.says(fd)
    assert world.touched == 1
    assert not world.poller.says(fd)
    world.segments.look()
    assert world.poller.says(fd), "armed by the look"


def test_a_namespace_that_no_workload_leads_to_is_let_go(world):
    former = world.fds()
    world.hosts = {THERE}
    world.segments.look()
    assert len(world.fds()) == 1
    assert world.fds() != former
    world.hosts = {HERE, THERE}
    world.segments.look()
    assert len(world.fds()) == 2


@pytest.mark.parametrize(
    "error", [NotFoundError("no namespace"), SegctlError("no room")]
)
def test_what_was_not_read_changes_nothing_and_is_watched_still(world, error):
    """A name that is wanting for a moment, too: the bridges are looked at when it is back."""
    world.error, (fd,) = error, world.fds()
    world.hosts = set()
    with pytest.raises(SegctlError):
        world.segments.look()
    assert world.steering.segments == {7: BRIDGE}
    assert world.fds() == [fd]
    assert world.poller.says(fd)


def test_a_refresh_that_is_refused_is_an_error(world):
    world.found, world.refuses = Found(), SegctlError("no room")
    with pytest.raises(SegctlError):
        world.segments.look()
    assert world.registry.by_id["web"].ports[0].segment == 0


@pytest.mark.parametrize("wanting", ["watch", "epoll"])
def test_one_that_cannot_be_watched_is_watched_the_next_time(world, wanting):
    full = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    Watch.refuses = full if wanting == "watch" else None
    world.poller.refuses = full if wanting == "epoll" else None
    world.hosts = {HERE, THERE}
    with pytest.raises(OSError, match="open files"):
        world.segments.look()
    Watch.refuses = world.poller.refuses = None
    world.segments.look()
    assert len(world.fds()) == 2
    assert all(world.poller.says(fd) for fd in world.fds())
