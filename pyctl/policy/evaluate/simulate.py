"""What a new policy would have made of recorded flows, against what the one in force makes of them.

In: observed flows, both policies, the attached workloads. Out: Simulation. I/O: none.

Both policies are asked about workloads, groups and modes as they are now (judge.py): what was recorded
under an earlier policy is compared with today's, not with its own verdict of then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from pyctl.model.workload import Mode, Workload
from pyctl.policy.document.types import Policy
from pyctl.policy.evaluate.judge import Decision, Judge
from pyctl.policy.evaluate.observed import Observed


class Change(StrEnum):
    """What the new policy changes for a flow."""

    DENIED = "denied"
    ALLOWED = "allowed"
    UNCERTAIN = "uncertain"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Case:
    """Flows that are alike, and what becomes of them."""

    change: Change
    source: str
    """A workload's name, or an address."""
    target: str
    service: str
    before: Decision
    after: Decision


@dataclass
class Simulation:
    """The result of replaying recorded flows under a new policy."""

    flows: Counter[Change] = field(default_factory=Counter)
    monitored: int = 0
    """Flows that pass under the new policy only because a mode records instead of denying."""
    staged: int = 0
    """Flows that pass under the new policy and that a staged rule of it would deny."""
    cases: Counter[Case] = field(default_factory=Counter)
    """The cases, each with its number of flows."""
    last: dict[Case, float] = field(default_factory=dict)
    """When each case was last seen, seconds since the epoch."""

    def examples(self, most: int) -> Iterator[tuple[Case, int]]:
        """Yield, for each change, the cases with the most flows; none for unchanged flows."""
        for change in Change:
            if change is not Change.UNCHANGED:
                found = [
                    one for one in self.cases.most_common() if one[0].change is change
                ]
                yield from found[:most]

    def staged_examples(self, most: int) -> list[tuple[Case, int]]:
        """Return the most frequent cases that a staged rule would deny; `examples` may give them too."""
        cases = self.cases.most_common()
        return [one for one in cases if one[0].after.staged_id is not None][:most]


def simulate(
    flows: Iterable[Observed],
    before: Policy,
    after: Policy,
    workloads: Collection[Workload],
    *,
    mode: Mode | None = None,
) -> Simulation:
    """Replay flows under both policies. `mode`: `after` with all workloads in it; None: as `after` says."""
    old, new = Judge(before, workloads), Judge(after, workloads, mode)
    found = Simulation()
    cases: dict[object, Case] = {}
    for flow in flows:
        ends = (flow.source, flow.target, flow.sides, flow.looked_up)
        key = (*ends, flow.protocol, flow.port, flow.app)
        case = cases.get(key)
        if case is None:
            was, now = old.decision(flow), new.decision(flow)
            shown = (flow.source.shown, flow.target.shown, flow.service)
            case = Case(_change(was, now), *shown, was, now)
            cases[key] = case
        found.flows[case.change] += flow.flows
        found.cases[case] += flow.flows
        found.last[case] = max(found.last.get(case, 0.0), flow.last)
        if case.after.verdict == "violation":
            found.monitored += flow.flows
        if case.after.staged_id is not None:
            found.staged += flow.flows
    return found


def _change(was: Decision, now: Decision) -> Change:
    if was.verdict is None or now.verdict is None:
        return Change.UNCERTAIN
    if was.passes is now.passes:
        return Change.UNCHANGED
    return Change.ALLOWED if now.passes else Change.DENIED
