"""What readers see: the last state that holds, as one frozen value.

In: what the loop's thread has done. Out: View. I/O: none. A view is made when a piece of work is done, so that no
reader waits for one, sees half of it, or a policy that was only tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyctl.intercept.uninspected import Uninspected
from pyctl.model.workload import Workload
from pyctl.policy.compile.compiler import Compiled
from pyctl.policy.document.resolve import EffectiveMode, effective_mode
from pyctl.policy.document.types import EMPTY, Policy
from pyctl.state.registry import find_workload, in_order


@dataclass(frozen=True)
class View:
    """Of one moment."""

    policy: Policy = EMPTY
    policy_applied_at: float | None = None
    by_id: Mapping[str, Workload] = field(default_factory=dict)
    uninspected: Mapping[str, tuple[Uninspected, ...]] = field(default_factory=dict)
    """By workload id: what it has beside its ports that leads out."""
    applied: Compiled = field(default_factory=Compiled)
    """Rules and members as the engine has them."""
    generations: Mapping[int, int] = field(default_factory=dict)
    """By port id: of the policy in force."""

    def workloads(self) -> list[Workload]:
        """Sorted by name, then id."""
        return in_order(self.by_id)

    def find(self, ref: str) -> Workload:
        """By id, name, pid, or a unique head of the id. NotFoundError; UsageError: ambiguous."""
        return find_workload(self.by_id, ref)

    def mode_of(self, workload: Workload) -> EffectiveMode:
        """The effective mode and where it comes from."""
        return effective_mode(self.policy, workload)
