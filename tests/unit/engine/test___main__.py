"""The command by which the agent starts an engine: what it is told, and how it ends."""

from __future__ import annotations

import os
import sys

import pytest

from pyctl.engine import __main__ as module
from pyctl.engine import main
from pyctl.errors import RefusedError, UsageError
from pyctl.model.worker import Worker


@pytest.fixture
def runs(monkeypatch) -> list[tuple]:
    """Name: runs. Scope: function. What the engine is started with; `refused` ends it."""
    found: list[tuple] = []

    def run(instance, **options) -> int:
        found.append((instance.name, options))
        return 7

    monkeypatch.setattr(main, "run", run)
    monkeypatch.setattr(os, "chdir", lambda place: found.append(("in", place)))
    return found


def started(monkeypatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["pyctl.engine", *words])
    return module.main()


def test_the_usual_engine_caches_and_waits_for_its_rings(monkeypatch, runs):
    assert started(monkeypatch, "--instance", "segt-one") == 7
    usual = {
        "log_level": "info",
        "cache": True,
        "with_rings": False,
        "worker": Worker(0, 1),
    }
    assert runs == [("in", "/"), ("segt-one", usual)], "it keeps no directory busy"


def test_what_is_said_is_handed_on(monkeypatch, runs):
    words = ("--instance", "segt-one", "--log-level", "debug", "--no-cache", "--rings")
    started(monkeypatch, *words, "--worker", "1", "--workers", "2")
    assert runs[-1][1] == {
        "log_level": "debug",
        "cache": False,
        "with_rings": True,
        "worker": Worker(1, 2),
    }


@pytest.mark.parametrize("words", [(), ("--instance", "x", "--log-level", "loud")])
def test_what_is_none_of_its_options_is_a_usage_error(monkeypatch, runs, words):
    with pytest.raises(SystemExit, match="2"):
        started(monkeypatch, *words)
    assert runs == []


@pytest.mark.parametrize("error", [RefusedError("a second engine"), UsageError("x")])
def test_an_engine_that_cannot_start_says_why_and_ends_by_its_code(
    monkeypatch, capsys, error
):
    def run(*_, **__):
        raise error

    monkeypatch.setattr(main, "run", run)
    monkeypatch.setattr(os, "chdir", lambda _: None)
    assert started(monkeypatch, "--instance", "segt-one") == error.exit_code
    assert capsys.readouterr().err == f"{error}\n"
