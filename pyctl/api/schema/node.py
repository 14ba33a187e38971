"""What the API tells of the node: the state of agent and engine, log levels, the end."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pyctl.api.schema.base import Request, Response
from pyctl.api.schema.workloads import FlowMap
from pyctl.model.log_level import LogLevel
from pyctl.model.workload import DatapathKind


class WorkerStatus(Response):
    """One engine process as the agent sees it."""

    state: Literal["running", "cut off", "starting", "down"]
    """Cut off: the engine runs, but vbr-neuv and vth-neuv carry no frames to it."""
    pid: int | None
    heartbeat_age_ms: float | None
    restarts: int
    sessions: int
    ring_drops: int
    """Frames that the packet socket had no room for."""
    pace: int | None = None
    """Packets a second that each port may send to the engine; None: it keeps up."""
    flow_map: FlowMap | None = None
    """None: no engine answers."""


class EngineStatus(WorkerStatus):
    """All engines together: the worst state, the first one's pid, the oldest heartbeat, the slowest pace, sums."""

    workers: list[WorkerStatus] = Field(default=[])
    """Each of the engines that share the packets."""


class HistoryStatus(Response):
    """The state of the recording of flows and events."""

    recording: bool
    why_not: str | None
    bytes: int
    """The size of the database file."""
    lost: int
    """Flows and events that are not on disk since the agent started: the engine, the agent or the disk had no
    room for them.
    """


class PendingWork(Response):
    """Something that was refused, or failed, and is tried again."""

    kind: str
    about: str
    """A workload's or container's id; empty: the node."""
    tries: int
    why: str
    next_s: float
    """Seconds until the next try."""


class Status(Response):
    """The state of the agent, its engine and its recording."""

    pid: int
    version: str
    instance: str
    uptime_s: float
    log_level: LogLevel
    abi: str
    """Hash of bpf/segctl_abi.h, which names the pin directory."""
    datapath: DatapathKind
    """What `--datapath auto` gives here."""
    engine: EngineStatus
    workloads: int
    ports: int
    policy_rules: int
    history: HistoryStatus
    auto_attach: list[str] = Field(default=[])
    """How each container runtime is followed; empty: no selectors are configured."""
    pending: list[PendingWork] = Field(default=[])
    """What is desired and does not hold yet."""
    warnings: list[str] = Field(default=[])


class LogLevelRequest(Request):
    """A new log level, which holds until the agent ends."""

    level: LogLevel


class LogLevelResponse(Response):
    """The level before and after."""

    before: LogLevel
    after: LogLevel


class StopRequest(Request):
    """A request to end the agent. Without detach, workloads stay spliced and the kernel goes on as it is."""

    detach: bool = False


class StopResponse(Response):
    """The answer to a StopRequest, sent before the agent ends."""

    pid: int
    detached: list[str]
