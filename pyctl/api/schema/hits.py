"""What the API tells of how often rules decided. In: values. Out: typed models. I/O: none."""

from __future__ import annotations

from pyctl.api.schema.base import Response


class HitCount(Response):
    """One hit is one flow judged at one end."""

    hits: int
    last: float | None
    """Seconds since the epoch, as `since`: a flow was judged, or was seen to go on. None: never."""
    since: float | None
    """Counted from then on; None: not counted."""


class RuleHits(HitCount):
    """A rule of the policy in force."""

    id: int
    action: str
    source: str
    target: str
    ports: list[str]
    direction: str | None
    """The one end at which it holds; None: both."""
    staged: bool
    """It did not decide: the hits are what it would have decided."""
    enabled: bool


class PolicyHits(Response):
    """In the policy's order."""

    rules: list[RuleHits]
    default: HitCount
    """What no rule matched, of every policy so far."""
    recording: bool
    """False: what happened since is not in the counts yet."""
