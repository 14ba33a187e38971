"""What the API tells of open flows under a new policy. In: values. Out: typed models. I/O: none."""

from __future__ import annotations

from pyctl.api.schema.base import Response


class TurnedFlows(Response):
    """Flows that are alike but for the initiator's port."""

    source: str
    destination: str
    """A workload's name, or an address."""
    service: str
    """`tcp/80`, `icmp`."""
    opens: bool
    """Under the new policy; so far it was the other way."""
    rule_id: int | None
    """None: no rule decides."""
    flows: int


class OpenFlows(Response):
    """How many open flows change their verdict, when a policy is applied."""

    looked_at: int
    complete: bool
    """False: there are more than were looked at."""
    newly_denied: int
    newly_allowed: int
    examples: list[TurnedFlows]
    """The most frequent ones."""
