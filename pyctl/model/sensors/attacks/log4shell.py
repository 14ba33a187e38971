"""Look-ups by JNDI in what a program may log (CVE-2021-44228), with the letters wrapped in other look-ups or not."""

from __future__ import annotations

from pyctl.model.sensors.parts import in_parts
from pyctl.model.sensors.sensor import Pattern

_DOLLAR, _OPEN, _CLOSE = r"(?:\$|%24)", r"(?:\{|%7b)", r"(?:\}|%7d)"
_WRAP = rf"(?:{_DOLLAR}{_OPEN}[^{{}}]*(?::|-|%3a|%2d))*"
"""`${lower:`, `${env:NAME:-`, `${::-` before a letter."""
_LETTERS = ("j", "n", "d", r"(?:i|\xc4\xb1|%c4%b1)", r"(?::|%3a)")
"""One i without its dot is another letter, whose capital is I."""
_JNDI = "".join(f"{_WRAP}{letter}{_CLOSE}*" for letter in _LETTERS)

PATTERNS: tuple[Pattern, ...] = in_parts(
    "jndi", rf"(?i){_DOLLAR}{_OPEN}\s*{_JNDI}", ("url", "header", "body"), "critical"
)
