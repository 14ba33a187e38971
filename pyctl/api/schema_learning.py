"""What the API tells of learned rules. In: values of the policy. Out: typed models. I/O: none."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LeftOut(_Response):
    """Flows of which nothing is learned, for one reason."""

    why: str
    """scan, unanswered, denied, covered, folded, protocol or ephemeral."""
    meaning: str
    flows: int
    examples: list[str]
    """Who to whom, those with the most flows."""


class Learned(_Response):
    """The policy in force with what was learned behind its rules."""

    text: str
    """YAML, as `segctl policy apply` takes it."""
    document: dict[str, Any]
    """The same as plain values."""
    rules: int
    """How many were learned."""
    flows: int
    """From so many."""
    left_out: list[LeftOut]
    recording: bool
    """False: only live flows are known."""
