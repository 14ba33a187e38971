"""The agent's values as the API shows them.

In: Workload, Counter, Event and friends, and the View that the whole answer is of. Out: schema models.
I/O: none, but for a workload's process and its counters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pyctl import abi
from pyctl.agent.agent import Agent
from pyctl.api.schema import workloads as schema
from pyctl.api.schema.findings import (
    SensorList,
    SensorPattern,
    SensorSetting,
    ThreatList,
    ThreatSetting,
)
from pyctl.api.schema.identity import ClaimView, SharedAddress
from pyctl.controller.view import View
from pyctl.model.records import DENIED
from pyctl.model.sensors.sensor import SensorAction
from pyctl.model.threats import BY_NAME, THREATS
from pyctl.model.workload import Counter, Mode, ModeSource, Port, Workload
from pyctl.platform.process import process_alive
from pyctl.policy.compile.affected_ports import rule_count
from pyctl.policy.compile.claims import shared
from pyctl.policy.document.resolve import (
    Address,
    effective_mode,
    effective_sensors,
    effective_threats,
    groups_of,
)
from pyctl.telemetry.events import Event
from pyctl.telemetry.open_flows import applications, sessions_of

Shared = Mapping[Address, tuple[str, ...]]
"""Names of workloads by the address that they share."""

_INTERNAL = ("segment", "closed")
"""The fields of a port that the API does not show."""


def port_view(port: Port) -> schema.PortView:
    """Return the API's view of a port in the list."""
    return schema.PortView(
        **{key: value for key, value in vars(port).items() if key not in _INTERNAL},
        ucmac=port.ucmac,
    )


def _state(view: View, workload: Workload) -> schema.WorkloadState:
    if workload.id not in view.by_id:
        return schema.WorkloadState.LOST
    if process_alive(workload.process):
        return schema.WorkloadState.ATTACHED
    return schema.WorkloadState.EMPTY


def _head(view: View, workload: Workload, together: Shared) -> dict[str, object]:
    effective = view.mode_of(workload)
    state = _state(view, workload)
    lost = state is schema.WorkloadState.LOST
    return {
        "id": workload.id,
        "name": workload.name,
        "state": state,
        "pid": None if lost else workload.process.pid,
        "runtime": workload.runtime,
        "image": workload.image,
        "labels": workload.labels,
        "uninspected": [vars(one) for one in view.uninspected.get(workload.id, ())],
        "datapath": workload.datapath,
        "mode": effective.mode,
        "mode_source": effective.source,
        "fail": workload.fail,
        "other_traffic": workload.other_traffic,
        "any_source": workload.any_source,
        "serves": list(workload.serves),
        "offload": workload.offload,
        "addresses": list(workload.given),
        "follow": workload.follow,
        "shared": [
            SharedAddress(address=str(ip), workloads=list(names))
            for ip, names in together.items()
            if workload.name in names
        ],
        "claims": [ClaimView(**vars(claim)) for claim in workload.claims],
    }


def workload_view(view: View, workload: Workload) -> schema.WorkloadView:
    """Return the API's view of a workload in the list."""
    (shown,) = workload_views(view, [workload])
    return shown


def workload_views(
    view: View, workloads: Iterable[Workload]
) -> list[schema.WorkloadView]:
    """Return the API's view of workloads as the list."""
    together = shared(view.workloads())
    return [
        schema.WorkloadView.model_validate(
            {
                **_head(view, workload, together),
                "ports": [port_view(port) for port in workload.ports],
            }
        )
        for workload in workloads
    ]


def counter_rows(
    kernel: Mapping[str, Counter], engine: Mapping[str, Counter]
) -> list[schema.CounterRow]:
    """Return both sides' counts in the ABI's order; the kernel's where both count (steering)."""
    rows = []
    for reason in abi.REASONS:
        mine = kernel.get(reason.name) or engine.get(reason.name)
        if mine is None or not mine.packets:
            continue
        rows.append(
            schema.CounterRow.model_validate(
                {
                    "reason": reason.name,
                    "category": reason.category,
                    "caption": reason.caption,
                    **vars(mine),
                }
            )
        )
    return rows


def event_view(event: Event) -> schema.Event:
    """Return the API's view of one event."""
    known = BY_NAME.get(event.reason or "") if event.kind == "threat" else None
    severity: str | None = known.severity if known else None
    if event.kind == "sensor":
        severity = event.message.partition(":")[0]
    return schema.Event.model_validate({**vars(event), "severity": severity})


def event_views(events: Iterable[Event]) -> list[schema.Event]:
    """Return the API's view of many events, in their order."""
    return [event_view(event) for event in events]


def threat_list(view: View, workload: Workload) -> ThreatList:
    """Return the API's view of the threats at one workload."""
    settings = effective_threats(view.policy, workload)
    return ThreatList(
        workload=workload.name,
        enforced=view.mode_of(workload).mode is Mode.PROTECT,
        threats=[
            ThreatSetting(**vars(one), setting=settings[one.name]) for one in THREATS
        ],
    )


def sensor_list(view: View, workload: Workload) -> SensorList:
    """Return the API's view of the policy's sensors at one workload."""
    settings = effective_sensors(view.policy, workload)
    return SensorList(
        workload=workload.name,
        enforced=view.mode_of(workload).mode is Mode.PROTECT,
        sensors=[
            SensorSetting(
                name=one.name,
                setting=settings.get(one.name, SensorAction.OFF),
                show=one.show,
                uses=list(one.uses),
                patterns=[SensorPattern(**vars(each)) for each in one.patterns],
            )
            for one in view.policy.sensors
        ],
    )


def workload_detail(
    agent: Agent, view: View, workload: Workload
) -> schema.WorkloadDetail:
    """Return the API's view of all that is known of one workload."""
    ports = []
    port_ids = [port.port_id for port in workload.ports]
    count, sessions = sessions_of(agent.engines, port_ids)
    for port in workload.ports:
        kernel = agent.driver_of(workload).counters(port.port_id)
        engine = agent.engines.counters(port.port_id)
        ports.append(
            schema.PortDetail(
                **port_view(port).model_dump(),
                generation=view.generations.get(port.port_id, 0),
                rules=rule_count(view.applied, port.port_id),
                counters=counter_rows(kernel, engine),
            )
        )
    denials = agent.events.latest(
        20,
        workload=workload.name,
        kinds=DENIED,
    )
    unforced = effective_mode(view.policy, replace(workload, forced_mode=None))
    from_policy = unforced.source is ModeSource.POLICY
    return schema.WorkloadDetail.model_validate(
        {
            **_head(view, workload, shared(view.workloads())),
            "attach_mode": workload.attach_mode,
            "forced_mode": workload.forced_mode,
            "policy_mode": unforced.mode if from_policy else None,
            "groups": list(groups_of(view.policy, workload)),
            "ports": ports,
            "sessions": count,
            "applications": vars(applications(sessions)),
            "flow_map": agent.engines.flow_map(port_ids),
            "denials": event_views(denials),
        }
    )
