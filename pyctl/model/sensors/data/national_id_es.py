"""Spain's DNI and the NIE of foreigners, whose letter is right."""

from __future__ import annotations

from pyctl.model.sensors.parts import in_parts
from pyctl.model.sensors.sensor import Confirm, Pattern

_NUMBER = (
    r"(?i)\b(?:\d{8}-?[a-z]|\d{2}\.\d{3}\.\d{3}-?[a-z]|[xyz]-?\d{7}-?[a-z])"
    r"(?:[^\w.-]|[.-](?:\W|$)|$)"
)
"""A part of a longer number with points or hyphens is none."""

PATTERNS: tuple[Pattern, ...] = in_parts(
    "dni", _NUMBER, ("url", "body"), "high", Confirm.ES_DNI
)
