"""The node's own routes: its state, log levels, the agent's end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.metadata import version

from fastapi import APIRouter

from pyctl import abi
from pyctl.agent.agent import Agent
from pyctl.api.schema import node
from pyctl.controller.loop import Work
from pyctl.model.log_level import LogLevel
from pyctl.model.text import harmless, told
from pyctl.state.requests import DetachRequest
from pyctl.telemetry import logs


def router(agent: Agent, on_stop: Callable[[], None]) -> APIRouter:
    """Return the routes of GET /status, PUT /log-level and POST /stop."""
    made = APIRouter(tags=["node"])

    @made.get("/status")
    def status() -> node.Status:
        """Return the state of agent and engine."""
        view = agent.view
        loads = view.by_id.values()
        return node.Status(
            pid=os.getpid(),
            version=version("segctl"),
            instance=agent.instance.name,
            uptime_s=round(time.monotonic() - agent.started, 1),
            log_level=LogLevel(logs.get_level()),
            abi=abi.HASH,
            datapath=agent.default_datapath(),
            engine=node.EngineStatus.model_validate(agent.engines.status()),
            workloads=len(loads),
            ports=sum(len(load.ports) for load in loads),
            policy_rules=len(view.policy.rules),
            history=node.HistoryStatus.model_validate(vars(agent.recording())),
            auto_attach=agent.auto_attacher.states(),
            pending=[_pending(one) for one in agent.pending()],
            warnings=told(agent.warnings),
        )

    @made.put("/log-level")
    def log_level(request: node.LogLevelRequest) -> node.LogLevelResponse:
        """Change the log level of agent and engine."""
        before = agent.set_log_level(request.level.value)
        return node.LogLevelResponse(before=LogLevel(before), after=request.level)

    @made.post("/stop")
    def stop(request: node.StopRequest) -> node.StopResponse:
        """End the agent after the answer."""
        detached: list[str] = []
        if request.detach:
            detached = agent.detach(DetachRequest(all=True)).workloads
        on_stop()
        return node.StopResponse(pid=os.getpid(), detached=detached)

    return made


def _pending(work: Work) -> node.PendingWork:
    return node.PendingWork(
        kind=work.kind,
        about=harmless(work.key),
        tries=work.tries,
        why=harmless(work.why),
        next_s=round(max(0.0, work.due - time.monotonic()), 1),
    )
