"""Routes of flows and events, and these as the API shows them.

In: an Agent. Out: schema models. I/O: the agent's.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from pyctl.agent.agent import Agent
from pyctl.api.schema import history as schema_history
from pyctl.api.v1.views import event_views
from pyctl.model.records import EventKind, Verdict
from pyctl.telemetry.history.query import FlowQuery
from pyctl.telemetry.history.values import Flow, FlowRecord

Limit = Annotated[int, Query(ge=1, le=100000)]


def judgement(end: FlowRecord) -> schema_history.Judgement:
    """Return the API's view of one end's judgement."""
    return schema_history.Judgement.model_validate(
        {
            "workload": end.workload,
            "direction": end.direction,
            "verdict": end.verdict,
            "rule_id": end.rule_id,
            "reason": end.reason,
            "packets": end.packets + end.back_packets,
            "bytes": end.bytes + end.back_bytes,
        }
    )


def flow_view(flow: Flow) -> schema_history.Flow:
    """Return the API's view of a flow: the first end's counts, the decisive end's verdict."""
    first, decisive = flow.first, flow.decisive
    source_name, destination_name = flow.names
    app, guessed = flow.app
    return schema_history.Flow.model_validate(
        {
            "started": min(end.started for end in flow.ends),
            "last": flow.last,
            "live": flow.live,
            "direction": first.direction if len(flow.ends) == 1 else "both",
            "protocol": first.protocol,
            "source": first.source,
            "source_name": source_name,
            "source_port": first.sport,
            "destination": first.destination,
            "destination_name": destination_name,
            "looked_up": list(flow.looked_up),
            "destination_port": first.dport,
            "packets": first.packets,
            "bytes": first.bytes,
            "packets_back": first.back_packets,
            "bytes_back": first.back_bytes,
            "kernel_packets": first.kernel_packets,
            "kernel_bytes": first.kernel_bytes,
            "app": app,
            "app_guessed": guessed,
            "shown": flow.shown,
            "look": flow.look,
            "verdict": decisive.verdict,
            "rule_id": decisive.rule_id,
            "reason": decisive.reason,
            "flows": first.flows,
            "judged": [judgement(end) for end in flow.ends],
        }
    )


def router(agent: Agent) -> APIRouter:
    """Return the routes of GET /flows and /events."""
    made = APIRouter(tags=["history"])

    @made.get("/flows")
    def flows(
        limit: Limit = 100,
        workload: str | None = None,
        verdict: Verdict | None = None,
        since: float | None = None,
        after: int | None = None,
        app: schema_history.App | None = None,
    ) -> schema_history.FlowList:
        """Return the newest flows: live ones, and those that ended or were denied."""
        name = agent.known_workload(workload)
        asked = FlowQuery(limit, name, since, after, app)
        found = agent.reader.flows(asked, verdict)
        return schema_history.FlowList(
            flows=[flow_view(flow) for flow in found.flows],
            position=found.position,
            recording=agent.recording().recording,
            complete=found.complete,
        )

    @made.get("/events")
    def events(
        limit: Limit = 100,
        workload: str | None = None,
        kind: Annotated[tuple[EventKind, ...], Query()] = (),
        since: float | None = None,
        after: int | None = None,
    ) -> schema_history.EventPage:
        """Return the newest events."""
        name = agent.known_workload(workload)
        found = agent.reader.events(FlowQuery(limit, name, since, after), kind)
        return schema_history.EventPage(
            events=event_views(found.events),
            position=found.position,
            lost=agent.recording().lost,
        )

    return made
