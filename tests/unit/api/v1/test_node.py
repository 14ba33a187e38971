"""The node over the API: what is pending, and the end of the agent."""

from __future__ import annotations

import os

import pytest

from pyctl.controller.loop import Work
from pyctl.errors import SegctlError
from tests.lab.pace import wait_for
from tests.unit.agent.played import NEW


def test_the_agent_is_told_in_one_look(ask):
    status, body = ask("GET", "/status")
    assert status == 200
    assert body["pid"] == os.getpid()
    assert (body["workloads"], body["ports"], body["policy_rules"]) == (2, 2, 1)
    assert body["engine"]["state"] == "running"
    assert body["datapath"] == "ebpf"
    assert (body["pending"], body["warnings"]) == ([], [])


def test_what_was_refused_is_told_with_its_reason_until_it_holds(node, ask):
    node.kernel.refuses["node_set"] = SegctlError("no room")
    assert ask("PUT", "/policy", {"text": NEW})[0] == 500
    wait_for(node.agent.pending)
    (one,) = ask("GET", "/status")[1]["pending"]
    assert (one["kind"], one["about"], one["why"]) == ("resync", "", "no room.")
    assert one["tries"] > 0
    node.comes_to_hold()
    assert ask("GET", "/status")[1]["pending"] == []


def test_what_is_pending_of_a_strange_name_is_told_harmlessly(node, ask, monkeypatch):
    """And never as due in the past."""
    odd = Work("container", "web\udcff", 0.0, 2, "odd\udcff")
    monkeypatch.setattr(node.agent.auto_attacher, "pending", lambda: [odd])
    (one,) = ask("GET", "/status")[1]["pending"]
    assert one == {
        "kind": "container",
        "about": "web\\xff",
        "tries": 2,
        "why": "odd\\xff",
        "next_s": 0.0,
    }


def test_what_has_not_failed_is_not_pending(node, ask, monkeypatch):
    due = Work("container", "web", 0.0)
    monkeypatch.setattr(node.agent.auto_attacher, "pending", lambda: [due])
    assert ask("GET", "/status")[1]["pending"] == []


def test_a_log_level_is_answered_with_the_one_before(node, ask):
    before = ask("GET", "/status")[1]["log_level"]
    status, body = ask("PUT", "/log-level", {"level": "debug"})
    assert (status, body) == (200, {"before": before, "after": "debug"})
    assert node.kernel.calls == ["log_level"]
    assert ask("PUT", "/log-level", {"level": before})[1]["before"] == "debug"
    assert ask("PUT", "/log-level", {"level": "loud"})[0] == 400


@pytest.mark.parametrize("detach", [False, True])
def test_the_end_is_answered_before_it_comes(node, ask, stops, detach):
    status, body = ask("POST", "/stop", {"detach": detach})
    assert status == 200
    assert body["detached"] == (["db", "web"] if detach else [])
    assert stops == ["stop"]
    assert set(node.agent.view.by_id) == (set() if detach else {"web", "db"})


def test_an_end_whose_detach_fails_is_none(node, ask, stops):
    """Who asked is told, and can ask again."""
    node.kernel.refuses["unspliced"] = SegctlError("the kernel refuses")
    status, body = ask("POST", "/stop", {"detach": True})
    assert status == 500
    assert "the kernel refuses" in body["error"]["tried"]
    assert stops == []
