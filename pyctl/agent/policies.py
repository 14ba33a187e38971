"""The policy of the node: the stored one at the start, another in its place, the log of all of them.

In: policies, who applied them. Out: what holds, what changed. I/O: the store, the log; engine and drivers.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from pyctl.controller.commit_policy import commit_policy
from pyctl.controller.context import Context
from pyctl.engine.supervisor import Supervisor
from pyctl.errors import SegctlError, UsageError
from pyctl.policy.compile.diff import changed_ports, changes
from pyctl.policy.document.identity import rule_key
from pyctl.policy.document.named_ports import PORT_LABEL, PortNames
from pyctl.policy.document.parse import parse
from pyctl.policy.document.resolve import empty_groups
from pyctl.policy.document.types import Policy
from pyctl.state.requests import PolicyResult
from pyctl.state.revisions import UNTOLD, Revisions
from pyctl.telemetry.events import Event
from pyctl.telemetry.history import hits
from pyctl.telemetry.history.hits import Count
from pyctl.telemetry.open_flows import impact

_NAMES_TOLD = 10


class Policies:
    """Used by the controller's loop, and by the agent's start before it."""

    def __init__(
        self, context: Context, supervisor: Supervisor, revisions: Revisions
    ) -> None:
        self._context = context
        self._supervisor = supervisor
        self._revisions = revisions
        self.applied_at: float | None = None

    def load(self) -> list[str]:
        """Take the stored policy; give warnings. UsageError where there is none that can be read."""
        warnings: list[str] = []
        text, self.applied_at = self._context.store.policy()
        # None is ever stored empty once one was applied.
        lost = self.applied_at is not None and self._revisions.numbers()
        if text or lost:
            self._context.policy = self._readable(text, warnings)
        return warnings

    def note_untold(self) -> None:
        """Have the policy that holds in the log, where an agent was killed before it was."""
        policy = self._context.policy
        if policy.text and not self._revisions.tells(policy.text):
            self.log(policy, "", UNTOLD, None)

    def _readable(self, text: str, warnings: list[str]) -> Policy:
        """The stored policy; where that is none any more, the newest revision that is one. Without
        any the agent does not start: with an empty policy it would open what the former one closed.
        """
        try:
            return parse(text)
        except UsageError as error:
            for number in reversed(self._revisions.numbers()):
                with contextlib.suppress(SegctlError):
                    found = parse(self._revisions.text(number))
                    warnings.append(
                        f"the stored policy cannot be read, revision {number} holds instead: {error}"
                    )
                    return found
            raise

    def apply(
        self, policy: Policy, log: Callable[[], None], *, dry_run: bool
    ) -> PolicyResult:
        """Put it in the place of the one in force, and have `log` log it; say what that changes."""
        context = self._context
        before, loads = context.policy, context.registry.all()
        ports = len(changed_ports(context.compile(), context.compile_with(policy)))
        # Before the switch: the engine judges open flows anew at their next packet.
        seen = impact(self._supervisor, policy, loads)
        if not dry_run:
            # Also what holds already: it may not hold everywhere after a failure.
            commit_policy(context, policy)
            self.count_rules()
            if policy.text != before.text or not self._revisions.tells(policy.text):
                self.applied_at = time.time()
                log()
        return PolicyResult(
            changes=changes(before, policy),
            warnings=[
                *policy.warnings,
                *self._selects_nobody(policy),
                *self._stands_for_nothing(policy),
            ],
            groups=len(policy.groups),
            rules=len(policy.rules),
            ports=ports,
            impact=seen,
            elapsed_ms=0.0,
        )

    def _selects_nobody(self, policy: Policy) -> list[str]:
        """A warning of groups that take no attached workload: misspelt, or early."""
        names = empty_groups(policy, self._context.registry.all())
        return _named("groups that select no attached workload", names)

    def _stands_for_nothing(self, policy: Policy) -> list[str]:
        """A warning of named ports that no workload declares."""
        names = PortNames(policy).undeclared(self._context.registry.all())
        what = f"ports that no attached workload of the rule's target declares (label {PORT_LABEL}NAME=8080)"
        return _named(what, names)

    def count_rules(self) -> None:
        """Count the rules of the policy in force from now on, so that it is known since when none was hit."""
        rules = self._context.policy.rules
        keys = [rule_key(rule) for rule in rules if rule.enabled]
        self._context.history.record(counts=map(Count, [hits.DEFAULT, *keys]))

    def log(self, policy: Policy, author: str, comment: str, uid: int | None) -> None:
        """Write it into the log; a disk that refuses takes nothing back."""
        try:
            self._revisions.add(
                policy.text,
                time=time.time(),
                author=author,
                comment=comment,
                rules=len(policy.rules),
                groups=len(policy.groups),
                uid=uid,
            )
        except SegctlError as error:
            told = f"the policy holds, but is not in its log: {error}"
            self._context.happened(Event("policy", told))


def _named(what: str, names: list[str]) -> list[str]:
    """A warning of these, if there are any."""
    if not names:
        return []
    shown = names[:_NAMES_TOLD]
    if more := len(names) - len(shown):
        shown.append(f"and {more} more")
    return [f"{what}: {', '.join(shown)}"]
