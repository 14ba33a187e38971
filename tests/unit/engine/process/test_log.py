"""The engine's log: a JSON object a line, from the level that holds now."""

from __future__ import annotations

import json

import pytest
import structlog

from pyctl.engine.process import log
from pyctl.errors import UsageError


def test_a_line_is_an_object_with_level_and_time(capsys):
    log.configure("info")
    structlog.get_logger().warning("maps refused", error="no room")
    captured = capsys.readouterr()
    said = json.loads(captured.err)
    assert captured.out == ""
    assert said.pop("timestamp").endswith("Z")
    assert said == {"event": "maps refused", "error": "no room", "level": "warning"}


def test_a_crash_is_in_its_line(capsys):
    log.configure("info")
    try:
        int("odd")
    except ValueError:
        structlog.get_logger().exception("request crashed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: invalid" in json.loads(line)["exception"]


def test_the_level_holds_for_loggers_made_before(capsys):
    log.configure("warning")
    logger = structlog.get_logger()
    logger.info("unheard")
    log.configure("debug")
    logger.debug("heard")
    assert json.loads(capsys.readouterr().err)["event"] == "heard"
    log.configure("error")
    logger.warning("unheard")
    assert capsys.readouterr().err == ""


def test_an_unknown_level_changes_nothing(capsys):
    log.configure("warning")
    with pytest.raises(UsageError, match="'loud' is no log level"):
        log.configure("loud")
    structlog.get_logger().info("unheard")
    assert capsys.readouterr().err == ""
