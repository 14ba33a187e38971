"""policy test: the answer in words, and as an exit code."""

from __future__ import annotations

import json

import pytest

ASK = ("policy", "test", "--from", "client", "--to", "web", "--port", "tcp/81")


def test_the_rule_that_decides_is_shown_behind_those_that_do_not(agent, segctl):
    done = segctl(*ASK)
    assert done.exit_code == 0
    assert "client → web tcp/81 is denied" in done.stdout
    assert "ingress at web, protect: a rule denies, dropped" in done.stdout
    lines = done.stdout.splitlines()
    first, second = (line for line in lines if "any any" in line or "tcp/80" in line)
    assert "not in a" in first
    assert "it decides" in second
    [(_, _, body)] = agent.asked
    assert body == {"source": "client", "target": "web", "port": "tcp/81", "text": None}


@pytest.mark.parametrize(("expect", "code"), [("deny", 0), ("allow", 1)])
def test_an_expectation_that_is_not_met_is_a_failure(agent, segctl, expect, code):
    assert segctl(*ASK, "--expect", expect).exit_code == code


def test_a_policy_that_is_not_applied_can_be_asked(agent, segctl):
    assert segctl(*ASK, "-f", "-", input="rules: []\n").exit_code == 0
    assert agent.asked[0][2]["text"] == "rules: []\n"


def test_json_is_the_agents_answer_alone(agent, segctl):
    assert json.loads(segctl(*ASK, "-o", "json").stdout)["opens"] is False


def test_without_an_attached_end_it_says_so(agent, segctl):
    agent.changes = {"ends": [], "opens": True, "shared": []}
    assert "neither end is attached" in segctl(*ASK).stdout
