"""Why a container is attached or not, in the words of `list --all`."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from pyctl.agent import inventory
from pyctl.agent.inventory import Inventory, Standing
from pyctl.model.instance import Instance
from pyctl.model.workload import ProcessRef, Workload
from pyctl.platform.process import process_ref
from pyctl.runtime.base import Container, Known, Unreachable
from pyctl.state.remembered import Memory
from pyctl.state.requests import AttachRequest

DB = Container("ab" * 32, "db", 0, "docker", place="unix:///d.sock")
ELSEWHERE = (4, 1)


class FakeRuntime:
    place = "unix:///d.sock"

    def __init__(self, *known: Known) -> None:
        self._known = known

    def known(self) -> list[Known]:
        if not self._known:
            raise Unreachable("nobody is there")
        return list(self._known)


@pytest.fixture
def found(tmp_path, monkeypatch) -> Inventory:
    monkeypatch.setattr(Instance, "state_dir", tmp_path)
    instance = Instance("segt-inventory")
    return Inventory(instance, [], Memory(instance), {})


def told(found: Inventory, *containers: Container) -> list[tuple[str, str]]:
    runtime = FakeRuntime(*(Known(one, "exited") for one in containers))
    listed, silent = found.of([runtime, FakeRuntime()])
    assert silent == ["unix:///d.sock: nobody is there"]
    return [(one.standing, one.reason) for one in listed]


def test_one_that_does_not_run_is_lost_only_where_it_is_remembered(found):
    assert told(found, DB) == [("not-attached", "it does not run (exited)")]
    workload = Workload(DB.short_id, "db", ProcessRef(1, 1, ELSEWHERE))
    found.memory.keep(DB, AttachRequest(container="db"), workload)
    ((standing, reason),) = told(found, DB)
    assert standing == "lost"
    assert "attached when it starts" in reason


def test_one_in_the_namespace_of_an_attached_one_is_told_with_whom(found, monkeypatch):
    here = process_ref(os.getpid())
    workload = Workload(DB.short_id, "db", replace(here, pid=1))
    found = replace(found, attached=[workload])
    running = replace(DB, pid=os.getpid())
    sidecar = replace(running, id="cd" * 32, name="sidecar")
    assert [one[0] for one in told(found, running, sidecar)] == ["attached", "shared"]
    assert told(found, sidecar)[0][1].startswith(
        "it shares the network namespace of db"
    )


def test_a_running_one_is_told_what_is_in_the_way(found, monkeypatch):
    running = replace(DB, pid=os.getpid())
    ((standing, reason),) = told(found, running)
    assert standing == Standing.NOT_ATTACHED
    assert "has the network namespace of" in reason
    monkeypatch.setattr(inventory, "refuse_netns", lambda *_: None)
    monkeypatch.setattr(inventory, "candidates", lambda _: ((), ("eth0 is of kind x",)))
    assert (
        told(found, running)[0][1]
        == "it has no interface to inspect; eth0 is of kind x"
    )
    monkeypatch.setattr(inventory, "candidates", lambda _: (("eth0",), ()))
    assert told(found, running)[0][1] == "nobody asked for it"
    failed = replace(found, failures={DB.id: "the kernel refuses"})
    assert told(failed, running) == [("lost", "the kernel refuses")]
    assert told(found, replace(DB, pid=2**22 + 1))[0][1] == "it is ending"
