"""How much is logged: one list of words for the command line, the API, the agent and the engine."""

from __future__ import annotations

from enum import StrEnum


class LogLevel(StrEnum):
    """Log levels, from the most verbose to the least."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
