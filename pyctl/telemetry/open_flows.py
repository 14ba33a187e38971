"""The flows that are open now, those that are denied among them, and what a policy makes of them.

In: the engine's sessions, the attached workloads. Out: Observed values, Impact. I/O: the engine's
socket.
Each end of a flow between two attached workloads has a session of its own, and so has each port of one
that forwards it: they are one flow here, which passes where all let it pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from pyctl.engine.records import Session
from pyctl.engine.supervisor import Supervisor
from pyctl.model.flow import Answer
from pyctl.model.policy import Action
from pyctl.model.protocols import ICMP, WITH_PORTS, protocol_name
from pyctl.model.workload import Workload
from pyctl.policy.document.types import Policy
from pyctl.policy.evaluate.impact import Impact, turns
from pyctl.policy.evaluate.observed import End, Observed, Side
from pyctl.state.names import Names, names_of

MAX_SESSIONS = 20000
"""Looked at for one policy: more would keep its author waiting."""


def impact(
    supervisor: Supervisor, policy: Policy, workloads: Collection[Workload]
) -> Impact:
    """What `policy` would make of the flows that are open now."""
    sessions = supervisor.sessions(MAX_SESSIONS)
    flows = open_flows(sessions, workloads)
    complete = len(sessions) < MAX_SESSIONS
    return Impact(len(flows), complete, turns(policy, workloads, flows))


def open_flows(
    sessions: Iterable[Session], workloads: Collection[Workload]
) -> list[Observed]:
    """One for each; not those that are over, that nobody has judged, or that are of a port that is no more."""
    names = names_of(workloads)
    found: dict[tuple[object, ...], Observed] = {}
    for session in sessions:
        if session.ended or session.verdict is None or session.direction is None:
            continue
        if names.of_port(session.port_id) is None:
            continue
        ends = (session.source, session.sport, session.destination, session.dport)
        key = (session.proto, *ends)
        flow = _observed(session, names)
        other = found.get(key)
        found[key] = flow if other is None else _both(other, flow)
    return list(found.values())


def _observed(session: Session, names: Names) -> Observed:
    direction = session.direction
    source, target = names.ends(
        session.port_id, direction, session.source, session.destination
    )
    ends = End(session.source, source), End(session.destination, target)
    protocol = protocol_name(session.proto)
    port = session.dport if protocol in WITH_PORTS else 0
    return Observed(
        source=ends[0],
        target=ends[1],
        protocol=protocol,
        port=session.sport >> 8 if protocol in ICMP else port,
        sides=() if direction is None else (Side(direction, *ends),),
        passed=session.verdict is not Action.DENY,
        answer=Answer.NONE,
        flows=1,
        last=0.0,
    )


def _both(one: Observed, other: Observed) -> Observed:
    """The other end's word on the same flow. Where an address is not known by name, a port is."""
    return replace(
        one,
        source=End(one.source.address, one.source.name or other.source.name),
        target=End(one.target.address, one.target.name or other.target.name),
        sides=(*one.sides, *other.sides),
        passed=one.passed and other.passed,
    )
