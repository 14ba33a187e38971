"""What the API tells of former policies. In: values. Out: typed models. I/O: none."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class RevisionView(BaseModel):
    """A policy that was applied, but for its text."""

    model_config = ConfigDict(extra="forbid")

    number: int
    time: float
    """Seconds since the epoch."""
    author: str
    """Whom the client named."""
    uid: int | None
    """Of the client's process, by the kernel's word; None: not known."""
    comment: str
    sha256: str
    rules: int
    groups: int
    in_force: bool
    """Its text is the policy's of now."""


class RevisionList(BaseModel):
    """Newest last."""

    model_config = ConfigDict(extra="forbid")

    revisions: list[RevisionView]


class RevisionText(BaseModel):
    """One, as it was applied."""

    model_config = ConfigDict(extra="forbid")

    number: int
    text: str
