"""What the demo's commands and policies are held to, without running it."""

from __future__ import annotations

import os
import signal

import pytest
import yaml

from pyctl.agent.config import parse
from tests.lab.containers.tiers import LEARNED, agent_config, between, without_db
from tests.lab.pace import LabError
from tests.lab.processes import call, must, undisturbed

POLICY = """rules:
  - {id: 1, from: web-clients, to: web, ports: [tcp/80], action: allow}
  - {id: 2, from: web, to: app, ports: [tcp/8080], action: allow}
  - {id: 3, from: app, to: db, ports: [tcp/5432], action: allow}
"""


@pytest.fixture
def heard():
    """Signals that arrived, in place of what they would do."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGHUP, before)


def test_a_signal_waits_until_what_is_under_way_is_done(heard):
    """Half a container could not be given back."""
    with undisturbed():
        with undisturbed():
            os.kill(os.getpid(), signal.SIGHUP)
        assert heard == []
    assert heard == [signal.SIGHUP]


def test_a_command_has_a_session_of_its_own_and_its_failure_is_told_in_its_words():
    """The terminal's ^C goes to all of a session."""
    own = call("sh", "-c", "ps -o sid= -p $$").stdout
    assert int(own) != os.getsid(0)
    with pytest.raises(LabError, match="not so"):
        must("sh", "-c", "echo not so >&2; false")


def test_the_tiers_are_attached_by_label_and_their_policy_read_as_rules(tmp_path):
    config = parse(agent_config(tmp_path, "unix:///nowhere.sock").read_text())
    labels = [dict(one.selector.labels) for one in config.auto_attach]
    assert labels == [{"role": "web"}, {"role": "app"}, {"role": "db"}]
    assert between(POLICY) == LEARNED
    assert [rule["id"] for rule in yaml.safe_load(without_db(POLICY))["rules"]] == [
        1,
        2,
    ]
