"""agent: status, stop, log-level."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.unit.fake_agent import STATUS


@pytest.fixture
def process():
    """A process that stands for the agent's and ends when its stdin does."""
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    yield child
    child.kill()
    child.communicate()


def test_status_shows_agent_and_engine(agent, segctl):
    text = segctl("agent", "status").stdout
    assert "pid 4711, up 12 s" in text
    assert "running, pid 4712, heartbeat 40 ms ago, 1 restart, " in text
    assert "no port may send it more than 20000 packets/s" in " ".join(text.split())


def test_status_shows_each_of_several_engines(agent, segctl):
    one = {**STATUS["engine"], "pace": None}
    several = [one, {**one, "state": "down", "pid": None, "heartbeat_age_ms": None}]
    agent.changes = {"engine": {**STATUS["engine"], "workers": several}}
    text = " ".join(segctl("agent", "status").stdout.split())
    assert (
        "worker 0 running, pid 4712, heartbeat 40 ms ago, 1 restart, 4 sessions" in text
    )
    assert "worker 1 down, 1 restart, 4 sessions" in text


def test_stop_returns_when_the_agent_is_gone(agent, segctl, process):
    agent.changes = {"pid": process.pid}
    agent.at_stop = process.stdin.close
    done = segctl("agent", "stop", "--detach")
    assert process.wait(0) is not None
    assert done.stdout == f"detached web\nthe agent (pid {process.pid}) ended\n"
    assert agent.asked[-1] == ("POST", "/stop", {"detach": True})


def test_stop_says_when_the_agent_stays(agent, segctl, process, monkeypatch):
    monkeypatch.setattr("pyctl.cli.shared.start.STOP_DEADLINE_S", 0.05)
    agent.changes = {"pid": process.pid}
    done = segctl("agent", "stop")
    assert done.exit_code == 1
    assert "still runs" in done.stderr


def test_log_level_tells_before_and_after(agent, segctl):
    assert segctl("agent", "log-level", "debug").stdout == "log level: info → debug\n"
    assert agent.asked[0][2] == {"level": "debug"}


@pytest.mark.parametrize("address", ["9478", "host:", ":9478", "host:70000", "host:x"])
def test_an_address_for_metrics_without_its_parts_is_wrong_usage(segctl, address):
    done = segctl("agent", "run", "--metrics", address)
    assert done.exit_code == 2
    assert "ADDRESS:PORT" in done.stderr
