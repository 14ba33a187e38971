"""policy simulate: counts, examples, and an exit code for CI."""

from __future__ import annotations

import json

import pytest

from tests.unit.fake_agent import SIMULATED


def run(segctl, *more):
    return segctl("policy", "simulate", "-f", "-", *more, input="new")


def test_counts_and_examples_are_shown(agent, segctl):
    done = run(segctl, "--mode", "protect", "--examples", "3")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["newly", "denied", "2"]
    assert "1 flow would pass only because the mode records" in done.stdout
    assert any("allow (rule 7)  deny (no rule)" in line for line in lines)
    assert any("unknown" in line and "not attached any more" in line for line in lines)
    assert "3 flows would be denied by a rule that is staged" in done.stdout
    staged = [line for line in lines if line.startswith("staged")]
    assert ["allow (rule 7; staged rule 9 denies)" in line for line in staged] == [True]
    assert done.stderr == "warning: rules[0]: odd\n"
    (asked,) = agent.asked
    assert asked[2] == {"text": "new", "since": None, "mode": "protect", "examples": 3}


def test_json_is_the_answer(agent, segctl):
    assert json.loads(run(segctl, "-o", "json").stdout) == SIMULATED


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 0),
        (("--fail-on", "denied"), 1),
        (("--fail-on", "allowed"), 0),
        (("--fail-on", "allowed", "--fail-on", "uncertain"), 1),
        (("--fail-on", "staged"), 1),
    ],
)
def test_it_fails_only_on_what_is_asked_for(agent, segctl, options, code):
    assert run(segctl, *options).exit_code == code


def test_without_examples_there_is_no_table(agent, segctl):
    agent.changes.update(examples=[], monitored=0, recording=False)
    agent.changes.update(staged=0, staged_examples=[])
    done = run(segctl, "--fail-on", "staged")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 4
    assert "not recorded" in done.stderr
