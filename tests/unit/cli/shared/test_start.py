"""Starting an agent in the background: once, waited for, with its last words where it fails."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pyctl.cli.shared import start
from pyctl.errors import NotFoundError, SegctlError
from tests.lab.pace import wait_for
from tests.unit.fake_agent import agent_at, instance_in

ROOT = Path(__file__).parents[4]

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


@pytest.fixture
def spawned(monkeypatch) -> list[subprocess.Popen]:
    """Name: spawned. The processes that are started."""
    found: list[subprocess.Popen] = []
    popen = subprocess.Popen

    def spawn(*argv, **more):
        found.append(popen(*argv, **more))
        return found[-1]

    monkeypatch.setattr(start.subprocess, "Popen", spawn)
    return found


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
    wait_for(lambda: not start._answering(instance))


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
        start.start_agent(instance, python(code, str(mark)), step_s=0.3)
    if mark.exists():
        assert not Path(f"/proc/{mark.read_text()}").exists()


def test_a_break_while_the_agent_starts_ends_it_and_says_so(
    instance, tmp_path, spawned, monkeypatch
):
    """The command returns when the agent has ended: there is no half-started one to meet."""
    code = "import sys, signal; open(sys.argv[1], 'w').close(); signal.pause()"
    mark = tmp_path / "started"

    def answers(_):
        if mark.exists():
            signal.raise_signal(signal.SIGINT)
        return False

    monkeypatch.setattr(start, "_answering", answers)
    with pytest.raises(SegctlError, match=r"interrupted .* it was ended") as caught:
        start.start_agent(instance, python(code, str(mark)))
    assert "nothing was attached" in caught.value.state
    assert spawned[0].returncode == -signal.SIGTERM


def test_the_agent_that_was_started_is_told_from_anothers(
    instance, spawned, monkeypatch
):
    monkeypatch.setattr(start, "_answering", lambda _: spawned and spawned[0].pid)
    code = "import signal; signal.pause()"
    assert start.start_agent(instance, python(code)) is True
    os.kill(spawned[0].pid, signal.SIGKILL)
    os.waitpid(spawned[0].pid, 0)


def test_an_agent_that_another_starts_is_waited_for(instance, spawned, monkeypatch):
    """Ours is refused, as the second one; what holds the instance answers in the end."""
    lock = os.open(instance.lock_file, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    asked_since = []

    def answers(_):
        if spawned and spawned[0].poll() is not None:
            asked_since.append(spawned[0].returncode)
        return len(asked_since) > 2

    monkeypatch.setattr(start, "_answering", answers)
    assert start.start_agent(instance, python("import sys; sys.exit(1)")) is False
    os.close(lock)
    assert asked_since[0] == 1


def test_where_no_space_is_left_that_is_said(instance, monkeypatch):
    monkeypatch.setattr(start, "is_full", lambda _: True)
    with pytest.raises(SegctlError, match="no space is left") as caught:
        start.start_agent(instance, python("import sys; sys.exit(1)"))
    assert caught.value.errno == errno.ENOSPC
    assert f"{instance.run_dir} (ENOSPC)" in str(caught.value)


def test_a_running_agent_is_asked_and_none_is_started(instance, monkeypatch):
    monkeypatch.setattr(start, "start_agent", lambda _: pytest.fail("started"))
    with agent_at(instance):
        answer = start.with_agent(instance, lambda client: client.workloads())
    assert answer["workloads"]


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_an_agent_started_for_a_dry_run_is_ended_again_and_anothers_is_not(
    instance, monkeypatch, fails, ours
):
    """As systemd's, which was starting when the dry run asked for one."""
    with agent_at(instance) as agent:
        agent.fails = NotFoundError("gone") if fails else None
        socket = instance.api_socket
        aside = socket.with_name("aside")
        socket.rename(aside)
        monkeypatch.setattr(
            start, "start_agent", lambda _: aside.rename(socket) and ours
        )
        stopped = []
        monkeypatch.setattr(start, "stop_agent", stopped.append)
        try:
            start.with_agent(instance, lambda client: client.workloads(), keep=False)
        except NotFoundError:
            assert fails
        assert len(stopped) == ours


def test_an_agent_is_waited_for_as_long_as_it_makes_progress(tmp_path):
    """On a busy host each step may take long; what counts is that there is another one."""
    log, now = tmp_path / "log", [0.0]
    log.touch()
    patience = start._Patience(log, 45, whole_s=200, clock=lambda: now[0])
    for _ in range(4):
        now[0] += 40
        assert not patience.ends()
        with log.open("a") as writer:
            writer.write("starting: one more step\n")
        assert not patience.ends()
    now[0] += 46
    assert "200 s" in patience.ends()


def test_an_agent_that_hangs_is_not_waited_for(tmp_path):
    log, now = tmp_path / "log", [0.0]
    log.write_text("starting: the engine\n")
    patience = start._Patience(log, 45, clock=lambda: now[0])
    now[0] = 46.0
    assert "45 s after its last step" in patience.ends()


def test_an_agent_whose_children_work_is_waited_for_and_not_for_ever(tmp_path):
    """On a loaded host a child that loads the programs gets little of a processor, in one step."""
    log, now, used = tmp_path / "log", [0.0], [0.0]
    log.write_text("starting: making the datapath ready\n")
    patience = start._Patience(
        log, 45, whole_s=200, clock=lambda: now[0], cpu_s=lambda: used[0]
    )
    while now[0] < 195:
        now[0] += 30
        used[0] += 1.5
        if now[0] < 200:
            assert not patience.ends()
    assert "200 s" in patience.ends()


def test_an_agent_that_only_polls_is_not_busy(tmp_path):
    log, now, used = tmp_path / "log", [0.0], [0.0]
    log.write_text("starting: the engine\n")
    patience = start._Patience(log, 45, clock=lambda: now[0], cpu_s=lambda: used[0])
    for _ in range(45):
        now[0] += 1
        used[0] += 0.01
        assert not patience.ends()
    now[0] += 1
    assert "after its last step" in patience.ends()


def test_a_busy_child_of_a_silent_agent_keeps_it_waited_for(
    instance, tmp_path, monkeypatch
):
    """A real process, whose child uses the processor and whose log does not grow."""
    busy = "import time; end = time.process_time() + 2\nwhile time.process_time() < end: pass"
    code = (
        "import subprocess, sys, time; "
        f"subprocess.run([sys.executable, '-c', {busy!r}]); "
        "open(sys.argv[1], 'w').close(); time.sleep(60)"
    )
    done = tmp_path / "done"
    monkeypatch.setattr(start, "BUSY_S", 0.02)
    monkeypatch.setattr(start, "_CPU_EACH_S", 0.1)
    with pytest.raises(SegctlError, match="not ready within 1.5 s"):
        start.start_agent(instance, python(code, str(done)), step_s=1.5)
    assert done.exists()


def test_the_last_words_end_the_sentence_and_what_follows_is_one_of_its_own(instance):
    argv = python("import sys; print('no room', file=sys.stderr); sys.exit(7)")
    with pytest.raises(SegctlError) as caught:
        start.start_agent(instance, argv)
    assert "\n  no room. Nothing was attached or detached. The whole log" in str(
        caught.value
    )
    assert "\n. " not in str(caught.value)


def test_the_log_is_for_root_alone_also_where_an_earlier_version_made_it(instance):
    instance.log_file.touch(0o644)
    with start._log_of(instance):
        assert stat.S_IMODE(instance.log_file.stat().st_mode) == 0o600
    instance.log_file.unlink()
    with start._log_of(instance):
        assert stat.S_IMODE(instance.log_file.stat().st_mode) == 0o600
