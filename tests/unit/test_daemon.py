"""One agent of an instance: a second one is refused, and waits for a first one that is ending."""

from __future__ import annotations

import fcntl
import os
import threading

import pytest

from pyctl import daemon
from pyctl.errors import RefusedError
from tests.unit.fake_agent import agent_at, instance_in


@pytest.fixture
def instance(tmp_path):
    made = instance_in(tmp_path)
    made.run_dir.mkdir(exist_ok=True)
    return made


@pytest.fixture
def other(instance):
    """Name: other. The descriptor by which another process would hold the instance."""
    lock = os.open(instance.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield lock
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)


def test_beside_an_agent_that_answers_a_second_one_is_refused(instance, other):
    with agent_at(instance), pytest.raises(RefusedError, match="second agent"):
        daemon._be_the_only_one(instance)


def test_beside_one_that_never_ends_nor_answers_too(instance, other, monkeypatch):
    monkeypatch.setattr(daemon, "_ENDING_S", 0.0)
    with pytest.raises(RefusedError, match="second agent"):
        daemon._be_the_only_one(instance)


def test_an_agent_that_is_ending_is_waited_for(instance, other, monkeypatch):
    """It has its socket no more, and holds the instance still."""
    asked = threading.Event()
    answers = daemon._answers

    def ask(path):
        asked.set()
        return answers(path)

    monkeypatch.setattr(daemon, "_answers", ask)
    second = threading.Thread(target=daemon._be_the_only_one, args=(instance,))
    second.start()
    assert asked.wait(5)
    assert second.is_alive()
    fcntl.flock(other, fcntl.LOCK_UN)
    second.join(5)
    assert not second.is_alive()
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
