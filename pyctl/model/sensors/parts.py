"""A pattern that is looked for in several parts, or within values only.

In, out: patterns. I/O: none.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyctl.model.sensors.sensor import Confirm, Part, Pattern
from pyctl.model.threats import Severity

_NAME = r"[\w.\[\]%~:$@!*'();,+-]{1,128}="
_FORM = rf"(?:^{_NAME}|&[\w.\[\]%-]{{1,64}}=)"
"""A form begins with a field. What looks like a field later on may be one behind a field that has an odd name."""
_VALUE = rf"(?:^{_NAME}.*|&[\w.\[\]%-]{{1,64}}=[^&\n]*)"
_JSON_TEXT = r'[:\[,]\s*"(?:[^"\\]|\\.)*'


def in_parts(
    name: str,
    regex: str,
    parts: Sequence[str],
    severity: Severity,
    confirm: Confirm | None = None,
) -> tuple[Pattern, ...]:
    """Return the pattern for each of these parts, as NAME-PART."""
    return tuple(
        Pattern(f"{name}-{part}", regex, Part(part), severity, confirm)
        for part in parts
    )


def in_target_and_fields(
    name: str,
    regex: str,
    severity: Severity,
    *,
    behind: str = "",
    json: bool = False,
) -> tuple[Pattern, ...]:
    """Return patterns for a target, for values of a form's fields, and with `json` for texts of JSON.

    A target is looked at anywhere. Of bodies, whatever a program may rightly send as it is (scripts, dumps, pages) is none.

    `regex` has no flags and no alternatives outside of a group. `behind` are characters, as in a class, one of which
    stands before it unless a value begins with it.
    """
    begin = f"(?:^|[={behind}])" if behind else ""
    field = f"(?:{_FORM}|{_VALUE}[=&{behind}])" if behind else _VALUE
    found = [
        Pattern(f"{name}-url", f"(?is){begin}{regex}", Part.URL, severity),
        Pattern(f"{name}-form", f"(?is){field}{regex}", Part.BODY, severity),
    ]
    if json:
        found.append(
            Pattern(f"{name}-json", f"(?is){_JSON_TEXT}{regex}", Part.BODY, severity)
        )
    return tuple(found)
