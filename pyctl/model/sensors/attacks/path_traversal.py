"""Ways out of a directory, and files of the system that no path should name."""

from __future__ import annotations

from pyctl.model.sensors.parts import in_target_and_fields
from pyctl.model.sensors.sensor import Part, Pattern

_UP = r"(?:\.{2,4}(?:;[^/\\]*)?[/\\]+)"
"""Four dots and two slashes are two and one for who takes `../` out once."""
_FILE = (
    r"(?:[/\\]etc[/\\]+(?:passwd|shadow|group|hosts|issue|sudoers)\b|[/\\]etc[/\\]+ssh[/\\]|"
    r"[/\\]proc[/\\]+(?:self|\d+)[/\\]+(?:environ|cmdline|fd|maps|status)\b|"
    r"[/\\]win(?:dows|nt)[/\\]+(?:win\.ini|system32|repair)\b|[/\\]boot\.ini\b|"
    r"[/\\]web-inf[/\\]+\w+\.xml\b|[/\\]\.ssh[/\\]+(?:id_|authorized_keys))"
)

PATTERNS: tuple[Pattern, ...] = (
    *in_target_and_fields("climb", rf"{_UP}{{2,}}", "high", behind=r"/\\&?:,"),
    *in_target_and_fields("file", _FILE, "critical", behind=r"&?:,/\\.a-z"),
    Pattern("overlong-url", r"(?i)(?:%e0%80%ae|%f0%80%80%ae){2}", Part.URL, "critical"),
    Pattern("null-url", r"(?is)\.\.[/\\][^&]*\x00", Part.URL, "critical"),
)
