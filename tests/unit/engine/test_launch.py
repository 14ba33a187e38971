"""An engine's process answers by its own pid, or is gone with its last words told."""

from __future__ import annotations

import os
import signal
import time
from types import SimpleNamespace

import pytest

from pyctl.engine import launch
from pyctl.engine.launch import start_engine
from pyctl.errors import SegctlError, UnreachableError
from pyctl.model.instance import Instance

LIVES = 'echo "$$" "$MALLOC_ARENA_MAX" "$@" >&2\nexec sleep 60'


@pytest.fixture
def instance(tmp_path, monkeypatch) -> Instance:
    monkeypatch.setattr(Instance, "run_dir", tmp_path / "run")
    return Instance("segt-launch")


@pytest.fixture
def child(tmp_path, monkeypatch):
    """Let this shell script be what is started."""

    def is_(text: str) -> None:
        script = tmp_path / "child"
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o700)
        monkeypatch.setattr(launch.sys, "executable", str(script))

    return is_


@pytest.fixture
def answers(instance, monkeypatch):
    """Let the child answer, as soon as it has written its pid, with what `how` makes of that."""

    def with_(how) -> None:
        class Client:
            def __init__(self, _path) -> None: ...

            def hello(self):
                return {"pid": how(int(words(instance)[0]))}

            def close(self) -> None: ...

        monkeypatch.setattr(launch, "EngineClient", Client)

    return with_


def words(instance) -> list[str]:
    said = (
        (instance.run_dir / "engine.log").read_text()
        if (instance.run_dir / "engine.log").exists()
        else ""
    )
    if not said.endswith("\n"):
        raise UnreachableError("it is not up yet")
    return said.split()


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_child_that_dies_at_once_is_told_with_its_last_words(instance, child):
    child("echo no memory for the rings >&2; exit 3")
    with pytest.raises(SegctlError) as failed:
        start_engine(instance)
    assert "ended with 3" in failed.value.tried
    assert failed.value.advice == "its last words: no memory for the rings"


def test_of_a_long_log_the_end_is_told(instance, child):
    (instance.run_dir / "engine.log").parent.mkdir()
    (instance.run_dir / "engine.log").write_text("former engine\n" * 1000)
    child("echo the end >&2; kill -KILL $$")
    with pytest.raises(SegctlError) as failed:
        start_engine(instance)
    assert "ended with -9" in failed.value.tried
    assert failed.value.advice.endswith("former engine\nthe end")
    assert len(failed.value.advice) < 2100


def test_a_child_that_never_answers_is_killed(instance, child, answers, monkeypatch):
    """The answer of another one, which it was to follow, is not its own."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, sleep=time.sleep)
    monkeypatch.setattr(launch, "time", clock)

    def by_another(pid: int) -> int:
        clock.now += launch.START_SECONDS
        return pid + 1

    child(LIVES)
    answers(by_another)
    with pytest.raises(SegctlError, match="no answer in time"):
        start_engine(instance)
    assert is_gone(int(words(instance)[0]))


def test_a_child_whose_parent_is_told_to_end_is_killed(instance, child, answers):
    def interrupted(_pid):
        raise KeyboardInterrupt

    child(LIVES)
    answers(interrupted)
    with pytest.raises(KeyboardInterrupt):
        start_engine(instance)
    assert is_gone(int(words(instance)[0]))


def test_one_that_answers_lives_on_in_a_session_of_its_own(instance, child, answers):
    child(LIVES)
    answers(lambda pid: pid)
    client = start_engine(instance, log_level="debug", flow_cache=False)
    pid = client.hello()["pid"]
    try:
        assert os.getsid(pid) == pid
        expected = "2 -m pyctl.engine --instance segt-launch --log-level debug"
        assert words(instance)[1:] == [
            *expected.split(),
            *["--worker", "0", "--workers", "1", "--no-cache"],
        ]
        assert (instance.run_dir / "engine.log").stat().st_mode & 0o077 == 0
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
