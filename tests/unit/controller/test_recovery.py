"""What an earlier agent left is taken over: each port is steered or gone, and what fails is come back to."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pyctl.controller import recovery
from pyctl.controller.workloads import succession
from pyctl.datapath.ebpf.driver import EbpfDriver
from pyctl.datapath.u32.driver import U32Driver
from pyctl.errors import SegctlError
from pyctl.intercept import recover
from pyctl.intercept.recover import Orphan, Outcome, Recovered
from pyctl.intercept.steps.journal import taken
from pyctl.model.instance import Instance
from pyctl.model.workload import (
    Capabilities,
    DatapathKind,
    Offload,
    Port,
    ProcessRef,
    Workload,
)
from pyctl.platform.inhabitants import Inhabitants
from tests.lab.pace import wait_for
from tests.unit.agent.played import REFUSED, Node, running
from tests.unit.controller.played import Host, no_room
from tests.unit.policy.makers import port, workload


@pytest.fixture
def context(tmp_path, monkeypatch) -> SimpleNamespace:
    """Name: context. Of an agent that finds one journal, which nobody can understand."""
    (tmp_path / "1-2.journal").write_text("none\n")
    monkeypatch.setattr(recovery, "_drop_undone_ports", lambda _: None)
    monkeypatch.setattr(recover, "fit_mtu", lambda _: None)
    instance = SimpleNamespace(journal_dir=tmp_path)
    due: list[str] = []
    return SimpleNamespace(
        instance=instance, unfinished=(), due=due, on_due=lambda: due.append("due")
    )


def test_a_journal_that_a_dying_process_holds_is_come_back_to(context):
    path = context.instance.journal_dir / "1-2.journal"
    with taken(path):
        (told,) = recovery.finish_journals(context)
        assert "ending" in told
        assert context.unfinished == (told,)
        assert context.due == ["due"]
        assert recovery.finish_journals(context) == []
    (told,) = recovery.finish_journals(context)
    assert "cannot be understood" in told
    assert len(context.due) == 3, "as often as it was looked at in vain"
    path.unlink()
    assert recovery.finish_journals(context) == []
    assert context.unfinished == ()
    assert len(context.due) == 3


def test_a_resync_looks_at_whose_ports_are_due_and_at_nobody_else(host, monkeypatch):
    context, looked_at = host.context, []
    for number in range(1, 4):
        context.registry.put(workload(f"w{number}", port(number), port(10 + number)))
    monkeypatch.setattr(
        recovery,
        "drop_broken_ports",
        lambda _, load: looked_at.append(("broken", load.name)) or [],
    )
    monkeypatch.setattr(
        recovery,
        "_steer",
        lambda _, load, ports: looked_at.append((load.name, *ports)) or [],
    )
    context.unsteered = {2: "no room", 12: "no room", 99: "its port is gone"}
    with pytest.raises(SegctlError, match="port 2: no room; port 12: no room"):
        recovery.resync(context)
    ports = context.registry.by_id["w2"].ports
    assert looked_at == [("broken", "w2"), ("w2", *ports)]
    # One that lost its last port is come to no more.
    context.registry.put(replace(context.registry.by_id["w2"], ports=()))
    recovery.resync(context)
    assert context.unsteered == {}


class Found:
    """What an agent finds when it starts: a host's links, journals and strays."""

    def __init__(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host, self.context = host, host.context
        self.stored: list[Workload] = []
        host.store.load = lambda: (self.stored, ["x.json is no workload"])  # type: ignore[attr-defined]
        self.gone: set[str] = set()
        """Links that are not there any more."""
        self.journals: set[str] = set()
        """Names of links that a journal speaks of."""
        self.orphans: list[Orphan] = []
        self.sent_home: list[str] = []
        self.moved: dict[int, int] = {}
        """By port id: the index that vex has now."""
        self.no_index: dict[int, Exception] = {}
        self.bound: set[int] = set()
        """Pids of processes that ended and whose namespace lives on."""
        played: dict[str, Callable[..., Any]] = {
            "present_ports": lambda _: self._links() - self.gone,
            "port_names": lambda _: self.journals,
            "know_segments": lambda _: None,
            "find_orphans": self._strays,
            "cleanup": lambda _, vex, _vin: self.sent_home.append(vex),
            "unsplice": lambda _i, _p, one, **_: self.sent_home.append(
                f"back {one.vex}"
            ),
            "with_indexes": self._with_indexes,
            "process_alive": host._alive,
            "find": self._find,
        }
        for name, part in played.items():
            monkeypatch.setattr(recovery, name, part)

    def _links(self) -> set[str]:
        ports = [port for one in self.stored for port in one.ports]
        return {name for port in ports for name in (port.vex, port.vin)}

    def _strays(self, _instance: Instance, known: list[Port]) -> list[Orphan]:
        names = {port.vex for port in known}
        return [one for one in self.orphans if one.vex not in names]

    def _with_indexes(self, _instance: Instance, port: Port) -> Port:
        if port.port_id in self.no_index:
            raise self.no_index[port.port_id]
        return replace(port, vex_ifindex=self.moved.get(port.port_id, port.vex_ifindex))

    def _find(self, _netns: object, _cookie: int, pid: int) -> int | None:
        return os.open("/dev/null", os.O_RDONLY) if pid in self.bound else None

    def earlier(self, name: str, pid: int, *ports: Port, **more: Any) -> Workload:
        """A workload that an earlier agent attached; its process lives."""
        process = self.host.runs(pid)
        load = replace(workload(name, *ports), process=process, **more)
        self.stored.append(load)
        return load

    def adopted(self) -> list[str]:
        (unreadable, *warnings) = recovery.adopt_workloads(self.context)
        assert unreadable == "x.json is no workload"
        return warnings

    def steered(self) -> set[int]:
        return set(self.context.steering.generations)


@pytest.fixture
def found(host, monkeypatch) -> Found:
    return Found(host, monkeypatch)


@pytest.mark.parametrize("driver", [EbpfDriver, U32Driver])
def test_what_a_datapath_can_do_is_asked_of_its_driver_and_not_of_the_disk(
    found, driver
):
    none = Capabilities()
    found.earlier("web", 11, datapath=driver.kind, capabilities=none)
    assert found.adopted() == []
    assert found.host.registry.by_id["web"].capabilities == driver.capabilities
    assert driver.capabilities.source_check is (driver.kind is DatapathKind.EBPF)


def test_what_stands_is_steered_with_the_links_of_now(found):
    found.earlier("web", 11, port(1), port(2))
    found.earlier("db", 12, port(3), offload=Offload.OFF)
    found.moved = {2: 777}
    assert found.adopted() == []
    assert found.steered() == {1, 2, 3}
    assert found.host.registry.by_port(2).ports[1].vex_ifindex == 777
    assert found.host.offloads == [Offload.OFF]
    assert not found.context.stale
    assert found.host.bridge == [Offload.OFF]


def test_without_workloads_the_bridge_pair_has_its_offloads(found):
    assert found.adopted() == []
    assert found.host.bridge == [Offload.ON], "whatever an earlier agent left"


@pytest.mark.parametrize("in_journal", [False, True])
def test_a_port_of_which_nothing_is_left_is_forgotten_unless_a_journal_has_it(
    found, in_journal
):
    found.earlier("web", 11, port(1), port(2))
    found.gone = {"vex2-eth0", "vin2-eth0"}
    found.journals = found.gone if in_journal else set()
    assert found.adopted() == []
    assert found.steered() == ({1, 2} if in_journal else {1})


def test_a_port_with_one_end_is_let_go_of(found):
    web = found.earlier("web", 11, port(1), port(2))
    found.host.broken = {"vin2-eth0"}
    found.host.spliced = ["11 eth0"]
    assert found.adopted() == [f"{web.name}: eth0 was deleted; let go of it"]
    assert found.steered() == {1}


def test_who_ended_meanwhile_is_detached_and_who_has_an_heir_goes_on(found):
    found.earlier("gone", 11, port(1))
    left = found.earlier("left", 12, port(2))
    found.host.spliced = ["11 eth0"]
    found.host.ends(11)
    heir = replace(left.process, pid=13)
    found.host.processes = {13: heir}
    warnings = found.adopted()
    assert warnings[0] == "gone ended while no agent ran"
    assert [*found.host.registry.by_id] == ["left"]
    assert found.host.registry.by_id["left"].process.pid == 13
    assert found.steered() == {2}


@pytest.mark.parametrize("bound", [True, False])
def test_without_a_port_the_number_of_a_namespace_proves_nothing(found, bound):
    """It may be another's by now: only one that is found by its cookie has an heir."""
    web = found.earlier("web", 11, all_interfaces=True)
    found.host.ends(11)
    found.host.processes = {13: replace(web.process, pid=13)}
    found.bound = {11} if bound else set()
    found.adopted()
    assert [*found.host.registry.by_id] == (["web"] if bound else [])


def test_what_cannot_be_told_of_a_namespace_ends_nobody(found, monkeypatch):
    found.earlier("web", 11, port(1))
    found.host.ends(11)
    partly = Inhabitants({}, whole=False)
    monkeypatch.setattr(succession, "search", lambda _: partly)
    assert found.adopted() == []
    assert [*found.host.registry.by_id] == ["web"]


def test_a_port_that_cannot_be_steered_keeps_no_other_from_it_and_is_tried_again(found):
    found.earlier("web", 11, port(1), port(2))
    found.no_index = {1: SegctlError("no memory")}
    (warning,) = found.adopted()
    assert warning == "web: eth0 is not steered, and carries nothing: no memory."
    assert found.steered() == {2}
    with pytest.raises(SegctlError, match="port 1: no memory"):
        recovery.resync(found.context)
    assert found.host.recorded == [], "what is known is not told again"
    found.no_index = {}
    recovery.resync(found.context)
    assert found.host.recorded == ["web: eth0 is steered again"]
    assert found.steered() == {1, 2}
    assert found.context.due() == []


def test_a_port_that_has_gone_is_not_tried_again(found):
    found.earlier("web", 11, port(1))
    found.adopted()
    found.context.unsteered = {9: "no memory"}
    recovery.resync(found.context)
    assert found.context.unsteered == {}


def test_what_was_refused_to_the_engine_is_told_again(found):
    found.earlier("web", 11, port(1))
    found.adopted()
    found.context.stale = True
    found.host.kernel.refuses["publish"] = no_room()
    found.context.steering._unpublished.add(1)
    with pytest.raises(SegctlError):
        recovery.resync(found.context)
    found.host.kernel.refuses.clear()
    recovery.resync(found.context)
    assert not found.context.stale


def stray(vex: str, there: Port | None) -> Orphan:
    return Orphan(vex, vex.replace("vex", "vin"), ProcessRef(99, 1, (4, 9)), there)


def test_strays_are_taken_away_and_an_interface_of_one_that_lives_goes_home(found):
    found.earlier("web", 11, port(1))
    found.orphans = [
        stray("vex1-eth0", port(1)),
        stray("vex8-eth0", None),
        stray("vex9-eth0", port(9)),
    ]
    assert found.adopted() == [
        "removed stray ports vex8-eth0 vin8-eth0",
        "removed stray ports vex9-eth0 vin9-eth0",
    ]
    assert found.sent_home == ["vex8-eth0", "back vex9-eth0"]
    assert found.steered() == {1}
    assert found.host.kernel.calls.count("detach") == 1, "what steered it goes too"


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        (Outcome.ROLLED_BACK, False),
        (Outcome.FINISHED, False),
        (Outcome.WORKLOAD_GONE, False),
        (Outcome.FAILED, True),
    ],
)
def test_a_journal_that_fails_is_due_and_the_others_are_done(
    found, monkeypatch, outcome, failed
):
    one = Recovered("attach", "eth0", ProcessRef(11, 1, (4, 9)), outcome, "a route")
    monkeypatch.setattr(recovery, "recover", lambda _: [one])
    monkeypatch.setattr(recovery, "pending", lambda _: [1] if failed else [])
    due: list[str] = []
    found.context.on_due = lambda: due.append("due")
    line = f"interrupted attach of eth0 (process 11): {outcome}: a route"
    assert recovery.finish_journals(found.context) == [line]
    assert found.context.unfinished == ((line,) if failed else ())
    assert due == (["due"] if failed else [])


def test_a_port_that_a_finished_journal_took_away_is_steered_no_more(
    found, monkeypatch
):
    found.earlier("web", 11, port(1), port(2))
    found.adopted()
    found.gone = {"vex2-eth0", "vin2-eth0"}
    one = Recovered("detach", "eth0", ProcessRef(11, 1, (4, 9)), Outcome.FINISHED)
    monkeypatch.setattr(recovery, "recover", lambda _: [one])
    monkeypatch.setattr(recovery, "pending", lambda _: [])
    recovery.finish_journals(found.context)
    assert found.steered() == {1}
    assert found.host.registry.by_port(2) is None


@pytest.mark.parametrize("lost", [True, False])
def test_a_namespace_that_lost_its_name_has_it_again(found, monkeypatch, lost):
    supervisor = SimpleNamespace(namespace=lambda: os.open("/dev/null", os.O_RDONLY))
    bound: list[int] = []
    monkeypatch.setattr(
        recovery.netns, "bind", lambda _, fd: bound.append(fd) or lost, raising=True
    )
    recovery.keep_name(found.context, supervisor)
    assert len(found.host.recorded) == lost
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(bound[0])
    recovery.keep_name(found.context, SimpleNamespace(namespace=lambda: None))
    assert len(bound) == 1


def test_a_workload_that_is_not_to_be_helped_keeps_no_other_waiting(
    monkeypatch, tmp_path
):
    """Its broken ports cannot be let go of, again and again; who comes after it is steered all the same."""

    def refuses(_context: object, load: Any) -> list[str]:
        if load.name == "db":
            raise SegctlError("its end is held")
        return []

    with running(monkeypatch, tmp_path) as node:
        node.attach(workload("db", port(2)), workload("web", port(1)))
    again = Node(monkeypatch, tmp_path)
    monkeypatch.setattr(recovery, "drop_broken_ports", refuses)
    again.kernel.refuses["attach"] = REFUSED
    again.agent.start()
    again.kernel.refuses.clear()
    wait_for(lambda: set(again.agent.context.unsteered) == {2})
    wait_for(lambda: "db: its end is held" in str(again.agent.pending()))
    assert not again.agent.context.stale
    told = [event.message for event in again.agent.events.latest(100)]
    monkeypatch.setattr(recovery, "drop_broken_ports", lambda *_: [])
    wait_for(lambda: not again.agent.pending())
    assert sum("its end is held" in line for line in told) <= 1
    again.agent.stop()
