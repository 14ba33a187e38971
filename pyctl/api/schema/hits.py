"""What the API tells of how often rules decided. In: values. Out: typed models. I/O: none."""

from __future__ import annotations

from pyctl.api.schema.base import Response


class HitCount(Response):
    """How often a rule decided. One hit is one flow judged at one end."""

    hits: int
    last: float | None
    """Seconds since the epoch, as `since`: a flow was judged, or was seen to go on. None: never."""
    since: float | None
    """When counting began; None: not counted."""


class RuleHits(HitCount):
    """A rule of the policy in force, with its hits."""

    id: int
    action: str
    source: str
    target: str
    ports: list[str]
    apps: list[str]
    """The applications that it is for; none: whatever it is."""
    asks: str
    """What else it asks of a flow; "": nothing."""
    direction: str | None
    """The one end at which it holds; None: both."""
    staged: bool
    """The rule does not decide: its hits are the flows that it would have decided."""
    enabled: bool


class PolicyHits(Response):
    """The hits of each rule, in the policy's order."""

    rules: list[RuleHits]
    default: HitCount
    """Flows that no rule matched, under every policy so far."""
    recording: bool
    """False: what happened since is not in the counts yet."""
