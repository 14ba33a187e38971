"""policy hits: a row for each rule, and one for what none matched."""

from __future__ import annotations

import json

PORTS = "tcp/5432, tcp/80 apps PostgreSQL"


def test_each_rule_has_a_row_and_the_default_the_last(agent, segctl):
    lines = segctl("policy", "hits").stdout.splitlines()
    rows = [[cell.strip() for cell in line.split("  ") if cell] for line in lines]
    assert rows[0][:5] == ["RULE", "ACTION", "FROM → TO", "PORTS", "HITS"]
    assert rows[1][:5] == ["7", "allow", "web → db at egress", PORTS, "12"]
    would = ["8", "would deny (disabled)", "any → db", "any tls sni a", "0", "-"]
    assert rows[2][:6] == would
    assert rows[3][:5] == ["-", "by mode", "no rule", "-", "3"]


def test_the_unused_ones_alone(agent, segctl):
    lines = segctl("policy", "hits", "--unused").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["RULE", "8"]
    told = json.loads(segctl("policy", "hits", "--unused", "-o", "json").stdout)
    assert [rule["id"] for rule in told["rules"]] == [8]


def test_counts_that_stand_still_are_told_as_such(agent, segctl):
    agent.changes = {"recording": False}
    done = segctl("policy", "hits", "-o", "json")
    assert "nothing is recorded" in done.stderr
    assert json.loads(done.stdout)["default"]["hits"] == 3
