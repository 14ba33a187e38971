"""What the API tells of learned rules, and of a policy tried out on recorded flows. In: values of the policy. Out: typed models. I/O: none."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pyctl.api.schema.base import Request, Response
from pyctl.model.records import Verdict
from pyctl.model.workload import Mode

Change = Literal["denied", "allowed", "uncertain", "unchanged"]


class LeftOut(Response):
    """Flows of which nothing is learned, for one reason."""

    why: str
    """scan, unanswered, denied, covered, folded, protocol or ephemeral."""
    meaning: str
    flows: int
    examples: list[str]
    """Pairs of initiator and target, those with the most flows."""


class Learned(Response):
    """The policy in force with the learned rules after its own."""

    text: str
    """YAML, as `segctl policy apply` takes it."""
    document: dict[str, Any]
    """The same as plain values."""
    rules: int
    """How many were learned."""
    flows: int
    """The number of flows that they were learned from."""
    left_out: list[LeftOut]
    recording: bool
    """False: only live flows are known."""
    complete: bool = True
    """False: there are more flows than were looked at, or written so far."""


class SimulateRequest(Request):
    """A policy that is to be tried out."""

    text: str
    since: float | None = None
    """Seconds since the epoch; None: all flows that are kept."""
    mode: Mode | None = None
    """As if every workload were in it; None: as the policy says."""
    examples: Annotated[int, Field(ge=0, le=10000)] = 5
    """How many examples of each change, and of what a staged rule would deny."""


class Decision(Response):
    """What a policy makes of a flow."""

    verdict: Verdict | None
    """None: not known; violation: it passes because the mode only records."""
    rule_id: int | None
    """None: no rule matches."""
    staged_rule_id: int | None = None
    """The staged rule that would deny what passes."""


class Case(Response):
    """Flows that are alike."""

    change: Change
    source: str
    target: str
    service: str
    flows: int
    last: float
    """Seconds since the epoch."""
    before: Decision
    after: Decision
    why: str | None
    """Why it is uncertain."""


class Simulated(Response):
    """Recorded flows under the new policy, against the one in force."""

    flows: dict[Change, int]
    monitored: int
    """Flows that pass under the new policy only because a mode records instead of denying."""
    examples: list[Case]
    staged: int = 0
    """Flows that pass by the new policy, and that a staged rule of it would deny; each is counted in
    `flows` too.
    """
    staged_examples: list[Case] = Field(default=[])
    warnings: list[str]
    """The warnings about the new policy."""
    recording: bool
    """False: only live flows are known."""
    complete: bool = True
    """False: there are more flows than were looked at, or written so far."""
    elapsed_ms: float
