"""The flows that are open now, those that are denied among them: what a policy makes of them, their applications.

In: the engine's sessions, the attached workloads. Out: Observed values, Impact, Applications. I/O: the engine's
socket.
Each end of a flow between two attached workloads has a session of its own, and so has each port of one
that forwards it: they are one flow here, which passes where all let it pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pyctl.engine.records import Session
from pyctl.engine.workers import Workers
from pyctl.model.flow import Look, shown_app
from pyctl.model.workload import Workload
from pyctl.policy.document.types import Policy
from pyctl.policy.evaluate.impact import Impact, verdict_changes
from pyctl.policy.evaluate.observed import Observed
from pyctl.state.names import names_of
from pyctl.telemetry.history.convert import record_of
from pyctl.telemetry.history.learning import observed
from pyctl.telemetry.history.values import Flow
from pyctl.telemetry.looked_up import names_of_peers

MAX_SESSIONS = 20000
"""The most sessions looked at for one policy: more would keep its author waiting."""
MOST_OF_A_PORT = 10000
"""The most sessions of a port that are looked at for its applications."""


@dataclass(frozen=True)
class Applications:
    """Live sessions by application, and those that are not in the kernel because of it."""

    sessions: Mapping[str, int]
    """By name, a guess's with a question mark, the most frequent first."""
    pending: int
    decided: int
    requests: int
    sensors: int = 0


def sessions_of(engines: Workers, port_ids: Iterable[int]) -> tuple[int, list[Session]]:
    """Return how many sessions the ports have, and those that are looked at. They are read again only to count those
    of a port that has more.
    """
    count, found = 0, list[Session]()
    for port_id in port_ids:
        listed = engines.sessions(MOST_OF_A_PORT, port_id)
        found += listed
        all_are = len(listed) < MOST_OF_A_PORT
        count += len(listed) if all_are else engines.session_count(port_id)
    return count, found


def applications(sessions: Iterable[Session]) -> Applications:
    """Return the applications of those of the sessions that are live."""
    live = [one for one in sessions if not one.ended]
    names = Counter(shown_app(one.app, guessed=one.app_guessed) for one in live)
    looks = Counter(one.look for one in live)
    return Applications(
        {name: count for name, count in names.most_common() if name},
        looks[Look.PENDING],
        looks[Look.DECIDED],
        looks[Look.REQUESTS],
        looks[Look.SENSORS],
    )


def impact(engines: Workers, policy: Policy, workloads: Collection[Workload]) -> Impact:
    """Return what `policy` would change for the open flows."""
    sessions = engines.sessions(MAX_SESSIONS)
    flows = open_flows(sessions, workloads, names_of_peers(engines, sessions))
    complete = len(sessions) < MAX_SESSIONS
    return Impact(len(flows), complete, verdict_changes(policy, workloads, flows))


def open_flows(
    sessions: Iterable[Session],
    workloads: Collection[Workload],
    looked_up: Mapping[tuple[int, str], tuple[str, ...]] | None = None,
) -> list[Observed]:
    """Return the open flows, each once; without those that ended, have no verdict, or whose port is gone."""
    names = names_of(workloads)
    names.learn(looked_up or {})
    found: dict[tuple[object, ...], Flow] = {}
    for session in sessions:
        if session.ended or session.verdict is None or session.direction is None:
            continue
        record = record_of(session, names)
        if record.workload is not None:
            found.setdefault(record.both_see, Flow([])).ends.append(record)
    return [observed(flow) for flow in found.values()]
