"""Structured logs of the agent: JSON lines for machines, coloured lines for a terminal.

In: level and format names. Out: structlog configured; the level can be changed at run time.
A line that is the same as many of the last minute is left out, and counted in the next: what fails five times a
second, with its trace, would fill the disk within days. Debug lines are never left out.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import structlog

from pyctl.model.log_level import LogLevel

LEVELS = tuple(LogLevel)
SAME_LINES = 20
"""The most lines of one text in a minute."""
MINUTE_S = 60.0
MOST_TEXTS = 1000


class _Level:
    """The current level; structlog's own filter is fixed when a logger is first used."""

    name = "info"


def _by_level(
    _logger: Any, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if method == "exception":
        # `exception` is the error level with a trace, which this logger leaves to its processors.
        method = LogLevel.ERROR
        event.setdefault("exc_info", True)
    if LEVELS.index(method) < LEVELS.index(_Level.name):
        raise structlog.DropEvent
    return event


class Repeats:
    """The lines of the last minute, counted by level and text."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._told: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def __call__(
        self, _logger: Any, method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        """Pass a line on or drop it as a repeat, as a processor of structlog."""
        line = method, str(event.get("event"))
        with self._lock:
            now = self._clock()
            left_out = 0
            if now - self._began >= MINUTE_S or len(self._told) >= MOST_TEXTS:
                left_out = sum(
                    max(0, number - SAME_LINES)
                    for (level, _), number in self._told.items()
                    if level != LogLevel.DEBUG
                )
                self._told.clear()
                self._began = now
            self._told[line] += 1
            if method != LogLevel.DEBUG and self._told[line] > SAME_LINES:
                raise structlog.DropEvent
        if left_out:
            event["left_out_before"] = left_out
        return event


def configure(level: str, log_format: str) -> None:
    """Set up logging to stderr. level: one of LEVELS; log_format: `json` or `console`."""
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            _by_level,
            Repeats(),
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.BoundLogger,
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    set_level(level)


def set_level(level: str) -> str:
    """Change the level of everything; return the one before. Raise ValueError for an unknown level."""
    if level not in LEVELS:
        raise ValueError(level)
    before, _Level.name = _Level.name, level
    logging.getLogger("uvicorn").setLevel(
        level.upper() if level == "debug" else "WARNING"
    )
    return before


def get_level() -> str:
    """Return the level in force."""
    return _Level.name
