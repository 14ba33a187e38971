"""The words of what is recorded: one list for telemetry, history, the API and the command line.

A literal type each, so that mypy knows a misspelt word wherever one is written, and its values for who
lists or asks for them.
"""

from __future__ import annotations

from typing import Literal, get_args

EventKind = Literal[
    "denial",
    "violation",
    "staged",
    "threat",
    "sensor",
    "lifecycle",
    "kernel-drop",
    "policy",
    "engine",
]
"""violation: monitor would have denied it. staged: what a staged rule would have said."""
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)
DENIED: tuple[EventKind, ...] = ("denial", "violation", "staged", "kernel-drop")
"""The kinds that tell of packets which were denied, or would have been."""

Verdict = Literal["allow", "deny", "violation"]
"""Of a flow's record; violation: it passed because mode or rule only record."""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
