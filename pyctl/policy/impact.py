"""Which open flows meet another fate under a policy than they had so far.

In: a Policy, the attached workloads, open flows. Out: Turn values, alike ones counted as one.
I/O: none.

A flow's fate so far is what its ends said to it; the new one is that of a new connection between the
same ends (judge.py), as segctl policy test tells it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pyctl.model.workload import Workload
from pyctl.policy.document import Policy
from pyctl.policy.judge import Judge
from pyctl.policy.observed import End, Observed


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
    judge = Judge(policy, workloads)
    found: Counter[Turn] = Counter()
    for flow in flows:
        fate = judge.fate(flow)
        if fate.verdict is not None and fate.passes is not flow.passed:
            ends = (flow.source, flow.target, flow.service)
            found[Turn(*ends, opens=fate.passes, rule_id=fate.rule_id)] += flow.flows
    return found
