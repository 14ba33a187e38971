"""A policy holds everywhere or nowhere, whichever step fails."""

from __future__ import annotations

import pytest

from pyctl.controller.commit_policy import commit_policy
from pyctl.errors import SegctlError
from pyctl.policy.document.types import Policy

OLD, NEW = Policy(text="# old\n"), Policy(text="# new\n")


class Disk:
    """The store of a node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.text = OLD.text

    def policy(self):
        return self.text, None

    def save_policy(self, text: str) -> None:
        self.node.step()
        self.text = text


class Node:
    """A context. `fails`: the steps, by number, that raise `error`."""

    def __init__(self) -> None:
        self.store = Disk(self)
        self.policy = self.in_force = OLD
        self.fails: tuple[int, ...] = ()
        self.error: Exception = SegctlError("no room")
        self.told: list[str] = []
        self.done = 0

    def step(self) -> None:
        self.done += 1
        if self.done in self.fails:
            raise self.error

    def refresh(self) -> None:
        self.step()
        self.in_force = self.policy

    def happened(self, event) -> None:
        self.told.append(event.message)

    def state(self):
        return self.store.text, self.policy, self.in_force


@pytest.fixture
def node() -> Node:
    """Name: node. Scope: function. With the former policy in force."""
    return Node()


def test_what_is_applied_is_stored_and_holds(node):
    commit_policy(node, NEW)
    assert node.state() == (NEW.text, NEW, NEW)


@pytest.mark.parametrize(
    "error", [SegctlError("no room"), OSError(5, "EIO"), KeyError()]
)
@pytest.mark.parametrize("step", [1, 2])
def test_a_step_that_fails_leaves_the_former_everywhere(node, step, error):
    node.fails, node.error = (step,), error
    with pytest.raises(SegctlError, match="not applied") as caught:
        commit_policy(node, NEW)
    assert node.state() == (OLD.text, OLD, OLD)
    assert caught.value.state == "the former one is in force everywhere"
    assert "not applied" in node.told[0]


def test_what_could_not_be_put_back_is_said(node):
    """And each step back is tried, whatever becomes of the others."""
    node.fails = (2, 3)
    with pytest.raises(SegctlError) as caught:
        commit_policy(node, NEW)
    assert "it is not stored again (no room)" in caught.value.state
    assert (node.policy, node.in_force) == (OLD, OLD)


def test_a_disk_that_refuses_the_new_one_has_the_former_still(node):
    node.fails = (1, 3)
    with pytest.raises(SegctlError) as caught:
        commit_policy(node, NEW)
    assert "everywhere" in caught.value.state
