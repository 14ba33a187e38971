"""Many are detached in batches, what fails keeps no other, and what is lost is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.controller.workloads import detach as detaching
from pyctl.controller.workloads.attach import attach
from pyctl.controller.workloads.detach import (
    cleanup_dead_workload,
    detach,
    drop_and_tell_broken_ports,
    drop_broken_ports,
)
from pyctl.errors import NotFoundError, RefusedError, SegctlError
from pyctl.intercept.uninspected import Uninspected
from pyctl.model.workload import Mode
from pyctl.state.requests import AttachRequest, DetachRequest
from tests.unit.controller.played import IP, OTHER_IP, no_room

ALL = DetachRequest(all=True)
TWO = {"eth0": (IP,), "eth1": (OTHER_IP,)}


def attached(host, name: str = "web", pid: int = 11, **interfaces):
    """A container runs, is attached, and will be when it starts anew."""
    host.runs(pid, **interfaces)
    container = host.starts(name, pid)
    order = AttachRequest(container=name)
    found = attach(host.context, order).workload
    host.context.memory.keep(container, order, found)
    host.recorded.clear()
    return found


def many(host, count: int):
    return [attached(host, f"load-{n:02}", 100 + n) for n in range(count)]


def run(host, order: DetachRequest, yield_to_waiters=lambda: None):
    return detach(host.context, order, yield_to_waiters)


def names(host) -> list[str]:
    return [one.name for one in host.registry.all()]


@pytest.mark.parametrize(
    "order",
    [
        DetachRequest(workload="web"),
        DetachRequest(container="web"),
        DetachRequest(pid=11),
        ALL,
    ],
    ids=["workload", "container", "pid", "all"],
)
def test_a_workload_gets_its_interfaces_back(host, order):
    attached(host, **TWO)
    result = run(host, order)
    assert result.workloads == ["web"]
    assert (names(host), host.spliced, host.store.workloads) == ([], [], {})
    assert host.context.steering.generations == {}
    assert host.context.memory.all() == [], "it is not attached when it starts anew"
    assert host.recorded == ["detached"]


def test_who_lives_in_its_namespace_names_it_too(host):
    web = attached(host)
    host.processes[21] = replace(web.process, pid=21)
    assert run(host, DetachRequest(pid=21)).workloads == ["web"]
    assert names(host) == []


def test_who_is_not_attached_is_left_alone(host):
    host.runs(12)
    attached(host)
    assert run(host, DetachRequest(pid=12)).workloads == []
    with pytest.raises(NotFoundError):
        run(host, DetachRequest(workload="nobody"))
    assert names(host) == ["web"]


def test_a_dry_run_says_what_would_be_done_and_touches_nothing(host):
    attached(host)
    host.costs = ("eth0 has a macvlan, which is lost",)
    host.kernel.calls.clear()
    result = run(host, replace(ALL, dry_run=True))
    assert result.plan[0] == "web: lose: eth0 has a macvlan, which is lost"
    assert result.plan[-1].endswith("home as eth0")
    assert (names(host), host.spliced) == (["web"], ["11 eth0"])
    assert (host.kernel.calls, host.recorded, result.warnings) == ([], [], [])
    assert len(host.context.memory.all()) == 1


def test_others_have_their_turn_between_batches(host):
    many(host, 30)
    left: list[int] = []

    def yield_to_waiters() -> None:
        left.append(len(names(host)))
        assert host.context.due() == []
        assert host.holds()
        assert len(host.context.steering.generations) == left[-1]

    assert len(run(host, ALL, yield_to_waiters).workloads) == 30
    assert names(host) == []
    assert len(left) >= 2
    assert left == sorted(set(left), reverse=True)
    assert (left[0] < 30, left[-1] > 0) == (True, True)


def test_few_are_one_batch(host):
    many(host, 3)
    run(host, ALL, lambda: pytest.fail("nobody has to wait"))
    assert names(host) == []


def test_who_was_detached_meanwhile_is_left_out(host):
    last = many(host, 13)[-1]

    def yield_to_waiters() -> None:
        run(host, DetachRequest(workload=last.name))

    run(host, ALL, yield_to_waiters)
    assert names(host) == []
    assert host.recorded.count("detached") == 13


def test_who_was_attached_meanwhile_stays(host):
    last = many(host, 13)[-1]

    def yield_to_waiters() -> None:
        attached(host, "web", 11)
        run(host, DetachRequest(workload=last.name))
        attached(host, last.name, 12)

    run(host, ALL, yield_to_waiters)
    assert names(host) == [last.name, "web"], "also one of its name, elsewhere"
    assert sorted(host.spliced) == ["11 eth0", "12 eth0"]


def test_of_several_failures_each_is_told_and_all_else_is_done(host):
    for pid, name in enumerate(("app", "db", "web"), 11):
        attached(host, name, pid, **{f"eth{pid}": (IP,)})
    host.no_unsplice = {"eth11": no_room(), "eth13": SegctlError("busy")}
    with pytest.raises(SegctlError) as told:
        run(host, ALL)
    assert told.value.tried.startswith("2 steps of the detach failed")
    assert "app: no room" in told.value.tried
    assert "web: busy" in told.value.tried
    assert told.value.state == "all else is detached"
    assert names(host) == ["app", "web"]
    assert len(host.context.steering.generations) == 2, "they are steered still"


def test_one_failure_names_its_workload(host):
    attached(host)
    host.no_unsplice = {"eth0": SegctlError("busy")}
    with pytest.raises(SegctlError) as told:
        run(host, ALL)
    assert told.value.tried == "web: busy"


def test_what_nobody_foresaw_is_told_as_a_failure(host):
    attached(host)
    host.no_unsplice = {"eth0": KeyError("odd")}
    with pytest.raises(SegctlError, match="web: detaching failed: KeyError") as told:
        run(host, ALL)
    assert "detach it again" in told.value.advice
    assert names(host) == ["web"]


def test_a_disk_that_keeps_one_workload_is_told_and_the_others_are_detached(
    host, monkeypatch
):
    attached(host, "app", 11)
    kept = attached(host, "web", 12, eth1=(OTHER_IP,))
    forget = host.store.forget

    def refuse(workload_id: str) -> None:
        if workload_id == kept.id:
            raise SegctlError("the disk is read-only")
        forget(workload_id)

    monkeypatch.setattr(host.store, "forget", refuse)
    with pytest.raises(SegctlError, match="web: the disk is read-only"):
        run(host, ALL)
    assert names(host) == ["web"]
    assert host.spliced == []


def test_an_engine_that_refuses_what_is_due_is_told_and_stops_nothing(host):
    last = many(host, 13)[-1]
    host.registry.put(replace(last, attach_mode=Mode.PROTECT))
    host.kernel.refuses["publish"] = no_room()
    with pytest.raises(SegctlError, match="no room"):
        run(host, ALL)
    assert names(host) == []


def test_what_is_lost_is_told(host):
    attached(host)
    host.costs = ("eth0 has a macvlan, which is lost",)
    assert run(host, ALL).warnings == ["web: eth0 has a macvlan, which is lost"]
    assert host.recorded == ["eth0 has a macvlan, which is lost", "detached"]


def test_what_is_lost_is_refused_without_force_while_the_workload_lives(host):
    web = attached(host)
    host.costs = ("eth0 has a macvlan, which is lost",)
    order = DetachRequest(workload="web")
    with pytest.raises(RefusedError, match="web: eth0 has a macvlan") as caught:
        run(host, order)
    assert "--force" in caught.value.advice
    assert host.registry.by_id[web.id] == web
    assert host.spliced == ["11 eth0"]
    assert run(host, replace(order, force=True)).workloads == ["web"]
    attached(host)
    host.ends(11)
    assert run(host, order).workloads == ["web"]


def test_what_turns_out_to_be_lost_is_an_event(host):
    attached(host)
    host.unsplice_loses = "eth0 lost its neighbour"
    detach(host.context, DetachRequest(all=True), lambda: None)
    assert "eth0 lost its neighbour" in host.recorded


def test_who_waits_for_an_interface_waits_no_more(host):
    web = attached(host)
    run(host, ALL)
    host.registry.put(replace(web, ports=(), all_interfaces=True))
    plan = run(host, replace(ALL, dry_run=True)).plan
    assert plan == ["web: it has no interface; wait for none any more"]
    assert run(host, ALL).workloads == ["web"]
    assert (names(host), host.store.workloads) == ([], {})


def test_of_a_namespace_that_is_gone_nothing_can_be_lost(host, monkeypatch):
    attached(host)

    def gone(*_, **__):
        raise NotFoundError("no such namespace")

    monkeypatch.setattr(detaching, "lost_by_detach", gone)
    assert run(host, ALL).warnings == []
    assert names(host) == []


def test_of_who_has_ended_nothing_is_left(host):
    attached(host)
    host.ends(11)
    assert run(host, ALL).warnings == ["web had ended; nothing of it is left"]
    assert names(host) == []


def test_a_namespace_that_is_bound_has_its_interface_back_unprotected(host):
    web = attached(host)
    host.ends(11)
    host.bound = {web.process.netns}
    (warning,) = run(host, ALL).warnings
    assert "lives on as /run/netns/kept, which has eth0 back" in warning


def test_what_quarantine_had_set_down_is_set_up(host):
    web = attached(host)
    host.registry.put(replace(web, cut=("eth1",)))
    run(host, ALL)
    assert host.sides == [("eth1", True)]
    assert names(host) == []


def test_a_container_that_does_not_run_is_attached_no_more(host):
    web = attached(host)
    host.registry.drop(web.id)
    dry = run(host, DetachRequest(workload="web", dry_run=True))
    assert dry.plan == ["web: attach it no more when its container starts"]
    assert len(host.context.memory.all()) == 1
    assert run(host, DetachRequest(workload="web")).workloads == ["web"]
    assert host.context.memory.all() == []


def test_a_name_is_first_of_all_that_of_who_is_attached(host):
    lost = attached(host, "app", 12)
    host.registry.drop(lost.id)
    web = attached(host)
    host.registry.put(replace(web, name="app"))
    assert run(host, DetachRequest(workload="app")).workloads == ["app"]
    assert names(host) == []


def test_a_mode_goes_with_the_workload(host):
    web = attached(host)
    host.context.memory.keep_mode(web.forced(Mode.MONITOR))
    run(host, ALL)
    assert host.context.memory.with_mode(web).forced_mode is None


def test_a_disk_that_does_not_forget_is_warned_of(host, monkeypatch):
    attached(host)

    def refuses(_):
        raise no_room()

    monkeypatch.setattr(host.context.memory, "forget_workload", refuses)
    (warning,) = run(host, ALL).warnings
    assert "attached again when its container starts anew" in warning
    assert names(host) == []


def test_a_port_that_lost_an_end_is_let_go_of(host):
    web = attached(host, **TWO)
    assert drop_broken_ports(host.context, web) == []
    host.broken = {web.ports[1].vin}
    assert drop_and_tell_broken_ports(host.context, web)
    assert host.recorded == ["web: eth1 was deleted; let go of it"]
    now = host.registry.by_id[web.id]
    assert now.ports == web.ports[:1]
    assert OTHER_IP in now.given, "its address is its own, for the next interface"
    assert not drop_and_tell_broken_ports(host.context, now)
    assert not drop_and_tell_broken_ports(host.context, replace(now, ports=()))


def test_a_workload_that_ended_has_nothing_left_but_what_is_remembered(host):
    web = attached(host)
    host.context.note_uninspected(web.id, (Uninspected("tun0", "it is of kind tun"),))
    host.ends(11)
    cleanup_dead_workload(host.context, web)
    assert (names(host), host.spliced, host.store.workloads) == ([], [], {})
    assert host.context.uninspected == {}
    assert host.context.steering.generations == {}
    assert host.recorded == ["detached", "web had ended; nothing of it is left"]
    assert [one.name for one in host.context.lost(host.registry.by_id)] == ["web"]
