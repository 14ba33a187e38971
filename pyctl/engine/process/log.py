"""Structured logs of the engine: JSON lines on stderr, the level switchable at run time."""

from __future__ import annotations

import logging
import sys

import structlog

from pyctl.errors import UsageError
from pyctl.model.log_level import LogLevel


def configure(level: str) -> None:
    """Log from `level` on, now and for loggers made before; UsageError for an unknown level."""
    if level not in set(LogLevel):
        raise UsageError(
            f"{level!r} is no log level", advice=f"one of {', '.join(LogLevel)}"
        )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
