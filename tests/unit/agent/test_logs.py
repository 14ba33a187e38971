"""What the agent's log says of what nobody foresaw."""

from __future__ import annotations

import io
import json
import sys

import pytest
import structlog

from pyctl.agent import logs


@pytest.fixture
def told(monkeypatch):
    """What is written; a file of its own, since the loggers keep theirs."""
    made = io.StringIO()
    monkeypatch.setattr(sys, "stderr", made)
    return made


@pytest.fixture
def log(told):
    before = logs.get_level()
    logs.configure("info", "json")
    yield structlog.get_logger()
    logs.set_level(before)
    structlog.reset_defaults()


def test_a_level_is_left_out_below_the_one_in_force(log, told):
    log.debug("unheard")
    log.info("heard")
    (line,) = told.getvalue().splitlines()
    assert json.loads(line)["event"] == "heard"


def test_an_exception_is_an_error_with_its_trace_whatever_the_level(log, told):
    """Threads that must live on tell of it so: the telling must not end them."""
    logs.set_level("error")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.exception("watching failed")
    line = json.loads(told.getvalue())
    assert (line["level"], line["event"]) == ("error", "watching failed")
    assert "ZeroDivisionError" in line["exception"]
