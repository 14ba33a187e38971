"""What the agent is asked and what it answers, as frozen values. I/O: none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyctl.model.workload import (
    DatapathKind,
    Fail,
    FollowAddresses,
    Mode,
    Offload,
    OtherTraffic,
    Service,
    Workload,
)
from pyctl.policy.document.types import Selector
from pyctl.policy.evaluate.impact import Impact
from pyctl.runtime.base import Container


@dataclass(frozen=True)
class AttachRequest:
    """Splice one workload; one of pid, container and found is given. None: not said."""

    pid: int | None = None
    container: str | None = None
    container_host: str | None = None
    found: Container | None = None
    """One that a runtime has described already."""
    interfaces: tuple[str, ...] = ()
    """Empty: every interface that has an address, or gets one later."""
    name: str | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    """None: a label that goes."""
    datapath: DatapathKind | None = None
    mode: Mode | None = None
    fail: Fail | None = None
    other_traffic: OtherTraffic | None = None
    any_source: bool | None = None
    serves: tuple[Service, ...] | None = None
    addresses: tuple[str, ...] = ()
    """The workload's own besides those that are found."""
    follow: FollowAddresses | None = None
    hotplug: bool = False
    """Interfaces that an attached workload got later: of their addresses, those of `told` are its own."""
    told: tuple[str, ...] = ()
    """What its runtime says of it by now, where that was asked."""
    offload: Offload | None = None
    automatic: bool = False
    """Nobody waits for the answer. One without an interface is attached too, and its interfaces as it gets
    them; one whose name is taken is attached under a name of its own.
    """
    once: bool = False
    """A container attached by name is not attached again when it starts anew."""
    force: bool = False
    """Lose what hangs on an interface and cannot be kept, instead of refusing it."""
    dry_run: bool = False


@dataclass(frozen=True)
class AutoAttach:
    """Containers to attach as they start, and how. None: as `segctl attach` without the option."""

    selector: Selector
    mode: Mode | None = None
    datapath: DatapathKind | None = None
    fail: Fail | None = None


@dataclass(frozen=True)
class AttachResult:
    """What was done; `workload` is None after a dry run."""

    workload: Workload | None
    plan: list[str]
    warnings: list[str]
    already: bool
    elapsed_ms: float
    container: Container | None = None
    """The one that was meant."""


@dataclass(frozen=True)
class DetachRequest:
    """Exactly one of the four says whose splice to undo."""

    pid: int | None = None
    container: str | None = None
    container_host: str | None = None
    workload: str | None = None
    all: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class DetachResult:
    """Names of the workloads that are (or would be) detached."""

    workloads: list[str]
    plan: list[str]
    warnings: list[str]
    elapsed_ms: float


@dataclass(frozen=True)
class PolicyResult:
    """What applying a policy changed, or would."""

    changes: list[str]
    warnings: list[str]
    groups: int
    rules: int
    ports: int
    impact: Impact
    elapsed_ms: float
