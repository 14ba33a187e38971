"""The policy over the API: as it was written, and another in its place."""

from __future__ import annotations

import pytest

from pyctl.errors import SegctlError
from tests.unit.agent.played import NEW, OLD


def test_the_one_in_force_is_told_as_it_was_written(ask):
    status, body = ask("GET", "/policy")
    assert status == 200
    assert body["text"] == OLD
    assert (body["groups"], body["rules"]) == (2, 1)
    assert body["applied_at"] > 0


def test_another_takes_its_place_and_the_log_says_who_asked(node, ask):
    request = {"text": NEW, "author": "ann", "comment": "for the shop"}
    status, body = ask("PUT", "/policy", request)
    assert status == 200
    assert body["rules"] == 1
    assert body["ports"] == 2
    assert body["changes"]
    assert body["open_flows"]["looked_at"] == 0
    assert ask("GET", "/policy")[1]["text"] == NEW
    newest = node.agent.revisions.all()[-1]
    assert (newest.author, newest.comment, newest.uid) == ("ann", "for the shop", 1000)


def test_one_that_is_tried_is_never_told_as_the_one_in_force(node, ask):
    status, body = ask("PUT", "/policy", {"text": NEW, "dry_run": True})
    assert status == 200
    assert body["changes"]
    assert ask("GET", "/policy")[1]["text"] == OLD
    assert node.kernel.calls == []


def test_one_that_cannot_be_read_is_the_askers_fault(ask):
    status, body = ask("PUT", "/policy", {"text": "rules: nonsense"})
    assert (status, body["error"]["code"]) == (400, "usage")
    assert ask("GET", "/policy")[1]["text"] == OLD


@pytest.mark.parametrize("call", ["node_set", "publish"])
def test_one_that_is_refused_says_what_holds(node, ask, call):
    node.kernel.refuses[call] = SegctlError("no room")
    status, body = ask("PUT", "/policy", {"text": NEW})
    assert status == 500
    assert body["error"]["tried"] == "the policy was not applied: no room"
    assert body["error"]["state"].startswith("the former one is to hold, but")
    assert ask("GET", "/policy")[1]["text"] == OLD
    node.comes_to_hold()
