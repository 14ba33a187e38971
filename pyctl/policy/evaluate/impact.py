"""Which open flows meet another decision under a policy than they had so far.

In: a Policy, the attached workloads, open flows. Out: Impact, alike flows counted as one.
I/O: none.

A flow's decision so far is what its ends said to it; the new one is that of a new connection between the
same ends (judge.py), as segctl policy test tells it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from pyctl.model.apps import UNKNOWN_NAME
from pyctl.model.workload import Workload
from pyctl.policy.document.types import Policy
from pyctl.policy.evaluate.judge import Judge
from pyctl.policy.evaluate.observed import End, Observed


@dataclass(frozen=True)
class VerdictChange:
    """A change of verdict for flows that are alike but for the initiator's port."""

    source: End
    target: End
    service: str
    """`tcp/80`, `icmp`."""
    opens: bool
    """True: allowed from now on, denied so far; False: the reverse."""
    rule_id: int | None
    """The rule that decides; None: no rule matches, or the rules do not decide."""


@dataclass(frozen=True)
class Impact:
    """The effect of a policy on the open flows."""

    looked_at: int = 0
    complete: bool = True
    """False: there are more than were looked at."""
    verdict_changes: Mapping[VerdictChange, int] = field(default_factory=dict)

    def count(self, *, opens: bool) -> int:
        """Return how many flows become allowed (`opens`) or denied under the policy."""
        return sum(
            number
            for turn, number in self.verdict_changes.items()
            if turn.opens is opens
        )


def verdict_changes(
    policy: Policy, workloads: Collection[Workload], flows: Iterable[Observed]
) -> Counter[VerdictChange]:
    """Return the number of flows for each change of verdict; unchanged flows are left out."""
    judge = Judge(policy, workloads)
    found: Counter[VerdictChange] = Counter()
    for flow in flows:
        # The engine does not look into a flow that is under way.
        decision = judge.decision(replace(flow, app=flow.app or UNKNOWN_NAME))
        if decision.verdict is not None and decision.passes is not flow.passed:
            ends = (flow.source, flow.target, flow.service)
            found[
                VerdictChange(*ends, opens=decision.passes, rule_id=decision.rule_id)
            ] += flow.flows
    return found
