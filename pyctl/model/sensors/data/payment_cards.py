"""Numbers of payment cards: 13 to 19 digits with an issuer's beginning, whose check digit is right."""

from __future__ import annotations

from pyctl.model.sensors.parts import in_parts
from pyctl.model.sensors.sensor import Confirm, Pattern

_NUMBER = r"\b(?:2[2-7]|3[0-9]|4[0-9]|5[0-8]|6[0-9])\d{2}(?:[ +-]?\d){9,15}\b"
"""Which groups, issuers and lengths there are, the confirmation says."""

PATTERNS: tuple[Pattern, ...] = in_parts(
    "card", _NUMBER, ("url", "body"), "high", Confirm.CARD
)
