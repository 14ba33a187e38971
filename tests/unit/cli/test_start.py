"""Starting an agent in the background: once, waited for, with its last words where it fails."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from pyctl.cli import start
from pyctl.errors import NotFoundError, SegctlError
from tests.fixtures.netns import wait_for
from tests.unit.fake_agent import agent_at, instance_in

ROOT = Path(__file__).parents[3]

SERVE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import threading
from pathlib import Path
from tests.unit.fake_agent import agent_at, instance_in
here = Path(sys.argv[1])
with (here / "starts").open("a") as starts:
    starts.write("x")
done = threading.Event()
with agent_at(instance_in(here)) as agent:
    agent.at_stop = done.set
    done.wait(20)
"""


@pytest.fixture
def instance(tmp_path):
    return instance_in(tmp_path)


def python(code: str, *argv: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *argv)


def test_an_agent_is_started_once_by_two_commands(instance, tmp_path):
    """The second starter waits for the first and finds its agent."""
    argv = python(SERVE, str(tmp_path))
    threads = [
        threading.Thread(target=start.start_agent, args=(instance, argv))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client = start.AgentClient(instance)
    assert client.status()["pid"] == 4711
    assert (tmp_path / "starts").read_text() == "x"
    client.stop()
    wait_for(lambda: not start._answers(instance))


def test_an_agent_that_ends_at_once_leaves_its_last_words(instance):
    instance.log_file.write_text("of an earlier agent\n")
    argv = python("import sys; print('no room', file=sys.stderr); sys.exit(7)")
    with pytest.raises(SegctlError, match=r"(?s)ended with 7.*no room") as caught:
        start.start_agent(instance, argv)
    assert "earlier" not in str(caught.value)
    assert str(instance.log_file) in str(caught.value)


def test_an_agent_that_never_answers_is_ended(instance, tmp_path):
    code = "import os, sys, signal; open(sys.argv[1], 'w').write(str(os.getpid())); signal.pause()"
    mark = tmp_path / "pid"
    with pytest.raises(SegctlError, match="not ready within"):
        start.start_agent(instance, python(code, str(mark)), deadline_s=0.3)
    if mark.exists():
        assert not Path(f"/proc/{mark.read_text()}").exists()


def test_a_running_agent_is_asked_and_none_is_started(instance, monkeypatch):
    monkeypatch.setattr(start, "start_agent", lambda _: pytest.fail("started"))
    with agent_at(instance):
        answer = start.with_agent(instance, lambda client: client.workloads())
    assert answer["workloads"]


@pytest.mark.parametrize("fails", [True, False])
def test_an_agent_started_for_a_dry_run_is_ended_again(instance, monkeypatch, fails):
    with agent_at(instance) as agent:
        agent.fails = NotFoundError("gone") if fails else None
        socket = instance.api_socket
        aside = socket.with_name("aside")
        socket.rename(aside)
        monkeypatch.setattr(start, "start_agent", lambda _: aside.rename(socket))
        stopped = []
        monkeypatch.setattr(start, "stop_agent", stopped.append)
        try:
            start.with_agent(instance, lambda client: client.workloads(), keep=False)
        except NotFoundError:
            assert fails
        assert len(stopped) == 1
