"""What readers see is one value of one moment, and answers what they ask of it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from pyctl.controller.view import View
from pyctl.errors import NotFoundError, UsageError
from pyctl.model.workload import Mode, ModeSource
from pyctl.policy.document.parse import parse
from tests.unit.policy.makers import port, workload

WEB = replace(workload("web", port(1)), id="0123456789ab")
APP = replace(workload("app", port(2)), id="0123aaaaaaaa")
VIEW = View(by_id={one.id: one for one in (WEB, APP)})


def test_before_the_first_moment_there_is_nothing():
    view = View()
    assert view.workloads() == []
    assert (view.policy.rules, view.policy_applied_at) == ((), None)
    assert dict(view.generations) == {}
    with pytest.raises(NotFoundError):
        view.find("web")


def test_workloads_are_in_the_order_of_their_names():
    assert VIEW.workloads() == [APP, WEB]


@pytest.mark.parametrize(
    "ref", ["web", "0123456789ab", "0123456", "0123456789ab" + "cd" * 26]
)
def test_one_is_found_by_what_a_user_knows_of_it(ref):
    assert VIEW.find(ref) is WEB


def test_a_head_of_two_ids_is_nobodys():
    with pytest.raises(UsageError, match="0123456789ab"):
        VIEW.find("0123")
    with pytest.raises(NotFoundError):
        VIEW.find("012")


def test_a_mode_is_the_one_of_its_own_policy():
    """Also of a workload as it is by now, in a view that is newer or older."""
    policy = parse(
        "apiVersion: segctl/v1\ngroups: {web: {selector: {name: web}}}\nmodes: {web: monitor}\n"
    )
    view = replace(VIEW, policy=policy)
    assert VIEW.mode_of(WEB).mode is Mode.PROTECT
    found = view.mode_of(WEB)
    assert (found.mode, found.source) == (Mode.MONITOR, ModeSource.POLICY)
    forced = view.mode_of(WEB.forced(Mode.QUARANTINE))
    assert (forced.mode, forced.source) == (Mode.QUARANTINE, ModeSource.COMMAND)


def test_nobody_changes_it():
    with pytest.raises(FrozenInstanceError):
        VIEW.policy = None  # type: ignore[misc, assignment]
