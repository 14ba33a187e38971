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
    """The agent's state at one moment, for readers."""

    policy: Policy = EMPTY
    policy_applied_at: float | None = None
    by_id: Mapping[str, Workload] = field(default_factory=dict)
    uninspected: Mapping[str, tuple[Uninspected, ...]] = field(default_factory=dict)
    """By workload id: its interfaces that lead out and are not inspected."""
    applied: Compiled = field(default_factory=Compiled)
    """Rules and members as the engine has them."""
    generations: Mapping[int, int] = field(default_factory=dict)
    """By port id: the generation of the policy in force."""

    def is_same(self, other: View) -> bool:
        """Return whether both hold the same objects, each of which is replaced on change and never altered."""
        return all(getattr(self, of) is getattr(other, of) for of in vars(self))

    def workloads(self) -> list[Workload]:
        """Return the workloads sorted by name, then id."""
        return in_order(self.by_id)

    def find(self, ref: str) -> Workload:
        """Return the workload with this id, name, pid or id prefix. NotFoundError; UsageError: ambiguous."""
        return find_workload(self.by_id, ref)

    def mode_of(self, workload: Workload) -> EffectiveMode:
        """Return the workload's effective mode and where it comes from."""
        return effective_mode(self.policy, workload)
