"""What the agent's log says of what nobody foresaw."""

from __future__ import annotations

import io
import json
import sys

import pytest
import structlog

from pyctl.telemetry import logs


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


def test_a_line_over_and_over_is_told_some_times_a_minute_and_the_rest_is_counted():
    now = [0.0]
    repeats = logs.Repeats(lambda: now[0])

    def told(text, method="error"):
        try:
            return repeats(None, method, {"event": text})
        except structlog.DropEvent:
            return None

    assert sum(told("failed") is not None for _ in range(50)) == logs.SAME_LINES
    assert told("another") == {"event": "another"}
    assert sum(told("x", "debug") is not None for _ in range(50)) == 50
    now[0] += logs.MINUTE_S
    assert told("failed") == {"event": "failed", "left_out_before": 30}
    assert told("failed") == {"event": "failed"}
