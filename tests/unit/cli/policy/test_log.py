"""policy log, show, rollback."""

from __future__ import annotations

import json


def test_the_newest_is_listed_first(agent, segctl):
    lines = segctl("policy", "log").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["REVISION", "2", "1"]
    assert "yes" in lines[1]
    assert "ann" in lines[2]
    assert "for the shop" in lines[2]


def test_a_former_policy_is_shown_as_it_was(agent, segctl):
    assert segctl("policy", "show", "1").stdout == "# former\n"
    told = json.loads(segctl("policy", "show", "1", "-o", "json").stdout)
    assert told == {"number": 1, "text": "# former\n"}
    assert segctl("policy", "show", "7").exit_code == 3


def test_going_back_applies_the_last_that_is_another(agent, segctl, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ann")
    done = segctl("policy", "rollback", "--dry-run")
    assert "revision 1:" in done.stdout
    assert "would change" in done.stdout
    assert agent.asked[-1][2] == {
        "text": "# former\n",
        "dry_run": True,
        "author": "ann",
        "comment": "back to revision 1",
    }


def test_without_a_former_policy_there_is_none_to_go_back_to(agent, segctl):
    agent.changes = {"revisions": []}
    assert segctl("policy", "rollback").exit_code == 3
    assert [path for _, path, _ in agent.asked] == ["/policy/revisions"]
