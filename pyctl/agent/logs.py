"""Structured logs of the agent: JSON lines for machines, coloured lines for a terminal.

In: level and format names. Out: structlog configured; the level can be changed at run time.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from pyctl.model.log_level import LogLevel

LEVELS = tuple(LogLevel)


class _Level:
    """The current level; structlog's own filter is fixed when a logger is first used."""

    name = "info"


def _by_level(
    _logger: Any, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if method == "exception":
        # A level of its own in name alone, and this logger leaves the trace to its processors.
        method = LogLevel.ERROR
        event.setdefault("exc_info", True)
    if LEVELS.index(method) < LEVELS.index(_Level.name):
        raise structlog.DropEvent
    return event


def configure(level: str, log_format: str) -> None:
    """level: one of LEVELS; log_format: `json` or `console`. Writes to stderr."""
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            _by_level,
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
    """Change the level of everything; gives back the one before. ValueError: unknown level."""
    if level not in LEVELS:
        raise ValueError(level)
    before, _Level.name = _Level.name, level
    logging.getLogger("uvicorn").setLevel(
        level.upper() if level == "debug" else "WARNING"
    )
    return before


def get_level() -> str:
    """The level in force."""
    return _Level.name
