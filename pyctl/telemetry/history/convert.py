"""Engine events and sessions as flow records, with the names of both ends.

In: what the engine tells, and the attached workloads of that moment. Out: FlowRecord values.
I/O: the clocks. Names are taken when the flow is recorded: an address that two containers had one
after the other keeps each one's flows apart.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from pyctl.engine.records import EngineEvent, Session
from pyctl.model.policy import Action
from pyctl.model.protocols import protocol_name
from pyctl.state.names import Names
from pyctl.telemetry.history.values import FlowRecord


def wall_clock(monotonic_ns: int) -> float:
    """Seconds since the epoch of a moment on CLOCK_MONOTONIC."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return time.time() - (now - monotonic_ns) / 1e9


def of_event(event: EngineEvent, names: Names) -> FlowRecord | None:
    """A flow that ended, or packets that were denied; None for what is no flow's."""
    if event.kind not in ("flow_end", "drop") or not event.source:
        return None
    direction = str(event.direction) if event.direction else None
    last = wall_clock(event.time_ns)
    ended = event.kind == "flow_end"
    passed = "violation" if event.violation else "allow"
    source_name, destination_name = names.ends(
        event.port_id, direction, event.source, event.destination
    )
    return FlowRecord(
        started=wall_clock(event.started_ns) if ended else last,
        last=last,
        workload=names.of_port(event.port_id),
        port_id=event.port_id,
        direction=direction,
        protocol=protocol_name(event.proto),
        source=event.source,
        sport=event.sport,
        destination=event.destination,
        dport=event.dport,
        source_name=source_name,
        destination_name=destination_name,
        packets=event.packets - event.back_packets,
        bytes=event.bytes - event.back_bytes,
        back_packets=event.back_packets,
        back_bytes=event.back_bytes,
        kernel_packets=event.kernel_packets,
        kernel_bytes=event.kernel_bytes,
        verdict=passed if ended else "deny",
        rule_id=event.rule_id or None,
        reason=None if event.reason == "none" else event.reason,
        answer=event.answer,
    )


def live(sessions: Iterable[Session], names: Names) -> list[FlowRecord]:
    """The flows that go on. Not those that are over or denied: they have been told as events."""
    return [
        _of_session(session, names)
        for session in sessions
        if not session.ended and session.verdict is not Action.DENY
    ]


def _of_session(session: Session, names: Names) -> FlowRecord:
    direction = str(session.direction) if session.direction else None
    source_name, destination_name = names.ends(
        session.port_id, direction, session.source, session.destination
    )
    return FlowRecord(
        started=wall_clock(session.created_ns),
        last=wall_clock(session.last_seen_ns),
        workload=names.of_port(session.port_id),
        port_id=session.port_id,
        direction=direction,
        protocol=protocol_name(session.proto),
        source=session.source,
        sport=session.sport,
        destination=session.destination,
        dport=session.dport,
        source_name=source_name,
        destination_name=destination_name,
        packets=session.packets[0],
        bytes=session.bytes[0],
        back_packets=session.packets[1],
        back_bytes=session.bytes[1],
        kernel_packets=session.kernel_packets,
        kernel_bytes=session.kernel_bytes,
        verdict="violation" if session.violation else "allow",
        rule_id=session.rule_id or None,
        reason=None if session.reason == "none" else session.reason,
        answer=session.answer,
    )
