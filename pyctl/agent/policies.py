"""The policy of the node: loads the stored one, replaces it, and keeps the log of all revisions.

In: policies, who applied them. Out: the policy in force, what changed. I/O: the store, the log; engine and
drivers.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from pyctl.controller.commit_policy import commit_policy
from pyctl.controller.context import Context
from pyctl.errors import SegctlError, UsageError
from pyctl.platform.patterns.vectorscan import compile_sensors
from pyctl.policy.compile.diff import changed_ports, changes
from pyctl.policy.document.identity import rule_key
from pyctl.policy.document.named_ports import PORT_LABEL, PortNames
from pyctl.policy.document.parse import parse
from pyctl.policy.document.resolve import empty_groups
from pyctl.policy.document.types import Policy
from pyctl.policy.evaluate.impact import Impact
from pyctl.state.requests import PolicyResult
from pyctl.state.revisions import UNTOLD, Revisions
from pyctl.telemetry.events import Event
from pyctl.telemetry.history import hits
from pyctl.telemetry.history.hits import Count

_NAMES_TOLD = 10


class Policies:
    """The policy in force and its revisions, used by the controller's loop and before it by the start."""

    def __init__(self, context: Context, revisions: Revisions) -> None:
        self._context = context
        self._revisions = revisions
        self.applied_at: float | None = None

    def load(self) -> list[str]:
        """Load the stored policy; return warnings. Raise UsageError where no policy can be read."""
        warnings: list[str] = []
        text, self.applied_at = self._context.store.policy()
        # An empty policy is never stored after one was applied.
        lost = self.applied_at is not None and self._revisions.numbers()
        if text or lost:
            self._context.policy = self._readable(text, warnings)
        return warnings

    def note_untold(self) -> None:
        """Log the policy that holds, if an agent was killed before it did."""
        policy = self._context.policy
        if policy.text and not self._revisions.tells(policy.text):
            self.log(policy, "", UNTOLD, None)

    def _readable(self, text: str, warnings: list[str]) -> Policy:
        """Return the stored policy; if it does not parse, the newest revision that does. With neither the
        agent does not start: an empty policy would open what the former one closed.
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
        self, policy: Policy, seen: Impact, log: Callable[[], None], *, dry_run: bool
    ) -> PolicyResult:
        """Replace the policy in force, and call `log` to log it; return what that changes, with its impact
        `seen` before.
        """
        context = self._context
        before = context.policy
        compiled = context.compile_with(policy)
        # Refused here, and not when the engines are told; they are told the very result.
        compile_sensors(compiled.node.sensors)
        ports = len(changed_ports(context.compile(), compiled))
        if not dry_run:
            # Commit an unchanged policy, too: after a failure it may not hold everywhere.
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
        """Return a warning of groups that select no attached workload: misspelt, or early."""
        names = empty_groups(policy, self._context.registry.all())
        return _named("groups that select no attached workload", names)

    def _stands_for_nothing(self, policy: Policy) -> list[str]:
        """Return a warning of named ports that no workload declares."""
        names = PortNames(policy).undeclared(self._context.registry.all())
        what = f"ports that no attached workload of the rule's target declares (label {PORT_LABEL}NAME=8080)"
        return _named(what, names)

    def count_rules(self) -> None:
        """Start the hit counts of the policy's rules, so that a rule without hits shows since when it is
        counted.
        """
        rules = self._context.policy.rules
        keys = [rule_key(rule) for rule in rules if rule.enabled]
        self._context.history.record(counts=map(Count, [hits.DEFAULT, *keys]))

    def log(self, policy: Policy, author: str, comment: str, uid: int | None) -> None:
        """Add the policy to the log of revisions; a disk that refuses does not undo the change."""
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
    """Return a warning with these names, if there are any."""
    if not names:
        return []
    shown = names[:_NAMES_TOLD]
    if more := len(names) - len(shown):
        shown.append(f"and {more} more")
    return [f"{what}: {', '.join(shown)}"]
