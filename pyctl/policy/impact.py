"""Which open flows meet another fate under a policy than they had so far.

In: a Policy, the attached workloads, open flows. Out: Turn values, alike ones counted as one.
I/O: none.

A flow's fate so far is what its ends said to it; the new one is that of a new connection between the
same ends, as segctl policy test tells it: each attached end asked for its rules and its mode.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pyctl.model.policy import Direction
from pyctl.model.truth import Judgement, connection, judged
from pyctl.model.workload import Mode, Workload
from pyctl.policy.document import Policy, Rule
from pyctl.policy.explain import says
from pyctl.policy.observed import End, Observed
from pyctl.policy.replay import Replay
from pyctl.policy.resolve import effective_mode


@dataclass(frozen=True)
class Turn:
    """What becomes of flows that are alike but for the opener's port."""

    source: End
    target: End
    service: str
    """`tcp/80`, `icmp`."""
    opens: bool
    """From now on; so far it was the other way."""
    rule_id: int | None
    """Of the rule that decides; None: no rule matches, or it is not the rules that decide."""


def turns(
    policy: Policy, workloads: Collection[Workload], flows: Iterable[Observed]
) -> Counter[Turn]:
    """How many flows take each turn; none of those that go on as they did."""
    judge = _Judge(policy, workloads)
    found: Counter[Turn] = Counter()
    for flow in flows:
        opens, rule = judge.fate(flow)
        if opens != flow.passed:
            number = rule.id if rule else None
            turn = Turn(flow.source, flow.target, flow.service, opens, number)
            found[turn] += flow.flows
    return found


class _Judge:
    """One policy, asked for many flows."""

    def __init__(self, policy: Policy, workloads: Collection[Workload]) -> None:
        self._replay = Replay(policy, workloads)
        self._modes = {one.name: effective_mode(policy, one).mode for one in workloads}

    def fate(self, flow: Observed) -> tuple[bool, Rule | None]:
        """Whether it opens, and the rule that says so at the end that decides."""
        egress, at_source = self._asked(flow, flow.source, Direction.EGRESS)
        ingress, at_target = self._asked(flow, flow.target, Direction.INGRESS)
        if connection(egress, ingress).opens:
            return True, at_source or at_target
        if egress is not None and not egress.passes:
            return False, at_source
        return False, at_target

    def _asked(
        self, flow: Observed, end: End, side: Direction
    ) -> tuple[Judgement | None, Rule | None]:
        """None where nobody judges at this end."""
        mode = None if end.name is None else self._modes.get(end.name)
        if mode is None:
            return None, None
        # Who is attached is known in full, so that one rule decides.
        rule = self._replay.deciding(flow, side)[0]
        judgement = judged(mode, says(rule))
        return judgement, None if mode is Mode.QUARANTINE else rule
