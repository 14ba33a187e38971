"""What a new policy would have made of recorded flows, against what the one in force makes of them.

In: observed flows, both policies, the attached workloads. Out: Simulation. I/O: none.

Both policies are asked about workloads, groups and modes as they are now: what was recorded under an
earlier policy is compared with today's, not with its own verdict of then. What cannot be known is
uncertain, never guessed: it is said why. Each end judges for itself, by its own mode; a flow passes
where all ends let it pass, as model/truth.py has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from pyctl.model.policy import Direction
from pyctl.model.truth import Says, judged
from pyctl.model.workload import Mode, Workload
from pyctl.policy.document import Policy, Rule
from pyctl.policy.explain import says
from pyctl.policy.observed import Observed
from pyctl.policy.replay import Replay
from pyctl.policy.resolve import effective_mode


class Change(StrEnum):
    """What the new policy does to a flow."""

    DENIED = "denied"
    ALLOWED = "allowed"
    UNCERTAIN = "uncertain"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Fate:
    """What one policy makes of a flow."""

    verdict: str | None
    """`allow`, `deny`, `violation` (it passes, but the mode records it); None: not known."""
    rule_id: int | None = None
    """Of the end that decides it. None: no rule matches there."""
    why: str = ""
    """It is not known."""

    @property
    def passes(self) -> bool:
        """Of a known one."""
        return self.verdict != "deny"


@dataclass(frozen=True)
class Case:
    """Flows that are alike, and what becomes of them."""

    change: Change
    source: str
    """A workload's name, or an address."""
    target: str
    service: str
    before: Fate
    after: Fate


@dataclass
class Simulation:
    """All that was replayed."""

    flows: Counter[Change] = field(default_factory=Counter)
    monitored: int = 0
    """Flows that pass by the new policy only because a mode records instead of denying."""
    cases: Counter[Case] = field(default_factory=Counter)
    """With their flows."""
    last: dict[Case, float] = field(default_factory=dict)
    """When it was seen, seconds since the epoch."""

    def examples(self, most: int) -> Iterator[tuple[Case, int]]:
        """Of each change the cases with the most flows; of what stays as it is, none."""
        for change in Change:
            if change is not Change.UNCHANGED:
                found = [
                    one for one in self.cases.most_common() if one[0].change is change
                ]
                yield from found[:most]


def simulate(
    flows: Iterable[Observed],
    before: Policy,
    after: Policy,
    workloads: Collection[Workload],
    *,
    mode: Mode | None = None,
) -> Simulation:
    """`mode`: as if every workload were in it with the new policy; None: as that says."""
    old, new = Judge(before, workloads), Judge(after, workloads, mode)
    found = Simulation()
    cases: dict[object, Case] = {}
    for flow in flows:
        key = (flow.source, flow.target, flow.protocol, flow.port, flow.sides)
        case = cases.get(key)
        if case is None:
            was, now = old.fate(flow), new.fate(flow)
            ends = (flow.source.shown, flow.target.shown, flow.service)
            case = Case(_change(was, now), *ends, was, now)
            cases[key] = case
        found.flows[case.change] += flow.flows
        found.cases[case] += flow.flows
        found.last[case] = max(found.last.get(case, 0.0), flow.last)
        if case.after.verdict == "violation":
            found.monitored += flow.flows
    return found


def _change(was: Fate, now: Fate) -> Change:
    if was.verdict is None or now.verdict is None:
        return Change.UNCERTAIN
    if was.passes is now.passes:
        return Change.UNCHANGED
    return Change.ALLOWED if now.passes else Change.DENIED


class Judge:
    """One policy, with the modes of the attached workloads under it."""

    def __init__(
        self, policy: Policy, workloads: Collection[Workload], mode: Mode | None = None
    ) -> None:
        self._replay = Replay(policy, workloads)
        self._forced = mode
        self._modes = {one.name: effective_mode(policy, one).mode for one in workloads}

    def fate(self, flow: Observed) -> Fate:
        """Of both ends' judgements the first that denies, or is not known, or records."""
        if flow.port is None:
            return Fate(None, why="it was recorded as a count, without its port")
        if not flow.sides:
            return Fate(None, why="it is not known which way it was opened")
        fates = [self._at(flow, side) for side in flow.sides]
        order = ("deny", None, "violation", "allow")
        return min(fates, key=lambda fate: order.index(fate.verdict))

    def _at(self, flow: Observed, side: Direction) -> Fate:
        end = flow.source if side is Direction.EGRESS else flow.target
        mode = self._forced or self._modes.get(end.name or "")
        rules = self._replay.deciding(flow, side)
        if mode is None:
            # Whatever its mode, one that a rule allows passes.
            if all(says(rule) is Says.ALLOW for rule in rules):
                return _fate(Mode.PROTECT, rules[0])
            return Fate(None, why=f"{end.shown} is not attached any more")
        fates = {_fate(mode, rule) for rule in rules}
        if len({fate.verdict for fate in fates}) == 1:
            return _fate(mode, rules[0])
        return Fate(None, why=self._unknown(flow))

    def _unknown(self, flow: Observed) -> str:
        """Why several rules may decide."""
        for end in (flow.source, flow.target):
            if self._replay.groups(end).maybe:
                if end.name in self._modes:
                    return f"{end.shown} has another address by now"
                return f"{end.shown} has gone, and its labels are not known"
        return ""


@lru_cache(maxsize=1 << 16)
def _fate(mode: Mode, rule: Rule | None) -> Fate:
    verdict = judged(mode, says(rule))
    told = verdict.verdict if verdict.passes else "deny"
    return Fate(told, rule.id if rule else None)
