"""How far a newcomer walks who follows an attach, or a new policy, from the request to the kernel.

Counted on the running code, by a profiler: the agent is real from its method down to where the platform begins, which
is played. Of the packages agent, controller, intercept and datapath, those modules count that are on the stack when
something is changed: the disk, an engine, a driver, an interface. Whoever only answers a question (which container is
meant, what an interface has, whose an address is) is looked up by the question's name, and is no part of the walk;
`test_questions_stay_few` holds how many there are. A room within such a package (intercept.steps, datapath.ebpf) is
entered by who opens it, and counts with that. The packages that are pure, or below (policy, model, state, telemetry,
platform, runtime), do not count, nor the loop's thread: a request runs where it was made. An attach
is walked until its splice is committed: that the other workloads then learn of the new one is a change like any other,
whose order (commit_order) is part of a policy's walk, and counted there.

A climb is a call that leads back up: into a module that is on the stack already above its caller, or into a package
above the caller's, as agent is above controller, and controller above intercept and datapath.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from pyctl.agent import agent as agent_module
from pyctl.controller import recovery
from pyctl.controller.workloads import attach, attach_target, in_netns, uninspected
from pyctl.intercept.enforcer import ensure_enforcer
from pyctl.intercept.recover import recover
from pyctl.state.requests import AttachRequest
from pyctl.state.store import Store
from tests.unit.agent import played
from tests.unit.agent.played import NEW, Node
from tests.unit.controller.played import Drivers
from tests.unit.intercept.played import Kernel

ROOT = Path(__file__).parents[2]
LEVELS = {"agent": 0, "controller": 1, "intercept": 2, "datapath": 2}
DRIVERS = "datapath.drivers"
STEERS = {"attach", "publish", "update", "write_owners"}
"""The calls of the played drivers that change something."""
QUESTIONS = {
    "controller.recovery": "is something half done?",
    "controller.workloads.attach_target": "which process is meant?",
    "controller.workloads.in_netns": "who is attached there?",
    "controller.workloads.succession": "who has its name or id, and still lives?",
    "controller.workloads.given": "which addresses are its own?",
    "controller.workloads.uninspected": "what is beside it?",
    "intercept.enforcer": "does its namespace stand?",
    "intercept.gso": "does its pair offer what the engine can send?",
    "intercept.live_state": "what does the interface have?",
    "intercept.names": "what are its ports called?",
    "intercept.recover": "is there a journal?",
    "intercept.uninspected": "what leads out, and is not spliced?",
}.keys()
REAL = {
    (agent_module.attaching, "attach"): attach.attach,
    (agent_module.uninspected, "look"): uninspected.look,
    (recovery, "finish_journals"): recovery.finish_journals,
}
"""What the played agent replaces, and an attach needs."""


@dataclass
class Walk:
    """What was passed on the way."""

    entered: dict[str, None] = field(default_factory=dict)
    """All modules that were called."""
    passed: dict[str, None] = field(default_factory=dict)
    """Those on the stack when something changed, in their order."""
    climbs: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        sys.setprofile(self._seen)
        try:
            yield
        finally:
            sys.setprofile(None)

    def changes(self, *_: object) -> None:
        """Something is changed now."""
        for name in reversed(list(stack(sys._getframe()))):
            if not is_room(name):
                self.passed.setdefault(name)

    def _seen(self, frame: FrameType, event: str, _arg: Any) -> None:
        name = module_of(frame) if event == "call" else None
        if name is None:
            return
        if not is_room(name):
            self.entered.setdefault(name)
        above = list(stack(frame.f_back))
        if not above or above[0] == name:
            return
        caller = above[0]
        if name in above or level(name) < level(caller):
            self.climbs.append(f"{caller} → {name} ({frame.f_code.co_name})")


def module_of(frame: FrameType) -> str | None:
    """The module of a frame, of the packages that count, without `pyctl.`; None for others."""
    file = frame.f_code.co_filename
    if not file.startswith(f"{ROOT}/pyctl/"):
        return None
    name = file.removeprefix(f"{ROOT}/pyctl/").removesuffix(".py").replace("/", ".")
    return name if name.split(".")[0] in LEVELS else None


def stack(frame: FrameType | None) -> Iterator[str]:
    """The modules that count from a frame upwards."""
    while frame is not None:
        if name := module_of(frame):
            yield name
        frame = frame.f_back


def level(name: str) -> int:
    return LEVELS[name.partition(".")[0]]


def is_room(name: str) -> bool:
    """Whether it is within a room of intercept or datapath."""
    return level(name) == 2 and name.count(".") > 1


@pytest.fixture
def node(monkeypatch, tmp_path):
    """Name: node. Scope: function. Depends: no root. An agent over a kernel, drivers and an engine that are played;
    process 77 has an eth0."""
    kernel = Kernel(tmp_path / "host")
    kernel.play(monkeypatch)
    monkeypatch.setattr(played, "Kernel", Drivers)
    node = Node(monkeypatch, tmp_path)
    for (module, name), real in REAL.items():
        monkeypatch.setattr(module, name, real)
    monkeypatch.setattr(recovery, "recover", recover)
    for name, part in {
        "process_ref": lambda _pid: kernel.process,
        "with_cookie": lambda process: process,
    }.items():
        monkeypatch.setattr(attach_target, name, part)
    monkeypatch.setattr(in_netns, "shares_netns", lambda *_: True)
    ensure_enforcer(kernel.instance)
    node.host = kernel
    return node


def walk(node: Node, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> Walk:
    """What is passed while the agent does it."""
    found = Walk()
    node.host.fault = found.changes

    def called(name: str) -> None:
        found.changes()
        if name in STEERS:
            found.passed.setdefault(DRIVERS)

    node.kernel.meanwhile = called
    for name in ("save", "save_port_id", "save_policy"):
        monkeypatch.setattr(Store, name, watched(getattr(Store, name), found.changes))
    with found.followed():
        act()
    return found


def watched(
    call: Callable[..., Any], before: Callable[[], object]
) -> Callable[..., Any]:
    def watch(*args: Any) -> Any:
        before()
        return call(*args)

    return watch


def test_an_attach_enters_seven_modules_and_climbs_twice(node, monkeypatch):
    """Each step of the splice offers to give way, by a function that it was given; that climbs too."""
    order = AttachRequest(pid=77, name="web")
    found = walk(node, monkeypatch, lambda: node.agent.attach(order))
    assert node.host.ports() == ["vex4d-eth0", "vin4d-eth0"]
    *walked, after = found.passed
    assert walked == [
        *("agent.agent", "controller.loop", "controller.workloads.attach"),
        *("controller.context", "controller.steering"),
        *("intercept.attach", DRIVERS),
    ]
    assert len(walked) <= 7
    assert after == "controller.commit_order", "the others learn of it, as of a policy"
    climbs = [one for one in found.climbs if not one.endswith(" (give_way)")]
    assert climbs == [
        "controller.loop → agent.agent (_attach)",
        "controller.steering → controller.context (listeners)",
    ]


def test_a_policy_enters_eight_modules_at_most_and_climbs_once(node, monkeypatch):
    node.agent.attach(AttachRequest(pid=77, name="web"))
    found = walk(node, monkeypatch, lambda: node.agent.apply_policy(NEW))
    assert node.holds()
    assert list(found.passed) == [
        *("agent.agent", "controller.loop", "agent.policies"),
        *("controller.commit_policy", "controller.context", "controller.commit_order"),
        *("controller.steering", DRIVERS),
    ]
    assert len(found.passed) <= 8
    assert len(found.climbs) <= 1, found.climbs


def test_questions_stay_few(node, monkeypatch):
    """The modules that an attach looks up something in, besides."""
    order = AttachRequest(pid=77, name="web")
    found = walk(node, monkeypatch, lambda: node.agent.attach(order))
    asked = found.entered.keys() - found.passed.keys()
    assert asked <= QUESTIONS
