"""Functions of bash in what a server hands on as its environment (CVE-2014-6271 and those after it)."""

from __future__ import annotations

from pyctl.model.sensors.sensor import Part, Pattern

_FUNCTION = r"\(\s*\)\s*\{[^}]*[;>]"

PATTERNS: tuple[Pattern, ...] = (
    Pattern(
        "function-header", rf"(?:[:=]\s*|\n\s+){_FUNCTION}", Part.HEADER, "critical"
    ),
    Pattern("function-url", rf"[=?&/]\s*{_FUNCTION}", Part.URL, "critical"),
)
