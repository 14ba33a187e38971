"""Names of hosts, and patterns of them: `db.internal`, `*.example.org`.

In: text. Out: text in lower case, or None and a noted error; whether a pattern takes a name. I/O: none.
The engine's condition/sg_name.c does the same.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from pyctl.policy.document.field_checks import ErrorCollector, shown
from pyctl.policy.document.table import Kind

MAX_NAME = 253
_LABEL = r"[A-Za-z0-9_-]{1,63}"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
PATTERN = rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*"


def name_of_host(text: str) -> str | None:
    """Return the name in lower case without a dot at its end; None: it is none."""
    name = text.removesuffix(".")
    return (
        name.lower() if len(name) <= MAX_NAME and _NAME.fullmatch(name or ".") else None
    )


def takes(pattern: str, name: str) -> bool:
    """Return whether the pattern takes the name. `*.x` takes what has one or more labels before x, and not x."""
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def pattern(notes: ErrorCollector, path: str, value: object) -> str | None:
    """Return a pattern in lower case; None and an error for anything else."""
    if not isinstance(value, str):
        notes.error(path, f"must be a name like *.example.org, not {shown(value)}")
        return None
    if _is_address(value):
        notes.error(path, f"{shown(value)} is an address; clients send names alone")
    elif value.endswith("."):
        notes.error(path, f"{shown(value)}: leave out the dot at its end")
    elif not value.isascii():
        notes.error(path, f"{shown(value)}: write what is no ASCII as xn--…")
    elif len(value) > MAX_NAME or not re.fullmatch(PATTERN, value):
        notes.error(
            path,
            f"{shown(value)} is no name like db.example.org, and no pattern like *.example.org: labels of 1 to 63 "
            f"letters, digits, - and _; {MAX_NAME} characters; a star is the whole first label",
        )
    else:
        return value.lower()
    return None


def _is_address(text: str) -> bool:
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


NAME_PATTERN: Kind[str | None] = Kind(
    pattern,
    {
        "type": "string",
        "maxLength": MAX_NAME,
        "pattern": f"^(?:{PATTERN})$",
        "description": "db.internal; *.example.org: one or more labels before it",
    },
)
