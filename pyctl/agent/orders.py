"""What the agent is asked and what it answers, as frozen values. I/O: none."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyctl.agent.open_flows import Impact
from pyctl.model.workload import (
    DatapathKind,
    Fail,
    Mode,
    Offload,
    OtherTraffic,
    Workload,
)
from pyctl.runtime.base import Container


@dataclass(frozen=True)
class AttachOrder:
    """Splice one workload; one of pid, container and found is given. None: not said."""

    pid: int | None = None
    container: str | None = None
    container_host: str | None = None
    found: Container | None = None
    """One that a runtime has described already."""
    interfaces: tuple[str, ...] = ()
    """Empty: every interface that has an address, or gets one later."""
    name: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    datapath: DatapathKind | None = None
    mode: Mode | None = None
    fail: Fail | None = None
    other_traffic: OtherTraffic | None = None
    any_source: bool | None = None
    offload: Offload | None = None
    by_itself: bool = False
    """Nobody waits for the answer. One without an interface is attached too, and its interfaces as it gets
    them; one whose name is taken is attached under a name of its own.
    """
    dry_run: bool = False


@dataclass(frozen=True)
class AttachResult:
    """What was done; `workload` is None after a dry run."""

    workload: Workload | None
    plan: list[str]
    warnings: list[str]
    already: bool
    elapsed_ms: float


@dataclass(frozen=True)
class DetachOrder:
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
