"""The agent's HTTP/JSON API (OpenAPI at /openapi.json): routes, and nothing but routes.

In: an Agent. Out: a FastAPI application. Handlers are plain functions, which FastAPI runs in its
thread pool: the agent's calls block on netlink, and its lock orders them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.metadata import version

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from pyctl import abi
from pyctl.agent.agent import Agent
from pyctl.api.peer import uid_of
from pyctl.api.schema import workloads as schema
from pyctl.api.v1 import (
    containers,
    history,
    hits,
    impact,
    learning,
    metrics,
    question,
    revision,
    views,
)
from pyctl.api.wrong import unforeseen, wrong
from pyctl.errors import SegctlError, UsageError
from pyctl.model.log_level import LogLevel
from pyctl.model.text import told
from pyctl.model.workload import DatapathKind, Mode
from pyctl.state.requests import AttachOrder, DetachOrder
from pyctl.telemetry import logs


def create_app(agent: Agent, on_stop: Callable[[], None]) -> FastAPI:
    """The application; `on_stop` ends the process after the answer has been sent."""
    app = FastAPI(
        title="segctl agent", version=version("segctl"), docs_url=None, redoc_url=None
    )
    app.add_exception_handler(SegctlError, _segctl_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(OSError, _unforeseen)
    app.add_exception_handler(Exception, _unforeseen)
    for router in (
        _workloads(agent),
        _policy(agent),
        question.router(agent),
        revision.router(agent),
        containers.router(agent),
        hits.router(agent),
        learning.router(agent),
        history.router(agent),
        _node(agent, on_stop),
    ):
        app.include_router(router, prefix=schema.PREFIX)
    app.include_router(metrics.router(agent))
    return app


def _answer(error: SegctlError) -> JSONResponse:
    body = schema.ErrorResponse(error=schema.ErrorBody.of(error))
    return JSONResponse(body.model_dump(), status_code=schema.HTTP_STATUS[error.code])


def _segctl_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, SegctlError):
        raise error
    return _answer(error)


def _unforeseen(_request: Request, error: Exception) -> JSONResponse:
    return _answer(unforeseen(error))


def _bad_request(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    told = "; ".join(
        f"{'.'.join(str(part) for part in item['loc'][1:])}: {wrong(item)}".lstrip(": ")
        for item in error.errors()
    )
    return _answer(UsageError(told, state="nothing was touched"))


def _workloads(agent: Agent) -> APIRouter:
    router = APIRouter(tags=["workloads"])

    @router.post("/attach")
    def attach(request: schema.AttachRequest) -> schema.AttachResponse:
        """Splice a container or process."""
        given = request.model_dump(exclude_unset=True)
        chosen = given.pop("datapath", schema.DatapathChoice.AUTO)
        given["datapath"] = (
            None if chosen is schema.DatapathChoice.AUTO else DatapathKind(chosen.value)
        )
        given["interfaces"] = tuple(request.interfaces)
        if "serves" in given:
            given["serves"] = tuple(dict.fromkeys(request.serves))
        given["addresses"] = tuple(request.addresses)
        result = agent.attach(AttachOrder(**given))
        workload = result.workload
        return schema.AttachResponse(
            workload=views.workload_view(agent, workload) if workload else None,
            plan=result.plan,
            warnings=told(result.warnings),
            already=result.already,
            elapsed_ms=result.elapsed_ms,
        )

    @router.post("/detach")
    def detach(request: schema.DetachRequest) -> schema.DetachResponse:
        """Give the original interfaces back."""
        result = agent.detach(DetachOrder(**request.model_dump()))
        body = {**vars(result), "warnings": told(result.warnings)}
        return schema.DetachResponse.model_validate(body)

    @router.get("/workloads")
    def workloads() -> schema.WorkloadList:
        """All that is attached, or lost."""
        context = agent.context
        found = [*context.registry.all(), *context.lost()]
        found.sort(key=lambda one: (one.name, one.id))
        return schema.WorkloadList(workloads=views.workload_views(agent, found))

    @router.get("/workloads/{ref}")
    def workload(ref: str) -> schema.WorkloadDetail:
        """One workload in full."""
        return views.workload_detail(agent, agent.find(ref))

    @router.put("/workloads/{ref}/mode")
    def mode(ref: str, request: schema.ModeRequest) -> schema.ModeResponse:
        """Force the mode, or give the choice back."""
        before = agent.context.mode_of(agent.find(ref)).mode
        forced = None if request.mode == "auto" else Mode(request.mode)
        changed = agent.set_mode(ref, forced, dry_run=request.dry_run)
        after = agent.context.mode_of(changed)
        return schema.ModeResponse(
            workload=changed.name,
            before=before,
            after=after.mode,
            source=after.source,
            plan=[f"{changed.name}: {before} → {after.mode}"],
            warnings=[
                f"not inspected: {one.interface}: {one.reason}"
                for one in agent.context.uninspected.get(changed.id, ())
            ],
        )

    @router.get("/workloads/{ref}/rules")
    def rules(ref: str) -> schema.RulesResponse:
        """The pairs' rules as the kernel holds them."""
        found = agent.context.registry.find(ref)
        return schema.RulesResponse(
            workload=found.name,
            datapath=found.datapath,
            ports=[
                schema.PortRules(
                    port_id=port.port_id,
                    interface=port.interface,
                    rules=agent.context.steering.drivers.of(found.datapath).rules(
                        port.port_id
                    ),
                )
                for port in found.ports
            ],
        )

    return router


def _policy(agent: Agent) -> APIRouter:
    router = APIRouter(tags=["policy"])

    @router.get("/policy")
    def get() -> schema.PolicyText:
        """The policy in force, as it was written."""
        policy = agent.context.policy
        return schema.PolicyText(
            text=policy.text,
            applied_at=agent.policy_applied_at,
            groups=len(policy.groups),
            rules=len(policy.rules),
        )

    @router.put("/policy")
    def apply(
        request: schema.PolicyApplyRequest, http: Request
    ) -> schema.PolicyApplyResponse:
        """Replace the policy at once."""
        result = agent.apply_policy(
            request.text,
            dry_run=request.dry_run,
            author=request.author,
            comment=request.comment,
            uid=uid_of(http),
        )
        return impact.applied_view(result)

    return router


def _node(agent: Agent, on_stop: Callable[[], None]) -> APIRouter:
    router = APIRouter(tags=["node"])

    @router.get("/status")
    def status() -> schema.Status:
        """The agent in one look."""
        loads = agent.context.registry.all()
        return schema.Status(
            pid=os.getpid(),
            version=version("segctl"),
            instance=agent.instance.name,
            uptime_s=round(time.monotonic() - agent.started, 1),
            log_level=LogLevel(logs.get_level()),
            abi=abi.HASH,
            datapath=agent.context.steering.drivers.default,
            engine=schema.EngineStatus.model_validate(agent.supervisor.status()),
            workloads=len(loads),
            ports=sum(len(load.ports) for load in loads),
            policy_rules=len(agent.context.policy.rules),
            history=schema.HistoryStatus.model_validate(vars(agent.recording())),
            auto_attach=agent.auto_attacher.states(),
            warnings=told(agent.warnings),
        )

    @router.put("/log-level")
    def log_level(request: schema.LogLevelRequest) -> schema.LogLevelResponse:
        """Change the level of agent and engine."""
        before = agent.set_log_level(request.level.value)
        return schema.LogLevelResponse(before=LogLevel(before), after=request.level)

    @router.post("/stop")
    def stop(request: schema.StopRequest) -> schema.StopResponse:
        """End the agent; answered before it does."""
        detached: list[str] = []
        if request.detach:
            detached = agent.detach(DetachOrder(all=True)).workloads
        on_stop()
        return schema.StopResponse(pid=os.getpid(), detached=detached)

    return router
