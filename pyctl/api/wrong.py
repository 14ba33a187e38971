"""What is wrong with a request, or went wrong with it, in words.

In: what pydantic tells of one value; an exception that nobody foresaw. Out: text, an error. I/O: none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pyctl.errors import SegctlError


def wrong(item: Mapping[str, Any]) -> str:
    """Return what is wrong with the value; its place is named elsewhere."""
    context = item.get("ctx", {})
    match item["type"]:
        case "string_pattern_mismatch":
            return (
                f"{item['input']!r} is no name: 128 of a-z, A-Z, 0-9, '_', '.' and '-' at most, "
                "the first a letter or a digit"
            )
        case "value_error":
            return str(context["error"])
        case "enum" | "literal_error":
            # Show enum members by their values.
            known = re.sub(r"<[\w.]+: ('[^']*')>", r"\1", context["expected"])
            return f"{item['input']!r} is none of {known}"
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "no such field is known"
        case _:
            said = str(item["msg"]).replace("Input should", "it should")
            return f"{item['input']!r}: {said}"


def unforeseen(error: Exception) -> SegctlError:
    """Return a SegctlError for an error that nobody handled: the kernel's refusal, a full disk, a bug."""
    kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
    return SegctlError(
        f"{kind}{error}".rstrip(": ") or repr(error),
        state="it may be half done; `segctl list` shows what is attached",
        advice="" if isinstance(error, OSError) else "the agent's log says where",
        errno=getattr(error, "errno", None),
    )
