"""What the API tells of former policies. In: values. Out: typed models. I/O: none."""

from __future__ import annotations

from pyctl.api.schema.base import Response


class RevisionView(Response):
    """A policy that was applied, but for its text."""

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


class RevisionList(Response):
    """Newest last."""

    revisions: list[RevisionView]


class RevisionText(Response):
    """One, as it was applied."""

    number: int
    text: str
