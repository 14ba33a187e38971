"""What the API tells of threats. In: values of the agent. Out: typed models. I/O: none."""

from __future__ import annotations

from pyctl.api.schema.base import Response
from pyctl.model.threats import Cost, Severity, ThreatAction


class ThreatSetting(Response):
    """A threat, and what is done at it."""

    name: str
    number: int
    severity: Severity
    trigger: str
    """What it is told by."""
    default: ThreatAction
    setting: ThreatAction
    """Of the workload: by the policy, or the default."""
    cost: Cost
    """What the engine carries in the kernel's place while the threat is looked for; empty: nothing."""


class ThreatList(Response):
    """The threats at one workload."""

    workload: str
    enforced: bool
    """Drop and reset hold; False: the mode only tells of threats."""
    threats: list[ThreatSetting]
