"""Requests to the agent and its results, as frozen values. I/O: none."""

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
    """A request to splice one workload by pid, container or found, exactly one. None: not said."""

    pid: int | None = None
    container: str | None = None
    container_host: str | None = None
    found: Container | None = None
    """A container that a runtime has described already."""
    interfaces: tuple[str, ...] = ()
    """Empty: every interface that has an address, or gets one later."""
    name: str | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    """None: the label is removed."""
    datapath: DatapathKind | None = None
    mode: Mode | None = None
    fail: Fail | None = None
    other_traffic: OtherTraffic | None = None
    any_source: bool | None = None
    serves: tuple[Service, ...] | None = None
    addresses: tuple[str, ...] = ()
    """Addresses of the workload besides those that are found."""
    follow: FollowAddresses | None = None
    hotplug: bool = False
    """The request is for interfaces that came later: their addresses in `told` are the workload's."""
    told: tuple[str, ...] = ()
    """The addresses that its runtime names now, where it was asked."""
    offload: Offload | None = None
    automatic: bool = False
    """Auto-attach: nobody waits for the answer. A container without an interface is attached too, and its
    interfaces as they come; one whose name is taken gets another name."""
    once: bool = False
    """A container attached by name is not attached again when it starts anew."""
    force: bool = False
    """Lose what hangs on an interface and cannot be kept, instead of refusing it."""
    dry_run: bool = False


@dataclass(frozen=True)
class AutoAttach:
    """Which containers to attach as they start, and how. None: as `segctl attach` without the option."""

    selector: Selector
    mode: Mode | None = None
    datapath: DatapathKind | None = None
    fail: Fail | None = None


@dataclass(frozen=True)
class AttachResult:
    """The result of an attach; `workload` is None after a dry run."""

    workload: Workload | None
    plan: list[str]
    warnings: list[str]
    already: bool
    elapsed_ms: float
    container: Container | None = None
    """The container that the request named."""


@dataclass(frozen=True)
class DetachRequest:
    """A request to undo a splice; exactly one of the four fields says whose."""

    pid: int | None = None
    container: str | None = None
    container_host: str | None = None
    workload: str | None = None
    all: bool = False
    dry_run: bool = False
    force: bool = False
    """Lose what came onto an interface, instead of refusing; `all` does so anyway."""


@dataclass(frozen=True)
class DetachResult:
    """The names of the workloads that are (or would be) detached."""

    workloads: list[str]
    plan: list[str]
    warnings: list[str]
    elapsed_ms: float


@dataclass(frozen=True)
class PolicyResult:
    """What applying a policy changed, or would change."""

    changes: list[str]
    warnings: list[str]
    groups: int
    rules: int
    ports: int
    impact: Impact
    elapsed_ms: float
