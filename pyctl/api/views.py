"""The agent's values as the API shows them.

In: Workload, Counter, Happening and friends. Out: schema models. I/O: none, but for the counters
that the caller hands in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pyctl import abi
from pyctl.agent.agent import Agent
from pyctl.agent.events import Happening
from pyctl.api import schema
from pyctl.model.workload import Counter, ModeSource, Port, Workload
from pyctl.policy.concern import rule_count
from pyctl.policy.resolve import effective_mode, groups_of


def port_view(port: Port) -> schema.PortView:
    """A port in the list."""
    return schema.PortView(
        **{key: value for key, value in vars(port).items() if key != "addresses"},
        ucmac=port.ucmac,
        addresses=list(port.addresses),
    )


def _head(agent: Agent, workload: Workload) -> dict[str, object]:
    effective = effective_mode(agent.context.policy, workload)
    return {
        "id": workload.id,
        "name": workload.name,
        "pid": workload.process.pid,
        "runtime": workload.runtime,
        "image": workload.image,
        "labels": workload.labels,
        "datapath": workload.datapath,
        "mode": effective.mode,
        "mode_source": effective.source,
        "fail": workload.fail,
        "other_traffic": workload.other_traffic,
        "any_source": workload.any_source,
        "offload": workload.offload,
    }


def workload_view(agent: Agent, workload: Workload) -> schema.WorkloadView:
    """A workload in the list."""
    ports = [port_view(port) for port in workload.ports]
    return schema.WorkloadView.model_validate(
        {**_head(agent, workload), "ports": ports}
    )


def counter_rows(
    kernel: Mapping[str, Counter], engine: Mapping[str, Counter]
) -> list[schema.CounterRow]:
    """Both sides' counts in the order of the ABI; what both count (steering) is the kernel's."""
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


def event_view(happening: Happening) -> schema.Event:
    """One event."""
    return schema.Event.model_validate(vars(happening))


def event_views(happenings: Iterable[Happening]) -> list[schema.Event]:
    """Many events, in their order."""
    return [event_view(happening) for happening in happenings]


def workload_detail(agent: Agent, workload: Workload) -> schema.WorkloadDetail:
    """All that is known of one workload."""
    context = agent.context
    ports = []
    sessions = 0
    for port in workload.ports:
        _policy, generation = context.steering.policy_of(port.port_id)
        kernel = context.steering.drivers.of(workload.datapath).counters(port.port_id)
        engine = agent.supervisor.counters(port.port_id)
        sessions += agent.supervisor.session_count(port.port_id)
        ports.append(
            schema.PortDetail(
                **port_view(port).model_dump(),
                generation=generation,
                rules=rule_count(context.steering.world, port.port_id),
                counters=counter_rows(kernel, engine),
            )
        )
    denials = context.events.latest(
        20,
        workload=workload.name,
        kinds=("denial", "violation", "staged", "kernel-drop"),
    )
    unforced = effective_mode(context.policy, replace(workload, forced_mode=None))
    from_policy = unforced.source is ModeSource.POLICY
    return schema.WorkloadDetail.model_validate(
        {
            **_head(agent, workload),
            "attach_mode": workload.attach_mode,
            "forced_mode": workload.forced_mode,
            "policy_mode": unforced.mode if from_policy else None,
            "groups": list(groups_of(context.policy, workload)),
            "ports": ports,
            "sessions": sessions,
            "flow_map": agent.supervisor.flow_map(
                port.port_id for port in workload.ports
            ),
            "denials": event_views(denials),
        }
    )
