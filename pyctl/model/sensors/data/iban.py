"""Numbers of bank accounts by ISO 13616: a country's length and form, and mod 97."""

from __future__ import annotations

from pyctl.model.sensors.parts import in_parts
from pyctl.model.sensors.sensor import Confirm, Pattern

_NUMBER = r"(?i)\b[a-z]{2}\d{2}(?:[ +-]?[a-z0-9]{4}){2,7}(?:[ +-]?[a-z0-9]{1,3})?\b"

PATTERNS: tuple[Pattern, ...] = in_parts(
    "iban", _NUMBER, ("url", "body"), "medium", Confirm.IBAN
)
