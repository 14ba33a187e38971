"""The stored policy is found again or the newest that can be read, and each that was applied is in the log once."""

from __future__ import annotations

import threading
from functools import partial
from types import SimpleNamespace

import pytest

from pyctl.agent import policies
from pyctl.agent.policies import Policies
from pyctl.controller.context import Compiler
from pyctl.errors import SegctlError, UsageError
from pyctl.model.instance import Instance
from pyctl.model.workload import Mode
from pyctl.policy.document.parse import parse
from pyctl.policy.document.types import EMPTY, Policy
from pyctl.policy.evaluate.impact import Impact
from pyctl.state.registry import Registry
from pyctl.state.revisions import UNTOLD, Revisions
from pyctl.telemetry.history import hits
from tests.unit.agent.played import NEW, OLD, running
from tests.unit.observe.makers import NoStore
from tests.unit.policy.makers import port, workload

BROKEN = "rules: nonsense"
SEEN = Impact(0, complete=True)


class Node:
    """A context: what is stored, in force, and counted."""

    def __init__(self) -> None:
        self.stored: tuple[str, float | None] = ("", None)
        self.store = SimpleNamespace(policy=lambda: self.stored)
        self.policy: Policy = EMPTY
        self.registry = Registry(NoStore())  # type: ignore[arg-type]
        self.told: list[str] = []
        self.counted: list[int] = []
        self.history = SimpleNamespace(record=self._record)
        self.in_force: list[str] = []

    def _record(self, counts) -> None:
        self.counted = [one.key for one in counts]

    def compile(self):
        return self.compile_with(self.policy)

    def compile_with(self, policy: Policy):
        return Compiler(policy).compile(self.registry.all())

    def happened(self, event) -> None:
        self.told.append(event.message)


@pytest.fixture
def node(monkeypatch) -> Node:
    """Name: node. Scope: function. Two workloads, no policy."""
    made = Node()
    for load in (workload("web", port(1)), workload("db", port(2))):
        made.registry.put(load)

    def commit_policy(context: Node, policy: Policy) -> None:
        context.policy = policy
        context.in_force.append(policy.text)

    monkeypatch.setattr(policies, "commit_policy", commit_policy)
    return made


@pytest.fixture
def made(node, monkeypatch, tmp_path) -> Policies:
    """Name: made. Scope: function. The policies of the node, with a log of their own."""
    monkeypatch.setattr(Instance, "state_dir", tmp_path)
    return Policies(node, Revisions(Instance("segt-policies")))  # type: ignore[arg-type]


def apply(made: Policies, text: str, comment: str = "", *, dry_run: bool = False):
    policy = parse(text)
    log = partial(made.log, policy, "ann", comment, 0)
    return made.apply(policy, SEEN, log, dry_run=dry_run)


def logged(made: Policies) -> list[tuple[str, str]]:
    return [
        (made._revisions.text(one.number), one.comment) for one in made._revisions.all()
    ]


def test_without_a_policy_there_is_none(made, node):
    assert made.load() == []
    assert (node.policy, made.applied_at) == (EMPTY, None)
    made.note_untold()
    assert logged(made) == []


def test_the_stored_one_holds_since_it_was_applied(made, node):
    node.stored = (OLD, 12.5)
    assert made.load() == []
    assert node.policy.text == OLD
    assert made.applied_at == 12.5


def test_one_that_is_in_force_and_not_in_the_log_is_noted_once(made, node):
    """An agent was killed between the two."""
    node.stored = (OLD, 12.5)
    made.load()
    for _ in range(2):
        made.note_untold()
    assert logged(made) == [(OLD, UNTOLD)]


@pytest.mark.parametrize("stored", [BROKEN, ""], ids=["broken", "lost"])
def test_where_it_cannot_be_read_the_newest_that_can_holds(made, node, stored):
    for text in (NEW, OLD):
        apply(made, text)
    made._revisions.add(
        BROKEN, time=1.0, author="", comment="", rules=0, groups=0, uid=None
    )
    node.stored = (stored, 12.5)
    (warning,) = made.load()
    assert node.policy.text == OLD
    assert "revision 2 holds instead" in warning


def test_without_any_that_can_be_read_the_agent_does_not_start(made, node):
    """With an empty policy it would open what the former one closed."""
    node.stored = (BROKEN, 12.5)
    with pytest.raises(UsageError):
        made.load()
    assert node.policy is EMPTY


def test_what_is_applied_is_in_force_counted_and_in_the_log(made, node):
    result = apply(made, OLD, "for the shop")
    assert node.in_force == [OLD]
    assert (result.rules, result.groups, result.ports) == (1, 2, 2)
    assert logged(made) == [(OLD, "for the shop")]
    assert made.applied_at
    assert node.counted[0] == hits.DEFAULT
    assert len(node.counted) == 2


def test_what_is_tried_says_the_same_and_changes_nothing(made, node):
    tried = apply(made, OLD, dry_run=True)
    assert (node.in_force, node.policy, node.counted) == ([], EMPTY, [])
    assert (logged(made), made.applied_at) == ([], None)
    applied = apply(made, OLD)
    assert (tried.changes, tried.ports) == (applied.changes, applied.ports)


def test_what_holds_already_is_put_in_force_and_logged_no_more(made, node):
    """It may not hold everywhere after a failure."""
    apply(made, OLD)
    before = made.applied_at
    result = apply(made, OLD, "again")
    assert node.in_force == [OLD, OLD]
    assert result.changes == []
    assert logged(made) == [(OLD, "")]
    assert made.applied_at == before


def test_one_that_holds_and_was_never_logged_is_logged_then(made, node):
    node.policy = parse(OLD)
    apply(made, OLD, "again")
    assert logged(made) == [(OLD, "again")]


def test_one_that_is_refused_is_not_logged_or_counted(made, node, monkeypatch):
    def refused(*_: object) -> None:
        raise SegctlError("no room")

    monkeypatch.setattr(policies, "commit_policy", refused)
    with pytest.raises(SegctlError):
        apply(made, OLD)
    assert (logged(made), made.applied_at, node.counted) == ([], None, [])


def test_a_log_that_refuses_is_told_and_takes_nothing_back(made, node, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise SegctlError("no space left")

    monkeypatch.setattr(made._revisions, "add", full)
    apply(made, OLD)
    assert node.policy.text == OLD
    assert node.told == ["the policy holds, but is not in its log: no space left."]


def test_groups_that_take_nobody_are_told_some_by_name(made, node):
    names = [f"g{n:02}" for n in range(12)]
    groups = ", ".join(f"{name}: {{selector: {{name: no-{name}}}}}" for name in names)
    (warning,) = apply(made, f"apiVersion: segctl/v1\ngroups: {{{groups}}}\n").warnings
    assert warning.startswith("groups that select no attached workload: g00, g01")
    assert warning.endswith("and 2 more")


def test_nobody_waits_while_open_flows_are_judged(monkeypatch, tmp_path):
    """20,000 of them take seconds, also where a policy is only tried."""
    asked, go = threading.Event(), threading.Event()
    with running(monkeypatch, tmp_path) as node:

        def sessions(_limit: int) -> list[object]:
            asked.set()
            go.wait(10)
            return []

        node.attach(workload("web", port(1)))
        monkeypatch.setattr(node.kernel, "sessions", sessions)
        threads = [
            threading.Thread(target=ask)
            for ask in (
                partial(node.agent.apply_policy, NEW, dry_run=True),
                partial(node.agent.set_mode, "web", Mode.QUARANTINE),
            )
        ]
        threads[0].start()
        assert asked.wait(10)
        threads[1].start()
        threads[1].join(5)
        waited = threads[1].is_alive()
        go.set()
        for thread in threads:
            thread.join(10)
        assert not waited
