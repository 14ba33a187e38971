"""What the API tells of what the engine found in a workload's traffic: names that it looked up, threats, sensors. In:
values of the agent. Out: typed models. I/O: none.
"""

from __future__ import annotations

from pyctl.api.schema.base import Response
from pyctl.model.sensors.sensor import Confirm, Part, SensorAction
from pyctl.model.threats import Cost, Severity, ThreatAction


class LearntName(Response):
    """An address that an answer told, with the name that was asked for."""

    interface: str
    address: str
    asked: str
    matched: str | None
    """The first name of the chain of CNAMEs that is in a group; None: none is, and no rule rests on the answer."""
    groups: list[str]
    """The groups that the address is in by its names, the first ones."""
    groups_more: int
    """How many groups are not told."""
    resolver: str
    learnt: float
    """Seconds since the epoch, as `expires`: when it was told last."""
    ttl: int
    """Seconds, as the answer has it; the least of the chain's."""
    expires: float
    """When TTL and grace are over."""
    in_use: bool
    """A flow to the address goes on: it is kept until the flow ends."""
    is_hint: bool
    """It comes from an HTTPS or SVCB record."""


class NameCounts(Response):
    """What became of DNS answers, since the engine started."""

    learnt: int = 0
    """Addresses that answers told, repeats among them."""
    expired: int = 0
    evicted: int = 0
    """Addresses, or questions, that made room for others."""
    no_question: int = 0
    """Answers that nobody waited for: another id, name, type or flow."""
    wrong_resolver: int = 0
    """Answers of a resolver that no rule allows."""
    malformed: int = 0
    truncated: int = 0
    """Answers that say that they are cut off, and what is left out of one that is too large."""


class NameList(Response):
    """The names that a workload looked up, by name and address."""

    workload: str
    names: list[LearntName]
    complete: bool
    """False: there are more than were read."""
    counts: NameCounts


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


class SensorPattern(Response):
    """A pattern of a sensor."""

    id: str
    regex: str
    part: Part
    severity: Severity
    confirm: Confirm | None


class SensorSetting(Response):
    """A sensor, and what is done at its hits."""

    name: str
    setting: SensorAction
    """Of the workload; off: no group that it is in names the sensor."""
    show: bool
    """Events tell what matched."""
    uses: list[str]
    """The shipped sets whose patterns it has."""
    patterns: list[SensorPattern]


class SensorList(Response):
    """The policy's sensors at one workload."""

    workload: str
    enforced: bool
    """Drop and reset hold; False: the mode only tells of hits."""
    sensors: list[SensorSetting]
