"""How much is logged: one list of words for the command line, the API, the agent and the engine."""

from __future__ import annotations

from enum import StrEnum


class LogLevel(StrEnum):
    """From the most to the least that is said."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
