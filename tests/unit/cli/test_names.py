"""names: each address under the name that was asked for, and how long it stays."""

from __future__ import annotations

import json

import pytest

from pyctl.cli import names as module
from tests import packets
from tests.unit.fake_names import NAMES


@pytest.fixture
def rows(agent, segctl, monkeypatch) -> list[list[str]]:
    """Name: rows. Scope: function. Depends: agent, segctl. The cells of the table, and the last line."""
    monkeypatch.setattr(module.time, "time", lambda: 1100.0)
    lines = segctl("names", "web").stdout.splitlines()
    return [[cell.strip() for cell in line.split("  ") if cell] for line in lines]


def test_what_was_asked_for_is_told_with_what_rests_on_it(rows):
    assert rows[0][:3] == ["NAME", "ADDRESS", "GROUPS"]
    chain = "a.cdn.example", "200 s", "320 s", packets.gateway_ip4
    assert rows[1] == ["db.internal", packets.world_ip4, "far", *chain]
    hint = f"{packets.world_ip6} (hint)"
    last = "-", "0 s", "in use", packets.gateway_ip4
    assert rows[2] == ["x.example", hint, "far, near and 2 more", *last]
    assert rows[3][0].startswith("3 learnt, 0 expired, 0 made room for others, 1 ans")


def test_json_is_the_answer(agent, segctl):
    assert json.loads(segctl("names", "web", "-o", "json").stdout) == NAMES


def test_more_names_than_are_shown_are_told(agent, segctl):
    agent.changes["complete"] = False
    assert "more names" in segctl("names", "web").stderr
