"""Social Security numbers of the United States, with their hyphens; what was never given out is none."""

from __future__ import annotations

from pyctl.model.sensors.parts import in_parts
from pyctl.model.sensors.sensor import Confirm, Pattern

PATTERNS: tuple[Pattern, ...] = in_parts(
    "ssn",
    r"\b\d{3}-\d{2}-\d{4}(?:[^\w-]|$)",
    ("url", "body"),
    "high",
    Confirm.US_SSN,
)
