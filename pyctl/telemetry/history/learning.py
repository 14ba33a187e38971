"""What was recorded, as policy looks at it: learned rules, and a new policy tried out on it.

In: the history's flows, the policy in force, the attached workloads. Out: what learn and simulate
say. I/O: the reader's.
"""

from __future__ import annotations

from collections.abc import Collection

from pyctl.errors import NotFoundError
from pyctl.model.flow import Answer
from pyctl.model.policy import Direction
from pyctl.model.protocols import ICMP, WITH_PORTS
from pyctl.model.workload import Workload
from pyctl.policy.document.types import Policy
from pyctl.policy.evaluate.observed import End, Observed, Side
from pyctl.policy.learn.rules import Learned, learn
from pyctl.telemetry.history.aggregation import is_of_any_far_end
from pyctl.telemetry.history.query import MAX_READ, FlowQuery, Reader
from pyctl.telemetry.history.values import Flow

_BEST = (Answer.NONE, Answer.OPEN, Answer.DATA)


def observed(flow: Flow) -> Observed:
    """Return both ends' records as one."""
    first = flow.first
    source, target = flow.names
    app, guessed = flow.app
    return Observed(
        source=End(first.source, source),
        target=End(first.destination, target),
        protocol=first.protocol,
        port=_port(flow),
        sides=tuple(
            Side(
                Direction(end.direction),
                End(end.source, end.source_name),
                End(end.destination, end.destination_name),
            )
            for end in flow.ends
            if end.direction
        ),
        passed=flow.decisive.verdict != "deny",
        answer=_answer(flow),
        flows=first.flows,
        last=flow.last,
        app=None if guessed else app,
        looked_up=flow.looked_up,
    )


def _answer(flow: Flow) -> Answer:
    """Return the best answer that an end saw. NONE where an end knows the application and no payload passed it: that is
    how a connection looks that was denied for its application, after its handshake.
    """
    if any(end.app and end.answer == Answer.OPEN for end in flow.ends):
        return Answer.NONE
    return max((Answer(end.answer) for end in flow.ends), key=_BEST.index)


def _port(flow: Flow) -> int | None:
    first = flow.first
    if first.protocol in WITH_PORTS:
        return first.dport
    if first.protocol in ICMP:
        return None if first.sport is None else first.sport >> 8
    return 0


def recorded(reader: Reader, since: float | None) -> tuple[list[Observed], bool]:
    """Return the newest recorded flows, live ones included, and whether they are all."""
    found = reader.flows(FlowQuery(MAX_READ, since=since))
    # A sum over many addresses is not a flow of any of them.
    flows = [one for one in found.flows if not is_of_any_far_end(one.first)]
    return list(map(observed, flows)), found.complete


def learned(
    policy: Policy,
    workloads: Collection[Workload],
    flows: list[Observed],
    group: str | None,
    prefix: int | None,
    *,
    apps: bool,
) -> Learned:
    """Return rules learned from the flows; raise NotFoundError for an unknown group."""
    found = learn(flows, policy, workloads, prefix=prefix, apps=apps)
    if group is None:
        return found
    known = {*policy.groups, *found.selectors, *found.networks}
    if group not in known:
        raise NotFoundError(
            f"there is no group {group}",
            advice=f"groups here: {', '.join(sorted(known)) or 'none'}",
        )
    return found.only(group)
