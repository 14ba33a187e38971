"""policy test: the answer in words, and as an exit code."""

from __future__ import annotations

import json

import pytest

from tests.unit.fake_agent import ANSWER

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


def test_an_application_is_handed_on(agent, segctl):
    done = segctl(*ASK, "--app", "TLS")
    assert "client → web tcp/81 TLS is denied" in done.stdout
    assert agent.asked[0][2]["app"] == "TLS"


def test_what_tls_shows_is_handed_on(agent, segctl):
    shown = ("--sni", "a.example", "--alpn", "h2,http/1.1", "--tls-version", "1.3")
    segctl(*ASK, *shown)
    body = agent.asked[0][2]
    assert (body["sni"], body["alpn"]) == ("a.example", ["h2", "http/1.1"])
    assert (body["tls_version"], "app" in body) == ("1.3", False)
    segctl(*ASK, "--sni", "", "--alpn", "")
    assert (agent.asked[1][2]["sni"], agent.asked[1][2]["alpn"]) == ("", [])


BY_APP = {
    "opens": None,
    "by_app": [
        {"apps": ["TLS", "DoT"], "opens": True, "rules": [7, 7], "reasons": [None] * 2},
        {
            "apps": ["unknown"],
            "opens": True,
            "rules": [8, None],
            "reasons": [None, "default_deny"],
        },
        {
            "apps": ["any other"],
            "opens": False,
            "rules": [None],
            "reasons": ["default_deny"],
        },
    ],
}


def test_what_depends_on_the_application_is_told_for_each(agent, segctl):
    agent.changes = BY_APP
    lines = [line.split("  ") for line in segctl(*ASK).stdout.splitlines()]
    rows = [[cell.strip() for cell in line if cell] for line in lines]
    assert rows[0][0].startswith("client → web tcp/81 depends on the application (")
    at = rows.index(["APPLICATION", "VERDICT", "BY"])
    assert rows[at + 1 : at + 4] == [
        ["TLS, DoT", "passes", "rule 7"],
        ["unknown", "passes, recorded as default_deny", "rule 8, no rule"],
        ["any other", "is denied", "no rule"],
    ]


@pytest.mark.parametrize("expect", ["allow", "deny"])
def test_what_depends_is_never_as_expected(agent, segctl, expect):
    agent.changes = BY_APP
    assert segctl(*ASK, "--expect", expect).exit_code == 1


def test_a_rule_that_waits_says_so(agent, segctl):
    agent.changes = {"ends": [{**ANSWER["ends"][0], "needs_app": True}]}
    out = segctl(*ASK).stdout
    assert "ingress at web, protect: a rule waits for the application" in out
    assert "it decides, if it is for the application" in out


def test_a_rule_that_waits_for_what_tls_shows_says_so(agent, segctl):
    agent.changes = {
        "opens": None,
        "ends": [{**ANSWER["ends"][0], "needs_tls": True}],
    }
    out = segctl(*ASK).stdout
    assert "depends on what it shows" in out
    assert "a rule waits for what TLS shows" in out
    assert "it decides, if TLS shows what it asks" in out
