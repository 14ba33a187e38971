"""Interfaces given back side by side: what the agent knows is changed by one thread at a time, and what
fails for one workload is no other's business. The kernel's part is played."""

from __future__ import annotations

import contextlib
import threading

import pytest

from pyctl.controller.workloads import release
from pyctl.errors import RefusedError, SegctlError
from tests.unit.policy.makers import port, workload


class Steering:
    """RuleResult of which thread it was used."""

    def __init__(self) -> None:
        self.gone: list[int] = []
        self.refuses: set[int] = set()

    def remove(self, port_id: int) -> None:
        if port_id in self.refuses:
            raise SegctlError("the engine is away")
        self.gone.append(port_id)


class Node:
    """A context, with the kernel behind it. At `refused` ports the kernel fails; at `lost` ones it fails
    and rolls back."""

    def __init__(self) -> None:
        self.instance = None
        self.steering = Steering()
        self.kept: dict[str, tuple[int, ...]] = {}
        self.refused: set[int] = set()
        self.odd: set[int] = set()
        self.at_once = threading.Barrier(1)
        self.meanwhile = lambda: None
        self.give_way = lambda: None
        self.busy: set[str] = set()
        self.steered: list[int] = []

    def unsplice(
        self, _instance, _process, port, *, ports_ready, turns, give_way
    ) -> list[str]:
        with turns:
            pass
        give_way()
        self.meanwhile()
        self.at_once.wait(10)
        if port.port_id in self.odd:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "a name of odd bytes")
        if port.port_id in self.refused:
            ports_ready(port)
            raise SegctlError(f"port {port.port_id} failed")
        return []

    @contextlib.contextmanager
    def splicing(self, ids):
        self.busy |= set(ids)
        yield
        self.busy -= set(ids)

    def steer(self, _workload, port) -> None:
        self.steered.append(port.port_id)

    def keep_or_drop(self, load) -> None:
        self.kept[load.id] = tuple(port.port_id for port in load.ports)

    def switch_bridge(self) -> None:
        pass


@pytest.fixture
def node(monkeypatch) -> Node:
    """Name: node. Scope: function."""
    made = Node()
    monkeypatch.setattr(release, "unsplice", made.unsplice)
    return made


def load(number: int, ports: int = 1):
    return workload(f"load-{number}", *(port(10 * number + at) for at in range(ports)))


def outcome(node, *loads, begin=lambda _: None):
    return {one.id: told for one, told in release.release_many(node, loads, begin)}


def test_two_are_under_way_at_once(node):
    """Each waits in the kernel until the other is there too."""
    node.at_once = threading.Barrier(2)
    loads = [load(1), load(2)]
    assert set(outcome(node, *loads).values()) == {None}
    assert sorted(node.steering.gone) == [10, 20]
    assert node.kept == {one.id: () for one in loads}


def test_one_that_fails_stays_attached_and_keeps_no_other(node):
    node.refused = {21}
    loads = [load(1), load(2, ports=3), load(3)]
    found = outcome(node, *loads)
    assert str(found[loads[1].id]).startswith("port 21 failed")
    assert node.kept == {loads[0].id: (), loads[1].id: (21, 22), loads[2].id: ()}
    assert node.steered == [21]
    assert sorted(node.steering.gone) == [10, 20, 30]


def test_one_that_must_not_be_detached_is_not_touched(node):
    def begin(one):
        if one.id == loads[0].id:
            raise RefusedError("it would lose something")

    loads = [load(1), load(2)]
    found = outcome(node, *loads, begin=begin)
    assert isinstance(found[loads[0].id], RefusedError)
    assert node.kept == {loads[1].id: ()}


def test_a_port_that_is_not_forgotten_stays_known(node):
    """So that the next detach does the rest."""
    node.steering.refuses = {11}
    (one,) = loads = [load(1, ports=3)]
    found = outcome(node, *loads)
    assert "engine" in str(found[one.id])
    assert node.kept == {one.id: (11,)}


def test_one_alone_raises_what_failed(node):
    node.refused = {11}
    one = load(1, ports=2)
    with pytest.raises(SegctlError, match="port 11 failed"):
        release.release_ports(node, one, one.ports)
    assert node.kept == {one.id: (11,)}


def test_what_nobody_foresaw_at_one_keeps_no_other(node):
    node.odd = {20}
    loads = [load(1), load(2), load(3)]
    found = outcome(node, *loads)
    assert isinstance(found[loads[1].id], UnicodeDecodeError)
    assert node.kept == {loads[0].id: (), loads[2].id: ()}
    assert sorted(node.steering.gone) == [10, 30]


def test_what_must_not_wait_cuts_in_while_one_takes_long(node):
    """The loop's thread, which waits for the others, gives way; the workloads are known as busy."""
    gave, cut_in = [], threading.Event()

    def give_way() -> None:
        if threading.current_thread() is threading.main_thread():
            gave.append(set(node.busy))
            cut_in.set()

    node.give_way = give_way
    node.meanwhile = lambda: cut_in.wait(10)
    assert outcome(node, load(1)) == {"load-1": None}
    assert gave[0] == {"load-1"}
    assert node.busy == set()


def test_one_alone_gives_way_too(node):
    gave = []
    node.give_way = lambda: gave.append(set(node.busy))
    release.release_ports(node, one := load(1), one.ports)
    assert gave == [{"load-1"}]
    assert node.busy == set()
