"""Later interfaces come one at a time, of each workload in turn, and behind whoever asked the controller."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from pyctl.controller.loop import Loop
from pyctl.errors import NotFoundError, SegctlError
from pyctl.intercept.survey.select import Found
from pyctl.model.workload import Mode
from pyctl.observe import hotplug
from pyctl.observe.hotplug import Hotplug
from tests.lab.pace import wait_for


class Node:
    """What hotplug sees of an agent: workloads with interfaces, a clock, and what it orders."""

    def __init__(self, **interfaces: str) -> None:
        self.now = 0.0
        self.left = {name: text.split() for name, text in interfaces.items()}
        self.quarantined: set[str] = set()
        self.attached: list[str] = []
        self.told: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.between = lambda: None
        self.heavy: set[str] = set()
        """Interfaces that carry too much to be spliced unasked."""
        self.instance = None
        self.registry = SimpleNamespace(get=self._workload)
        self.controller = Loop("controller")
        self.hotplug = Hotplug(self, self.controller, self._attach)

    def _workload(self, name: str) -> SimpleNamespace | None:
        if name not in self.left:
            return None
        return SimpleNamespace(
            id=name,
            name=name,
            all_interfaces=True,
            ports=(),
            process=SimpleNamespace(name=name, pid=name),
        )

    def mode_of(self, workload: SimpleNamespace) -> SimpleNamespace:
        closed = workload.id in self.quarantined
        return SimpleNamespace(mode=Mode.QUARANTINE if closed else Mode.PROTECT)

    def much(self, names) -> dict[str, str]:
        return {name: "it has too many" for name in names if name in self.heavy}

    def happened(self, event) -> None:
        self.told.append(event.message)

    def _attach(self, order) -> None:
        (name,) = order.interfaces
        self.now += 1.0
        if name in self.fails:
            raise self.fails[name]
        self.attached.append(name)
        self.left[order.pid].remove(name)
        self.between()

    def rounds(self, number: int) -> list[str]:
        """What so many calls have attached."""
        before = len(self.attached)
        for _ in range(number):
            self.hotplug()
        return self.attached[before:]


@pytest.fixture
def node(monkeypatch) -> Node:
    """Name: node. Three workloads, two of them with several interfaces."""
    made = Node(web="w1 w2 w3", app="a1 a2", db="d1")

    def find(process: SimpleNamespace) -> Found:
        return Found(tuple(made.left[process.name]), frozenset(), (), ())

    monkeypatch.setattr(hotplug, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(hotplug, "find", find)
    monkeypatch.setattr(hotplug, "unspliced", lambda _instance, _process, names: names)
    monkeypatch.setattr(hotplug, "too_much", lambda _process, names: made.much(names))
    monkeypatch.setattr(hotplug, "process_alive", lambda _: True)
    monkeypatch.setattr(hotplug, "told_by_runtime", lambda _: ())
    return made


def look(node: Node, *names: str) -> None:
    for name in names:
        node.hotplug.look(name)
    node.now += hotplug._QUIET_S


def test_one_at_a_time_of_each_workload_in_turn(node):
    look(node, "web", "app", "db")
    assert node.rounds(6) == ["w1", "a1", "d1", "w2", "a2", "w3"]
    assert node.hotplug.due_in_s() is None


def test_who_is_in_quarantine_goes_first(node):
    node.quarantined = {"app"}
    look(node, "web", "db", "app")
    assert node.rounds(3) == ["a1", "a2", "w1"]


def test_quarantine_in_the_middle_does_not_wait_for_the_others(node):
    look(node, "web")
    node.rounds(1)
    node.quarantined = {"db"}
    look(node, "db")
    assert node.rounds(2) == ["d1", "w2"]


def test_an_order_that_came_meanwhile_is_done_before_the_next_interface(node):
    """However many a workload makes: whoever asks waits for one of them."""
    node.controller.start()
    threads = []

    def ask() -> None:
        node.controller.do(lambda: node.attached.append("order"))

    def asked_meanwhile() -> None:
        if not threads:
            threads.append(threading.Thread(target=ask))
            threads[0].start()
            wait_for(lambda: len(node.controller._requests) == 1, 5)

    node.between = asked_meanwhile
    look(node, "web")
    assert node.rounds(2) == ["w1", "order", "w2"]
    threads[0].join(5)
    node.controller.close()


def test_after_all_that_were_due_the_workload_rests(node):
    """What it makes in the meantime waits, in proportion to what it has cost."""
    look(node, "web")
    node.rounds(3)
    node.left["web"] = ["w4"]
    look(node, "web")
    rest = hotplug._PAUSES * 3 - hotplug._QUIET_S
    assert node.hotplug.due_in_s() == pytest.approx(rest)
    assert node.rounds(1) == []
    node.now += hotplug._PAUSES * 3
    assert node.rounds(1) == ["w4"]


def test_what_fails_keeps_none_from_theirs_and_is_tried_again(node):
    node.fails = {"w1": SegctlError("no room"), "w2": NotFoundError("gone")}
    look(node, "web", "app")
    assert node.rounds(5) == ["a1", "a2", "w3"]
    assert node.told == ["not inspected: w1: no room."]
    assert node.hotplug.waits("web")
    node.fails = {}
    node.now += hotplug._RETRY_S
    assert node.rounds(2) == ["w1", "w2"]


def test_a_look_that_fails_is_made_again(node, monkeypatch):
    look(node, "db")

    def refuses(_: object) -> Found:
        raise SegctlError("no descriptor is left")

    with monkeypatch.context() as broken:
        broken.setattr(hotplug, "find", refuses)
        with pytest.raises(SegctlError):
            node.hotplug()
    node.now += hotplug._RETRY_S
    assert node.rounds(1) == ["d1"]


def test_what_is_forgotten_in_the_middle_is_left_alone(node):
    look(node, "web", "app")
    node.rounds(1)
    node.hotplug.forget("web")
    assert node.rounds(4) == ["a1", "a2"]


def test_what_nobody_foresaw_is_tried_again_too(node):
    """Else the interface would be inspected by nobody."""
    node.fails = {"d1": KeyError("odd")}
    look(node, "db")
    with pytest.raises(KeyError):
        node.hotplug()
    assert node.told == ["not inspected: d1: 'odd'"]
    node.fails = {}
    node.now += hotplug._RETRY_S
    assert node.rounds(1) == ["d1"]


def leads_inwards(node, monkeypatch) -> None:
    """All interfaces lead to the workload's own namespaces."""

    def find(process: SimpleNamespace) -> Found:
        return Found((), frozenset(), tuple(node.left[process.name]), ())

    monkeypatch.setattr(hotplug, "find", find)


def test_one_of_its_own_that_carries_too_much_is_told_once_and_not_spliced(
    node, monkeypatch
):
    leads_inwards(node, monkeypatch)
    node.heavy = {"w1"}
    look(node, "web")
    assert node.rounds(2) == ["w2", "w3"]
    look(node, "web")
    assert node.hotplug.due_in_s() is None
    assert node.told == ["not inspected: w1: it has too many"]


def test_nor_one_that_came_to_carry_it_while_others_had_their_turn(node, monkeypatch):
    leads_inwards(node, monkeypatch)
    look(node, "web")
    assert node.rounds(1) == ["w1"]
    node.heavy = {"w2"}
    node.hotplug.look("web")
    assert node.rounds(2) == ["w3"]
    assert node.told == ["not inspected: w2: it has too many"]


def test_what_leads_to_the_host_is_spliced_with_whatever_it_carries(node):
    node.heavy = {"w1"}
    look(node, "web")
    assert node.rounds(1) == ["w1"]
    assert node.told == []
