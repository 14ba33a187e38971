"""What the API tells of former policies. In: values. Out: typed models. I/O: none."""

from __future__ import annotations

from pyctl.api.schema.base import Response


class RevisionView(Response):
    """The facts of an applied policy, without its text."""

    number: int
    time: float
    """Seconds since the epoch."""
    author: str
    """Whom the client named."""
    uid: int | None
    """The uid of the client's process, from the kernel; None: not known."""
    comment: str
    sha256: str
    rules: int
    groups: int
    in_force: bool
    """Its text is the policy in force."""


class RevisionList(Response):
    """The revisions, newest last."""

    revisions: list[RevisionView]


class RevisionText(Response):
    """The text of one revision, as it was applied."""

    number: int
    text: str
