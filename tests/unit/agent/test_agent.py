"""Orders go through the controller one at a time, what readers see holds, and what is refused is come back to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pyctl.agent import agent as agent_module
from pyctl.controller.workloads import attach, attach_target
from pyctl.errors import NotFoundError, SegctlError, UnreachableError, UsageError
from pyctl.model.workload import Mode, ModeSource
from pyctl.state.requests import AttachRequest, DetachRequest
from tests.lab.pace import wait_for
from tests.unit.agent.played import NEW, OLD, REFUSED, Node, running
from tests.unit.policy.makers import port, workload

WEB = workload("web", port(1))
DB = workload("db", port(2))
ENDING = "the agent is ending. Nothing was changed."
ATTACH = attach.attach


@pytest.fixture
def node(monkeypatch, tmp_path) -> Iterator[Node]:
    """Name: node. Scope: function. Two workloads, the policy OLD."""
    with running(monkeypatch, tmp_path) as made:
        made.attach(WEB, DB)
        made.agent.apply_policy(OLD)
        made.kernel.calls.clear()
        yield made


def texts_seen(node: Node) -> set[str]:
    """What readers see of the policy at every call of kernel and engine."""
    seen: set[str] = set()
    node.kernel.meanwhile = lambda _: seen.add(node.agent.view.policy.text)
    return seen


def test_what_is_attached_is_seen_when_the_order_is_answered(node):
    view = node.agent.view
    assert [one.name for one in view.workloads()] == ["db", "web"]
    assert set(view.generations) == {1, 2}
    assert view.policy.text == OLD
    assert view.policy_applied_at
    assert node.holds()


def test_a_view_that_somebody_holds_does_not_change(node):
    view = node.agent.view
    node.agent.detach(DetachRequest(workload="web"))
    node.agent.apply_policy(NEW)
    assert [one.name for one in view.workloads()] == ["db", "web"]
    assert view.policy.text == OLD
    assert [one.name for one in node.agent.view.workloads()] == ["db"]


def test_a_view_is_replaced_on_change_alone(node):
    """Each piece of work ends with a look at it: with a thousand workloads nothing is copied then."""
    view = node.agent.view
    node.agent.set_log_level("info")
    node.agent._loop.do(lambda: None)
    assert node.agent.view is view
    node.agent.apply_policy(NEW)
    after = node.agent.view
    assert after is not view
    assert after.generations != view.generations
    assert after.by_id is view.by_id
    assert after.uninspected is view.uninspected


def test_observers_are_woken_where_workloads_have_changed_and_else_not(node):
    before = node.agent._watcher.woken
    node.agent.apply_policy(OLD)
    node.agent.set_log_level("info")
    assert node.agent._watcher.woken == before
    node.agent.detach(DetachRequest(workload="web"))
    assert node.agent._watcher.woken > before


def test_a_policy_that_is_tried_is_never_seen(node):
    seen = texts_seen(node)
    generations = dict(node.agent.view.generations)
    applied = node.agent.view.applied
    ending = threading.Event()

    def read() -> None:
        while not ending.is_set():
            seen.add(node.agent.view.policy.text)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5):
        result = node.agent.apply_policy(NEW, dry_run=True)
    ending.set()
    reader.join(10)
    assert result.changes
    assert result.ports == 2
    assert seen == {OLD}
    assert node.kernel.calls == []
    assert node.agent.view.generations == generations
    assert node.agent.view.applied is applied
    assert [one.comment for one in node.agent.revisions.all()] == [""]


def test_a_policy_is_seen_from_when_it_holds(node):
    seen = texts_seen(node)
    before = node.agent.view.policy_applied_at
    result = node.agent.apply_policy(NEW, author="ann", comment="for the shop")
    assert result.rules == 1
    assert seen == {OLD}, "not before the last of its calls was taken"
    assert node.agent.view.policy.text == NEW
    assert node.agent.view.policy_applied_at >= before
    assert node.agent.revisions.all()[-1].comment == "for the shop"
    assert node.holds()


def test_what_cannot_be_read_asks_nobody(node):
    with pytest.raises(UsageError):
        node.agent.apply_policy("rules: nonsense")
    assert node.kernel.calls == []
    assert node.agent.view.policy.text == OLD


CALLS = ["node_set", "publish", "grace_period", "sync", "write_owners", "update"]


@pytest.mark.parametrize("error", [REFUSED, KeyError("odd")], ids=["refused", "odd"])
@pytest.mark.parametrize("call", CALLS)
def test_whatever_refuses_a_policy_the_former_one_is_seen_and_comes_to_hold(
    node, call, error
):
    node.kernel.refuses[call] = error
    with pytest.raises(SegctlError, match="not applied"):
        node.agent.apply_policy(NEW)
    assert call in node.kernel.calls
    assert node.agent.view.policy.text == OLD
    assert node.agent.context.store.policy()[0] == OLD
    assert [one.rules for one in node.agent.revisions.all()] == [1]
    wait_for(lambda: node.holds() or any(one.why for one in node.agent.pending()))
    node.comes_to_hold()
    assert node.agent.view.policy.text == OLD
    assert node.agent.view.applied.node == node.agent.context.compile().node


@pytest.mark.parametrize("call", CALLS)
def test_what_is_refused_once_is_taken_back_before_the_answer(node, call):
    node.kernel.refuses[call] = REFUSED

    def once(_name: str) -> None:
        if node.kernel.calls.count(call) > 1:
            node.kernel.refuses.clear()

    node.kernel.meanwhile = once
    with pytest.raises(SegctlError) as caught:
        node.agent.apply_policy(NEW)
    assert caught.value.state == "the former one is in force everywhere"
    assert node.agent._loop.do(node.holds)
    assert node.agent.view.policy.text == OLD


def test_what_was_refused_is_pending_with_its_reason_until_it_is_taken(node):
    node.kernel.refuses["node_set"] = REFUSED
    with pytest.raises(SegctlError, match="not applied"):
        node.agent.apply_policy(NEW)
    (one,) = wait_for(node.agent.pending)
    assert (one.kind, one.why) == ("resync", "no room.")
    wait_for(lambda: node.agent.pending()[0].tries > 2)
    messages = [one.message for one in node.agent.events.latest(100)]
    assert messages.count("no room.") == 1, "told once"
    node.comes_to_hold()
    assert node.agent.pending() == []


def test_a_disk_that_refuses_the_policy_leaves_the_former_one(node, monkeypatch):
    def full(_text: str) -> None:
        raise SegctlError("no space left")

    with monkeypatch.context() as disk:
        disk.setattr(node.agent.context.store, "save_policy", full)
        with pytest.raises(SegctlError, match="no space left"):
            node.agent.apply_policy(NEW)
    assert node.agent.view.policy.text == OLD
    node.comes_to_hold()


def test_a_log_that_refuses_takes_no_policy_back(node, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise SegctlError("no space left")

    monkeypatch.setattr(node.agent.revisions, "add", full)
    node.agent.apply_policy(NEW)
    assert node.agent.view.policy.text == NEW
    told = [one.message for one in node.agent.events.latest(10, kinds=("policy",))]
    assert any("not in its log" in line for line in told)


def test_a_policy_that_holds_already_is_put_in_force_again_and_not_logged(node):
    before = node.agent.view.policy_applied_at
    node.agent.apply_policy(OLD)
    assert len(node.agent.revisions.all()) == 1
    assert node.agent.view.policy_applied_at == before


def test_a_mode_is_seen_with_its_source_when_it_is_answered(node):
    after = node.agent.set_mode("web", Mode.MONITOR)
    effective = node.agent.view.mode_of(after)
    assert (effective.mode, effective.source) == (Mode.MONITOR, ModeSource.COMMAND)
    assert node.agent.find(node.agent.view, "web").forced_mode is Mode.MONITOR
    assert node.holds()


def test_a_mode_that_is_tried_changes_nothing(node):
    after = node.agent.set_mode("web", Mode.QUARANTINE, dry_run=True)
    assert after.forced_mode is Mode.QUARANTINE
    assert node.agent.find(node.agent.view, "web").forced_mode is None
    assert node.kernel.calls == []


def test_a_full_disk_keeps_nobody_out_of_quarantine(node, monkeypatch):
    def full(_load: Any) -> None:
        raise SegctlError("no space left")

    monkeypatch.setattr(node.agent.context.memory, "keep_mode", full)
    with pytest.raises(SegctlError, match="no space left") as caught:
        node.agent.set_mode("web", Mode.QUARANTINE)
    assert "quarantine holds" in caught.value.state
    assert node.agent.view.find("web").forced_mode is Mode.QUARANTINE
    assert node.agent._loop.do(node.holds)
    with pytest.raises(SegctlError, match="no space left"):
        node.agent.set_mode("web", Mode.MONITOR)
    assert node.agent.view.find("web").forced_mode is Mode.QUARANTINE


@pytest.mark.parametrize("call", ["update", "policy_set", "publish", "sync"])
def test_a_mode_that_is_refused_is_the_former_one_everywhere_in_the_end(node, call):
    node.kernel.refuses[call] = REFUSED
    with pytest.raises(SegctlError):
        node.agent.set_mode("web", Mode.QUARANTINE)
    assert call in node.kernel.calls
    assert node.agent.find(node.agent.view, "web").forced_mode is None
    assert node.agent.context.memory.with_mode(WEB).forced_mode is None
    node.comes_to_hold()
    assert node.agent.find(node.agent.view, "web").forced_mode is None


@pytest.mark.parametrize("call", ["attach", "publish", "listeners_set"])
def test_an_attach_that_is_refused_keeps_no_other_from_theirs(node, call):
    late = workload("late", port(3))
    node.kernel.refuses[call] = REFUSED
    with pytest.raises(SegctlError):
        node.attach(late)
    node.comes_to_hold()
    assert {"web", "db"} <= set(node.agent.view.by_id)
    assert not node.agent.view.generations.keys() - {1, 2, 3}


def test_a_detach_gives_its_ports_back_and_is_seen(node):
    result = node.agent.detach(DetachRequest(workload="web"))
    assert result.workloads == ["web"]
    assert node.kernel.calls[:2] == ["unspliced", "detach"]
    assert "web" not in node.agent.view.by_id
    assert set(node.agent.view.generations) == {2}
    assert node.holds()


@pytest.mark.parametrize("call", ["detach", "port_delete"])
def test_what_a_detach_leaves_stays_known_until_it_is_detached_again(node, call):
    node.kernel.refuses[call] = REFUSED
    with pytest.raises(SegctlError, match="web"):
        node.agent.detach(DetachRequest(workload="web"))
    assert "web" in node.agent.view.by_id
    node.kernel.refuses.clear()
    node.agent.detach(DetachRequest(workload="web"))
    assert set(node.agent.view.by_id) == {"db"}
    node.comes_to_hold()


def test_a_detach_of_many_lets_others_in_between(node):
    """After each few: what they see is whole, and what they attach stays."""
    many = [workload(f"load-{n:02}", port(10 + n)) for n in range(30)]
    node.attach(*many)
    asked, seen = threading.Event(), []

    def ask() -> None:
        node.agent.set_log_level("info")
        seen.append(len(node.agent.view.by_id))

    asker = threading.Thread(target=ask)

    def once(name: str) -> None:
        if name == "unspliced" and not asked.is_set():
            asked.set()
            asker.start()
            wait_for(lambda: node.agent._loop._requests)

    node.kernel.meanwhile = once
    node.agent.detach(DetachRequest(all=True))
    asker.join(10)
    assert node.agent.view.by_id == {}
    assert 0 < seen[0] < 32


def test_the_log_level_is_changed_in_turn_with_all_else(node):
    held, go = threading.Event(), threading.Event()
    holder = threading.Thread(
        target=node.agent._loop.do, args=(lambda: held.set() or go.wait(10),)
    )
    holder.start()
    assert held.wait(10)
    levels: list[str] = []
    asker = threading.Thread(
        target=lambda: levels.append(node.agent.set_log_level("debug"))
    )
    asker.start()
    wait_for(lambda: node.agent._loop._requests)
    assert node.kernel.calls == []
    go.set()
    for thread in (holder, asker):
        thread.join(10)
    assert node.kernel.calls == ["log_level"]
    assert node.kernel.log_level == "debug"
    assert node.agent.set_log_level(levels[0]) == "debug"


def test_who_is_asked_for_is_found_without_the_controller(node):
    held, go = threading.Event(), threading.Event()
    holder = threading.Thread(
        target=node.agent._loop.do, args=(lambda: held.set() or go.wait(10),)
    )
    holder.start()
    assert held.wait(10)
    assert node.agent.find(node.agent.view, "web").name == "web"
    assert node.agent.pending() == []
    with pytest.raises(NotFoundError):
        node.agent.find(node.agent.view, "nobody")
    go.set()
    holder.join(10)


@pytest.mark.parametrize(
    "order", [AttachRequest(container="slow"), DetachRequest(container="slow")]
)
def test_nobody_waits_for_a_runtime_that_is_asked_for_a_container(
    node, monkeypatch, order
):
    """It may take many seconds until it says that it does not answer."""
    asked, go, told = threading.Event(), threading.Event(), []

    def resolve(name: str, _host: str | None) -> Any:
        asked.set()
        go.wait(10)
        raise NotFoundError(f"there is no container {name}")

    for place in (agent_module, attach_target):
        monkeypatch.setattr(place, "resolve", resolve)
    monkeypatch.setattr(attach, "attach", ATTACH)

    def ask() -> None:
        try:
            is_attach = isinstance(order, AttachRequest)
            (node.agent.attach if is_attach else node.agent.detach)(order)
        except NotFoundError as error:
            told.append(str(error))

    asker = threading.Thread(target=ask)
    asker.start()
    assert asked.wait(10)
    other = threading.Thread(target=node.agent.set_mode, args=("web", Mode.QUARANTINE))
    other.start()
    other.join(5)
    waited = other.is_alive()
    go.set()
    for thread in (asker, other):
        thread.join(10)
    assert not waited
    assert told == ["there is no container slow."]


def test_a_container_that_is_known_is_detached_without_its_runtime(node, monkeypatch):
    def resolve(*_: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(agent_module, "resolve", resolve)
    assert node.agent.detach(DetachRequest(container="web")).workloads == ["web"]


def test_what_is_asked_after_the_end_is_refused_and_what_was_read_stays(node):
    node.agent.stop()
    orders = (
        lambda: node.agent.attach(AttachRequest(container="web")),
        lambda: node.agent.detach(DetachRequest(all=True)),
        lambda: node.agent.set_mode("web", Mode.MONITOR),
        lambda: node.agent.apply_policy(NEW),
        lambda: node.agent.set_log_level("debug"),
    )
    for order in orders:
        with pytest.raises(UnreachableError) as caught:
            order()
        assert str(caught.value) == ENDING
    assert node.agent.view.policy.text == OLD
    assert node.agent.find(node.agent.view, "web").name == "web"


def test_at_its_end_the_engine_is_left_to_those_who_are_attached(node):
    node.agent.stop()
    assert "release" in node.kernel.calls
    assert not {"stop", "cleanup", "remove_enforcer"} & {*node.kernel.calls}


def test_what_fails_at_the_end_costs_no_record(node):
    """The last second of flows and events is on disk, whatever cannot be taken away."""
    node.agent.detach(DetachRequest(all=True))
    node.kernel.refuses |= {"events": REFUSED, "cleanup": REFUSED}
    with pytest.raises(SegctlError, match="no room"):
        node.agent.stop()
    assert "stop" in node.kernel.calls
    assert not node.agent.context.history._thread.is_alive()


def test_with_none_attached_nothing_is_left(node):
    node.agent.detach(DetachRequest(all=True))
    node.agent.stop()
    last = [
        one
        for one in node.kernel.calls
        if one in ("stop", "cleanup", "remove_enforcer")
    ]
    assert last == ["stop", "cleanup", "remove_enforcer"]


def test_an_order_that_waits_while_the_agent_ends_changes_nothing(node):
    """The next agent may be at work by then."""
    held, go, told = threading.Event(), threading.Event(), []
    holder = threading.Thread(
        target=node.agent._loop.do, args=(lambda: held.set() or go.wait(10),)
    )
    holder.start()
    assert held.wait(10)

    def ask() -> None:
        try:
            node.agent.apply_policy(NEW)
        except UnreachableError as error:
            told.append(str(error))

    asker, ender = (
        threading.Thread(target=ask),
        threading.Thread(target=node.agent.stop),
    )
    asker.start()
    wait_for(lambda: node.agent._loop._requests)
    ender.start()
    wait_for(lambda: node.agent._loop.closing)
    go.set()
    for thread in (holder, asker, ender):
        thread.join(10)
    assert told == [ENDING]
    assert node.agent.context.store.policy()[0] == OLD


def test_the_next_agent_takes_over_what_the_former_one_left(
    node, monkeypatch, tmp_path
):
    node.agent.set_mode("web", Mode.MONITOR)
    node.agent.stop()
    with running(monkeypatch, tmp_path) as again:
        view = again.agent.view
        assert view.policy.text == OLD
        assert [one.name for one in view.workloads()] == ["db", "web"]
        assert view.find("web").forced_mode is Mode.MONITOR
        assert view.policy_applied_at
        assert again.holds()


def test_what_cannot_be_steered_at_the_start_is_pending_and_steered_later(
    node, monkeypatch, tmp_path
):
    node.agent.stop()
    again = Node(monkeypatch, tmp_path)
    again.kernel.refuses["attach"] = REFUSED
    again.agent.start()
    assert any("not steered" in line for line in again.agent.warnings)
    (one,) = wait_for(again.agent.pending)
    assert "no room" in one.why
    again.kernel.refuses.clear()
    wait_for(lambda: not again.agent.pending())
    assert again.agent.context.unsteered == {}
    assert again.agent._loop.do(again.holds)
    again.agent.stop()


def test_an_agent_that_has_not_started_can_be_stopped(monkeypatch, tmp_path):
    node = Node(monkeypatch, tmp_path)
    node.agent.stop()
    with pytest.raises(UnreachableError):
        node.agent.set_log_level("debug")
