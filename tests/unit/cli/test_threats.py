"""threats, sensors: what is looked for, and what is done at a workload."""

from __future__ import annotations

import json

from pyctl.model.sensors.shipped import SHIPPED
from pyctl.model.threats import THREATS


def test_without_a_workload_it_asks_no_agent(agent, segctl):
    done = segctl("threats")
    assert agent.asked == []
    for threat in THREATS:
        assert threat.trigger in done.stdout
    assert "SETTING" not in done.stdout
    assert len(json.loads(segctl("threats", "-o", "json").stdout)["threats"]) == 24


def test_of_a_workload_it_tells_the_settings_and_whether_they_hold(agent, segctl):
    done = segctl("threats", "web")
    assert agent.asked[0][1] == "/workloads/web/threats"
    heads, row = done.stdout.splitlines()
    assert heads.split()[:4] == ["THREAT", "SEVERITY", "DEFAULT", "SETTING"]
    assert row.split()[:4] == ["land", "high", "drop", "reset"]
    assert "in protect alone" in done.stderr


def test_sensors_of_a_workload(agent, segctl):
    done = segctl("sensors", "web")
    assert agent.asked[0][1] == "/workloads/web/sensors"
    heads, row = done.stdout.splitlines()
    assert heads.split()[:4] == ["SENSOR", "SETTING", "PATTERN", "PART"]
    assert row.split()[:5] == ["data", "drop", "order", "body", "high"]
    assert "in protect alone" in done.stderr


def test_shipped_sets_ask_no_agent(agent, segctl):
    done = segctl("sensors")
    assert agent.asked == []
    assert done.stdout.split()[:3] == ["SET", "PATTERN", "PART"]
    told = json.loads(segctl("sensors", "-o", "json").stdout)["sets"]
    assert {one["set"] for one in told} == set(SHIPPED)
