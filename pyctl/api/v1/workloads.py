"""Workloads: attach, detach, list, show, mode, rules."""

from __future__ import annotations

from fastapi import APIRouter

from pyctl.agent.agent import Agent
from pyctl.api.schema import workloads as schema
from pyctl.api.schema.findings import (
    LearntName,
    NameCounts,
    NameList,
    SensorList,
    ThreatList,
)
from pyctl.api.v1 import views
from pyctl.controller.view import View
from pyctl.errors import UsageError
from pyctl.model.text import told
from pyctl.model.workload import DatapathKind, Mode, Workload
from pyctl.policy.document.named_ports import wrong_ports
from pyctl.state.requests import AttachRequest, DetachRequest
from pyctl.telemetry.history.convert import wall_clock

MOST_NAMES = 10_000
"""The most addresses with names that are shown of a workload."""


def router(agent: Agent) -> APIRouter:
    """Return the routes under /attach, /detach and /workloads."""
    made = APIRouter(tags=["workloads"])

    @made.post("/attach")
    def attach(request: schema.AttachRequest) -> schema.AttachResponse:
        """Splice a container or process."""
        if wrong := wrong_ports(request.labels):
            raise UsageError(
                f"the label {'; the label '.join(wrong)}",
                state="nothing was touched",
                advice="give a number up to 65535, alone for TCP, or with -udp or -sctp",
            )
        given = request.model_dump(exclude_unset=True)
        chosen = given.pop("datapath", schema.DatapathChoice.AUTO)
        given["datapath"] = (
            None if chosen is schema.DatapathChoice.AUTO else DatapathKind(chosen.value)
        )
        given["interfaces"] = tuple(request.interfaces)
        if "serves" in given:
            given["serves"] = tuple(dict.fromkeys(request.serves))
        given["addresses"] = tuple(request.addresses)
        result = agent.attach(AttachRequest(**given))
        workload = result.workload
        return schema.AttachResponse(
            workload=views.workload_view(agent.view, workload) if workload else None,
            plan=result.plan,
            warnings=told(result.warnings),
            already=result.already,
            elapsed_ms=result.elapsed_ms,
        )

    @made.post("/detach")
    def detach(request: schema.DetachRequest) -> schema.DetachResponse:
        """Give the workloads their original interfaces back."""
        result = agent.detach(DetachRequest(**request.model_dump()))
        body = {**vars(result), "warnings": told(result.warnings)}
        return schema.DetachResponse.model_validate(body)

    @made.get("/workloads")
    def workloads() -> schema.WorkloadList:
        """Return all workloads that are attached, or lost."""
        view = agent.view
        found = [*view.by_id.values(), *agent.lost(view)]
        found.sort(key=lambda one: (one.name, one.id))
        return schema.WorkloadList(workloads=views.workload_views(view, found))

    @made.get("/workloads/{ref}")
    def workload(ref: str) -> schema.WorkloadDetail:
        """Return one workload in full."""
        view = agent.view
        return views.workload_detail(agent, view, agent.find(view, ref))

    @made.put("/workloads/{ref}/mode")
    def mode(ref: str, request: schema.ModeRequest) -> schema.ModeResponse:
        """Force the workload's mode, or give the choice back to policy and attach."""
        view = agent.view
        before = view.mode_of(agent.find(view, ref)).mode
        forced = None if request.mode == "auto" else Mode(request.mode)
        changed = agent.set_mode(ref, forced, dry_run=request.dry_run)
        view = agent.view
        after = view.mode_of(changed)
        return schema.ModeResponse(
            workload=changed.name,
            before=before,
            after=after.mode,
            source=after.source,
            plan=[f"{changed.name}: {before} → {after.mode}"],
            warnings=[
                f"not inspected: {one.interface}: {one.reason}"
                for one in view.uninspected.get(changed.id, ())
            ],
        )

    @made.get("/workloads/{ref}/rules")
    def rules(ref: str) -> schema.RulesResponse:
        """Return the rules of the workload's ports as the kernel holds them."""
        found = agent.view.find(ref)
        return schema.RulesResponse(
            workload=found.name,
            datapath=found.datapath,
            ports=[
                schema.PortRules(
                    port_id=port.port_id,
                    interface=port.interface,
                    rules=agent.driver_of(found).rules(port.port_id),
                )
                for port in found.ports
            ],
        )

    @made.get("/workloads/{ref}/names")
    def names(ref: str) -> NameList:
        """Return the DNS names that the workload looked up, and what rests on them."""
        view = agent.view
        return name_list(agent, view, view.find(ref))

    _add_settings(made, agent)
    return made


def _add_settings(made: APIRouter, agent: Agent) -> None:
    """Add the routes of what is looked for in a workload's traffic."""

    @made.get("/workloads/{ref}/threats")
    def threats(ref: str) -> ThreatList:
        """Return what is done at each threat at the workload."""
        view = agent.view
        return views.threat_list(view, agent.find(view, ref))

    @made.get("/workloads/{ref}/sensors")
    def sensors(ref: str) -> SensorList:
        """Return what is done at hits of each sensor at the workload."""
        view = agent.view
        return views.sensor_list(view, agent.find(view, ref))


def name_list(agent: Agent, view: View, workload: Workload) -> NameList:
    """Return the API's view of the names that the workload's ports have learnt."""
    engines = agent.engines
    ports = {port.port_id: port.interface for port in workload.ports}
    found = [one for port in ports for one in engines.names(MOST_NAMES + 1, port)]
    found.sort(key=lambda one: (one.asked, one.address, one.port_id))
    groups = view.applied.node.groups
    zero = wall_clock(0)
    return NameList(
        workload=workload.name,
        names=[
            LearntName(
                interface=ports[one.port_id],
                address=one.address,
                asked=one.asked,
                matched=one.matched,
                groups=[groups[n] for n in one.groups if n < len(groups)],
                groups_more=one.group_count - len(one.groups),
                resolver=one.resolver,
                learnt=zero + one.learnt_ns / 1e9,
                ttl=one.ttl,
                expires=zero + one.expires_ns / 1e9,
                in_use=one.used,
                is_hint=one.is_hint,
            )
            for one in found[:MOST_NAMES]
        ],
        complete=len(found) <= MOST_NAMES,
        counts=NameCounts(**engines.name_counts(ports)),
    )
