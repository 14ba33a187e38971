"""An agent over a kernel and an engine that are played: both take what they are told, or refuse it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from pyctl.agent import agent as module
from pyctl.agent.agent import Agent
from pyctl.controller import commit_order, recovery
from pyctl.controller import context as context_module
from pyctl.controller.workloads import detach, release
from pyctl.datapath.drivers import Drivers
from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from pyctl.model.worker import ALONE
from pyctl.model.workload import DatapathKind, Workload
from pyctl.state.requests import AttachRequest, AttachResult
from tests.lab.pace import wait_for

OLD = """\
apiVersion: segctl/v1
groups: {web: {selector: {name: web}}, db: {selector: {name: db}}}
rules: [{id: 1, from: web, to: db, ports: [tcp/5432], action: allow}]
"""
NEW = """\
apiVersion: segctl/v1
groups: {web: {selector: {name: web}}, db: {selector: {name: db}}}
rules: [{id: 2, from: web, to: db, ports: [tcp/80], action: deny}]
modes: {web: monitor}
"""


class Engine:
    """The engine as its client sees it."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self._kernel.called(name)


class Kernel:
    """Engine, supervisor and drivers in one: writes down what it was told, and refuses what it is to refuse."""

    default = DatapathKind.EBPF
    capabilities = Drivers(Instance("segt-played")).capabilities
    put_on = Drivers(Instance("segt-played")).put_on

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.refuses: dict[str, Exception] = {}
        self.meanwhile: Callable[[str], object] = lambda _: None
        """Called at each call, before it is taken or refused."""
        self.pid = 77
        self.log_level = "info"
        self.on_new_engine: Callable[[], object] = lambda: None
        self.worker = ALONE
        self.each = (self,)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.called(name)

    def called(self, name: str) -> Callable[..., Any]:
        """What takes or refuses the call of this name."""

        def call(*_: object, **__: object) -> None:
            self.calls.append(name)
            self.meanwhile(name)
            if name in self.refuses:
                raise self.refuses[name]

        return call

    def teach_with(self, teach: Callable[[Kernel], object]) -> None:
        self.on_new_engine = lambda: teach(self)

    def log_from(self, level: str) -> None:
        self.log_level = level

    def set_log_level(self, level: str) -> None:
        self.log_level = level
        self.called("log_level")(level)

    def call_engine(self, what: Callable[[Engine], object]) -> None:
        what(Engine(self))

    def of(self, _kind: DatapathKind) -> Kernel:
        return self

    def namespace(self) -> None:
        """Its name is not looked after."""

    def start(self) -> list[str]:
        self.calls.append("start")
        return []

    def sessions(self, _limit: int, _port_id: int = 0) -> list[object]:
        return []

    def rules(self, port_id: int) -> list[str]:
        return [f"filter of port {port_id}"]

    def counters(self, _port_id: int) -> dict[str, object]:
        return {}

    def name_counts(self, _ports: object) -> dict[str, int]:
        return {}

    def session_count(self, _port_id: int) -> int:
        return 3

    def flow_map(self, _ports: object) -> None:
        return None

    def port_in_use(self, _port_id: int) -> bool:
        return False

    def status(self) -> dict[str, object]:
        known = {
            "state": "running",
            "pid": self.pid,
            "heartbeat_age_ms": 1.0,
            "restarts": 0,
            "sessions": 0,
            "ring_drops": 0,
        }
        return {**known, "workers": [known]}


class Watch:
    """An observer that has nothing to see."""

    def __init__(self, *_: object) -> None:
        self.woken = 0

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def wake(self) -> None:
        self.woken += 1

    def pending(self) -> list[object]:
        return []


class Node:
    """The agent, its kernel, and workloads on paper."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        monkeypatch.setattr(Instance, "run_dir", place / "run")
        monkeypatch.setattr(Instance, "state_dir", place / "state")
        monkeypatch.setattr(Instance, "netns", place / "netns")
        self.kernel = Kernel()
        for name in ("Workers", "Drivers"):
            monkeypatch.setattr(module, name, lambda *_, **__: self.kernel)
        for name in ("Watcher", "EngineWatch"):
            monkeypatch.setattr(module, name, Watch)
        for name in ("ensure_enforcer", "remove_enforcer"):
            monkeypatch.setattr(module, name, self._noted(name))
        monkeypatch.setattr(module, "present_ports", self._standing)
        monkeypatch.setattr(module.recovery, "adopt_workloads", self._adopt)
        monkeypatch.setattr(recovery, "finish_journals", lambda _: [])
        monkeypatch.setattr(recovery, "with_indexes", lambda _, port: port)
        monkeypatch.setattr(recovery, "drop_broken_ports", lambda *_: [])
        monkeypatch.setattr(module, "resolve", lambda *_: None)
        monkeypatch.setattr(module.attaching, "attach", self._attach)
        monkeypatch.setattr(module.uninspected, "cover", lambda *_: None)
        monkeypatch.setattr(module.uninspected, "look", lambda *_: ())
        monkeypatch.setattr(detach, "process_alive", lambda _: True)
        monkeypatch.setattr(detach.uninspected, "release", lambda *_: None)
        monkeypatch.setattr(detach, "lost_by_detach", lambda *_, **__: ())
        monkeypatch.setattr(release, "unsplice", self._unsplice)
        monkeypatch.setattr(context_module, "listening_ports", lambda _: ())
        monkeypatch.setattr(context_module, "switch_bridge", lambda *_: None)
        monkeypatch.setattr(
            commit_order, "wait_for_programs", self.kernel.called("grace_period")
        )
        self.loads: dict[str, Workload] = {}
        """By name: what can be attached."""
        self.agent = Agent(Instance("segt-agent"))
        kind = self.agent._loop._kinds["resync"]
        quick = replace(kind, retry_s=0.02, retry_max_s=0.02, rests=0.0)
        self.agent._loop.kind("resync", quick)

    def _noted(self, name: str) -> Callable[[object], None]:
        return lambda _: self.kernel.calls.append(name)

    def _standing(self, _instance: Instance) -> frozenset[str]:
        by_id = self.agent.context.registry.by_id
        return frozenset(port.vex for one in by_id.values() for port in one.ports)

    def _adopt(self, context: Any) -> list[str]:
        warnings = context.registry.load(lambda one: one)
        for load in context.registry.all():
            warnings += recovery._steer(context, load, load.ports)
        context.refresh()
        return list(warnings)

    def _attach(self, context: Any, order: AttachRequest) -> AttachResult:
        load = self.loads[order.container or ""]
        if order.dry_run:
            return AttachResult(None, ["splice it"], [], False, 1.0)
        try:
            for port in load.ports:
                context.prepare(load, port)
            context.registry.put(load)
            for port in load.ports:
                context.steer(load, port)
        except SegctlError:
            for port in load.ports:
                with contextlib.suppress(SegctlError):
                    context.steering.remove(port.port_id)
            context.registry.drop(load.id)
            raise
        context.refresh()
        return AttachResult(load, ["spliced"], [], False, 1.0)

    def _unsplice(self, *_: object, turns: Any, **__: object) -> list[str]:
        with turns:
            self.kernel.unspliced()
        return []

    def attach(self, *loads: Workload) -> None:
        """By the agent, as `segctl attach` does."""
        for load in loads:
            self.loads[load.name] = load
            self.agent.attach(AttachRequest(container=load.name))

    def holds(self) -> bool:
        """Whether engine and kernel have what registry and policy say, as far as they were told."""
        context = self.agent.context
        compiled = context.compile()
        known = context.steering
        return (
            not context.stale
            and not known.changes(compiled)
            and known.applied.node == compiled.node
            and known.applied.members == compiled.members
            and not known._engine_dirty
        )

    def comes_to_hold(self) -> None:
        """What was refused is taken by now, without anybody's asking."""
        self.kernel.refuses.clear()
        wait_for(lambda: not self.agent.pending() and self.agent._loop.do(self.holds))


@contextlib.contextmanager
def running(monkeypatch: pytest.MonkeyPatch, place: Path) -> Iterator[Node]:
    """A node whose agent has started; it is stopped at the end, where it was not."""
    node = Node(monkeypatch, place)
    # Without a format of its own, structlog draws every failure with all variables around it.
    with structlog.testing.capture_logs():
        node.agent.start()
        try:
            yield node
        finally:
            node.kernel.refuses.clear()
            node.kernel.meanwhile = lambda _: None
            node.agent.stop()


REFUSED = SegctlError("no room")
