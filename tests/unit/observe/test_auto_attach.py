"""Which containers are attached as they start, and how their runtimes are followed."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from dataclasses import dataclass, field, replace

import pytest

from pyctl.controller.loop import Kind, each
from pyctl.errors import RefusedError, SegctlError
from pyctl.model.workload import Fail, Mode, ProcessRef
from pyctl.observe import auto_attach, runtime_watch
from pyctl.observe.auto_attach import AutoAttacher
from pyctl.platform.process import process_ref
from pyctl.policy.document.types import Selector
from pyctl.runtime.base import Container, Unreachable
from pyctl.state.requests import AttachRequest, AutoAttach
from tests.lab.pace import wait_for

CHOSEN = (
    AutoAttach(Selector(name="web-*"), Mode.PROTECT),
    AutoAttach(Selector(labels=(("segctl", "yes"),))),
)


def container(name: str, pid: int = 10, **labels: str) -> Container:
    return Container(f"id-{name}", name, pid, "fake", labels)


@dataclass
class FakeRuntime:
    """A daemon that can go away."""

    containers: dict[str, Container] = field(default_factory=dict)
    started: queue.Queue[str | None] = field(default_factory=queue.Queue)
    up: bool = True
    runtime: str = "fake"
    place: str = "nowhere"

    def run(self, one: Container) -> None:
        self.containers[one.id] = one
        self.started.put(one.id)

    def find(self, reference: str) -> Container | None:
        return self.containers.get(reference)

    def running(self) -> list[str]:
        return list(self.containers)

    @contextlib.contextmanager
    def starts(self):
        if not self.up:
            raise Unreachable("nobody is there")
        yield self

    def __iter__(self):
        while (one := self.started.get()) is not None:
            yield one

    def cancel(self) -> None:
        self.started.put(None)


@pytest.fixture
def runtime(monkeypatch):
    monkeypatch.setattr(auto_attach, "RETRY_S", 0.01)
    monkeypatch.setattr(auto_attach, "HOLDER_S", 0.01)
    monkeypatch.setattr(runtime_watch, "RETRY_S", 0.01)
    return FakeRuntime()


def waiting(attacher: AutoAttacher) -> list[str]:
    """Those that are inspected with another one, for as long as that lasts."""
    return [key for key, one in list(attacher._wanted.items()) if one.holder]


@pytest.fixture
def following(runtime):
    """(what was ordered, what was told, by pid the process that it is attached for)."""
    orders, told, attached = [], [], {}

    def attach(order):
        if order.found.name == "web-bad":
            raise RefusedError("it has no interface")
        if order.found.name == "web-odd" and not told:
            raise OSError("the kernel refuses")
        orders.append(order)
        if order.found.name == "web-late" and len(orders) < 3:
            raise SegctlError("the former one is not gone yet")

    attacher = AutoAttacher(
        CHOSEN,
        [runtime],
        attach=attach,
        rename=lambda one, before: told.append((before, one.name)),
        holder=attached.get,
        remembered=lambda one: (
            AttachRequest(fail=Fail.OPEN) if one.name == "db" else None
        ),
        tell=lambda one: "selects none" in one.message or told.append(one),
    )
    try:
        yield attacher, orders, told, attached
    finally:
        attacher.stop()


def test_what_runs_and_what_starts_is_attached_as_its_selector_says(following, runtime):
    attacher, orders, _told, _attached = following
    runtime.containers["id-web-1"] = container("web-1")
    attacher.start()
    wait_for(lambda: orders)
    runtime.run(container("other", 11))
    runtime.run(container("job", 12, segctl="yes"))
    wait_for(lambda: len(orders) == 2)
    assert [(one.found.name, one.mode) for one in orders] == [
        ("web-1", Mode.PROTECT),
        ("job", None),
    ]
    assert attacher.states() == ["nowhere: followed"]


def test_a_runtime_that_goes_away_is_listed_again_when_it_is_back(following, runtime):
    attacher, orders, _told, _attached = following
    runtime.up = False
    attacher.start()
    wait_for(lambda: "nobody is there" in attacher.states()[0])
    runtime.containers["id-web-1"] = container("web-1")
    runtime.up = True
    wait_for(lambda: len(orders) == 1)
    runtime.started.put(None)
    runtime.containers["id-web-2"] = container("web-2", 11)
    wait_for(lambda: len(orders) == 2)
    assert orders[1].found.name == "web-2"


def test_one_start_is_dealt_with_once_and_the_next_start_again(following, runtime):
    """Somebody who detached it meanwhile meant it."""
    attacher, orders, _told, _attached = following
    attacher.start()
    for pid, count in ((10, 1), (10, 1), (20, 2)):
        runtime.run(container("web-1", pid))
        wait_for(lambda count=count: len(orders) == count and runtime.started.empty())
    assert [one.found.pid for one in orders] == [10, 20]


def test_another_name_is_passed_on_and_attaches_nothing(following, runtime):
    attacher, orders, told, _attached = following
    attacher.start()
    runtime.run(container("web-1"))
    wait_for(lambda: orders)
    runtime.run(replace(container("web-1"), name="web-old"))
    wait_for(lambda: told == [("web-1", "web-old")])
    assert len(orders) == 1


def test_a_name_that_its_workload_cannot_have_is_told(following, runtime):
    attacher, _orders, told, _attached = following

    def taken(_one: Container, _before: str) -> None:
        raise RefusedError("another workload is called web-2")

    attacher._rename = taken
    attacher._rename_one(container("web-2"), "web-1")
    (event,) = told
    assert event.message.startswith("web-1 is called web-2 by now: another workload")


def test_what_is_attached_already_keeps_its_options(following, runtime):
    attacher, orders, _told, attached = following
    attached[10] = ProcessRef(10, 1, (4, 1))
    attacher.start()
    runtime.run(container("web-1"))
    runtime.run(container("web-2", 11))
    wait_for(lambda: orders)
    assert orders[0].found.name == "web-2"
    assert attacher.pending() == []


def test_a_refusal_is_told_and_the_next_one_is_attached(following, runtime):
    attacher, orders, told, _attached = following
    attacher.start()
    runtime.run(container("web-bad"))
    runtime.run(container("web-2", 11))
    wait_for(lambda: orders)
    assert (
        "auto-attach of container web-bad failed: it has no interface"
        in told[0].message
    )
    assert attacher.failures == {"id-web-bad": "it has no interface."}
    wait_for(lambda: any(one.tries > 2 for one in attacher.pending()))
    assert len(told) == 1, "for one reason once"
    (one,) = attacher.pending()
    assert (one.key, one.why) == ("id-web-bad", "it has no interface.")


def test_a_failure_that_is_no_refusal_is_tried_again(following, runtime):
    attacher, orders, told, _attached = following
    attacher.start()
    runtime.run(container("web-late"))
    wait_for(lambda: len(orders) == 3)
    assert len(told) == 1
    runtime.run(container("web-odd", 11))
    wait_for(lambda: len(orders) == 4)


def test_what_the_kernel_refuses_is_told_and_tried_again(following, runtime):
    """It is no SegctlError, and leaves a container that nobody inspects like any other failure."""
    attacher, orders, told, _attached = following
    attacher.start()
    runtime.run(container("web-odd"))
    wait_for(lambda: orders)
    assert (
        "auto-attach of container web-odd failed: the kernel refuses" in told[0].message
    )
    wait_for(lambda: attacher.failures == {})
    assert attacher.pending() == []


def test_what_an_operator_attached_is_attached_again_as_it_was(following, runtime):
    attacher, orders, _told, _attached = following
    attacher.start()
    runtime.run(container("db"))
    wait_for(lambda: orders)
    assert (orders[0].found.name, orders[0].fail) == ("db", Fail.OPEN)


def test_a_runtime_may_be_followed_later_and_once(following, runtime):
    attacher, orders, _told, _attached = following
    attacher.start()
    later = FakeRuntime(place="elsewhere")
    for _ in range(2):
        attacher.follow(later)
    later.run(container("web-1"))
    wait_for(lambda: orders)
    assert [one.place for one in attacher.runtimes] == ["nowhere", "elsewhere"]


def test_one_that_ended_meanwhile_is_not_tried_again(following, runtime, monkeypatch):
    attacher, orders, told, _attached = following
    monkeypatch.setattr(auto_attach, "RETRY_S", 0.05)
    attacher.start()
    runtime.run(container("web-late"))
    wait_for(lambda: told)
    runtime.containers.clear()
    runtime.run(container("web-2", 11))
    wait_for(lambda: not attacher.pending())
    assert [one.found.name for one in orders] == ["web-late", "web-2"]
    assert attacher.failures == {}


def test_one_that_started_anew_meanwhile_is_not_tried_for_its_former_process(
    following, runtime, monkeypatch
):
    """Its new start is told by its runtime."""
    attacher, orders, told, _attached = following
    monkeypatch.setattr(auto_attach, "RETRY_S", 0.05)
    attacher.start()
    runtime.run(container("web-late"))
    wait_for(lambda: told)
    runtime.containers["id-web-late"] = container("web-late", 20)
    wait_for(lambda: not attacher.pending())
    assert {one.found.pid for one in orders} == {10}


def test_one_that_shares_an_attached_namespace_takes_over_when_the_first_ends(
    following, runtime
):
    attacher, orders, _told, attached = following
    attached[10] = attached[11] = ProcessRef(2**22 + 1, 1, (4, 1))
    attacher.start()
    runtime.run(container("web-1"))
    runtime.run(container("web-2", 11))
    wait_for(lambda: len(waiting(attacher)) == 2)
    assert orders == []
    del attached[11]
    wait_for(lambda: [one.found.name for one in orders] == ["web-2"])
    assert orders[0].mode is Mode.PROTECT


def test_one_whose_shared_namespace_somebody_detached_is_left_alone(following, runtime):
    attacher, orders, _told, attached = following
    attached[10] = process_ref(os.getpid())
    attacher.start()
    runtime.run(container("web-1"))
    wait_for(lambda: waiting(attacher))
    del attached[10]
    wait_for(lambda: not attacher.pending())
    runtime.run(container("web-2", 11))
    wait_for(lambda: orders)
    assert [one.found.name for one in orders] == ["web-2"]


def test_without_selectors_nobody_is_asked(runtime):
    attacher = AutoAttacher(
        (),
        [runtime],
        attach=lambda _order: None,
        rename=lambda _one, _before: None,
        holder=lambda _pid: None,
        remembered=lambda _one: None,
        tell=lambda _told: None,
    )
    attacher.start()
    attacher.stop()
    assert attacher.states() == []


def test_a_selector_that_takes_none_of_what_runs_is_told_once(runtime):
    """It may be misspelt."""
    told = []
    runtime.containers["id-web-1"] = container("web-1")
    attacher = AutoAttacher(
        CHOSEN,
        [runtime],
        attach=lambda _: None,
        rename=lambda *_: None,
        holder=lambda _: None,
        remembered=lambda _: None,
        tell=lambda one: told.append(one.message),
    )
    attacher.start()
    wait_for(lambda: attacher.states() == ["nowhere: followed"])
    runtime.started.put(None)
    wait_for(lambda: attacher.states() == ["nowhere: followed"])
    attacher.stop()
    assert told == [
        'auto-attach[1] selects none of the containers that run: {"labels": {"segctl": "yes"}}'
    ]


def test_a_container_that_its_runtime_cannot_name_yet_is_attached_in_the_end(
    following, runtime, monkeypatch
):
    attacher, orders, told, _attached = following
    asked = []

    def find(reference: str) -> Container | None:
        asked.append(reference)
        if len(asked) < 4:
            raise SegctlError("it is busy")
        return runtime.containers.get(reference)

    monkeypatch.setattr(runtime, "find", find)
    attacher.start()
    runtime.run(container("web-1"))
    wait_for(lambda: orders)
    assert orders[0].found.pid == 10
    assert [one.message for one in told] == [
        "auto-attach of container id-web-1 failed: it is busy. It is tried again."
    ]
    wait_for(lambda: not attacher.pending())
    assert attacher.failures == {}


def test_one_that_starts_anew_while_its_attach_fails_waits_for_no_former_try(
    following, runtime, monkeypatch
):
    """The former start of it has failed so often that its next try is far away."""
    attacher, orders, _told, _attached = following
    monkeypatch.setattr(attacher._loop, "_kinds", {})
    kind = Kind(each(attacher._attach_one), attacher._failed, 300.0, 600.0, 0.0)
    attacher._loop.kind("container", kind)
    attacher.start()
    begun, go = threading.Event(), threading.Event()
    attach = attacher._attach

    def slow(order: AttachRequest) -> None:
        if order.found.pid == 10:
            begun.set()
            go.wait(10)
            raise SegctlError("it has ended")
        attach(order)

    attacher._attach = slow
    runtime.run(container("web-1", 10))
    assert begun.wait(10)
    runtime.run(container("web-1", 20))
    wait_for(lambda: attacher._wanted)
    go.set()
    wait_for(lambda: orders)
    assert orders[0].found.pid == 20
    wait_for(lambda: not attacher.pending())


def test_no_order_comes_after_it_has_stopped(following, runtime):
    """One that is under way is waited for; what waits for its turn is left."""
    attacher, orders, _told, _attached = following
    begun, go = threading.Event(), threading.Event()
    attach = attacher._attach

    def slow(order: AttachRequest) -> None:
        begun.set()
        go.wait(10)
        attach(order)

    attacher._attach = slow
    attacher.start()
    runtime.run(container("web-1"))
    assert begun.wait(10)
    runtime.run(container("web-2", 11))
    wait_for(lambda: "id-web-2" in attacher._wanted)
    stopper = threading.Thread(target=attacher.stop)
    stopper.start()
    wait_for(attacher._ending.is_set)
    go.set()
    stopper.join(10)
    assert not stopper.is_alive()
    attacher.follow(FakeRuntime(place="elsewhere"))
    assert [one.found.name for one in orders] in (["web-1"], ["web-1", "web-2"])
    count = len(orders)
    runtime.run(container("web-3", 12))
    assert len(orders) == count


@pytest.mark.parametrize("what", ["cannot be described", "cannot be renamed"])
def test_one_container_that_fails_oddly_keeps_no_other_from_being_attached(
    following, runtime, monkeypatch, what
):
    """Where it ended the stream, it did so again and again: nothing after it was ever attached."""
    attacher, orders, told, _attached = following

    def fails(*_: object) -> None:
        raise OSError("the kernel refuses")

    def find(reference: str) -> Container | None:
        if reference == "id-odd":
            return {}["what nobody foresaw"]
        return runtime.containers.get(reference)

    odd = runtime.containers["id-odd"] = container("odd", 11)
    if what == "cannot be described":
        monkeypatch.setattr(runtime, "find", find)
    else:
        attacher._seen[odd.id] = container("former", 11)
        monkeypatch.setattr(attacher, "_rename", fails)
        monkeypatch.setattr(runtime_watch, "RETRY_S", 60.0)
    runtime.containers["id-web-1"] = container("web-1")
    attacher.start()
    wait_for(lambda: orders and told)
    assert [one.found.name for one in orders] == ["web-1"]
    assert attacher.states() == ["nowhere: followed"]
