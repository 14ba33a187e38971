"""What the engine tells of a flow as a record, with the names of both ends.

In: the engine's flows, and the attached workloads of that moment. Out: FlowRecord values.
I/O: the clocks. Names are taken when the flow is recorded: an address that two containers had one
after the other keeps each one's flows apart.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from pyctl.engine.records import EngineEvent, EngineFlow, Session
from pyctl.model.policy import Action
from pyctl.model.protocols import WITH_PORTS, protocol_name
from pyctl.model.records import Verdict
from pyctl.state.names import Names
from pyctl.telemetry.history.values import FlowRecord, LiveRecord


def wall_clock(monotonic_ns: int) -> float:
    """Return a moment on CLOCK_MONOTONIC as seconds since the epoch."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return time.time() - (now - monotonic_ns) / 1e9


def record_of(flow: EngineFlow, names: Names) -> FlowRecord:
    """Return the record of the flow at its port."""
    direction = str(flow.direction) if flow.direction else None
    passed: Verdict = "violation" if flow.violation else "allow"
    source_name, destination_name = names.ends(
        flow.port_id, direction, flow.source, flow.destination
    )
    clock_zero = wall_clock(0)
    protocol = protocol_name(flow.proto)
    denied = flow.verdict is Action.DENY
    # In a sum, ports that differ are 0.
    is_sum = denied or flow.flows > 1
    many = is_sum and protocol in WITH_PORTS and not flow.sport
    return FlowRecord(
        started=clock_zero + flow.created_ns / 1e9,
        last=clock_zero + flow.last_seen_ns / 1e9,
        workload=names.of_port(flow.port_id),
        port_id=flow.port_id,
        direction=direction,
        protocol=protocol,
        source=flow.source,
        sport=None if many else flow.sport,
        destination=flow.destination,
        dport=None if denied and not flow.dport else flow.dport,
        source_name=source_name,
        destination_name=destination_name,
        packets=flow.packets[0],
        bytes=flow.bytes[0],
        back_packets=flow.packets[1],
        back_bytes=flow.bytes[1],
        kernel_packets=flow.kernel_packets,
        kernel_bytes=flow.kernel_bytes,
        verdict="deny" if denied else passed,
        rule_id=flow.rule_id or None,
        reason=None if flow.reason == "none" else flow.reason,
        flows=flow.flows,
        answer=flow.answer,
        app=flow.app,
        app_guessed=flow.app_guessed,
        shown=flow.shown,
        looked_up=" ".join(names.looked_up(flow.port_id, direction, flow.destination)),
    )


def of_event(event: EngineEvent, names: Names) -> FlowRecord | None:
    """Return the record of a flow that ended or of denied packets; None for an event without a flow."""
    if event.kind not in ("flow_end", "drop") or not event.source:
        return None
    return record_of(event, names)


def live(sessions: Iterable[Session], names: Names) -> list[LiveRecord]:
    """Return the live flows. Flows that ended or were denied are left out: events have reported them."""
    return [
        LiveRecord(**vars(record_of(session, names)), look=session.look)
        for session in sessions
        if not session.ended and session.verdict is not Action.DENY
    ]
