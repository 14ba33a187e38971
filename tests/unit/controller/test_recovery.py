"""An interrupted splice is finished in the end, whoever holds its journal at first; what was refused is come
back to."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pyctl.controller import recovery
from pyctl.errors import SegctlError
from pyctl.intercept import recover
from pyctl.intercept.steps.journal import taken
from tests.lab.pace import wait_for
from tests.unit.agent.played import REFUSED, Node, running
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
