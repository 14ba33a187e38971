"""What one policy makes of flows that were seen: each end judges by its own rules and mode.

In: a Policy, the attached workloads, observed flows. Out: Decision values. I/O: none.

It is asked what became of the same connection today. Every end that judged it then judges it again,
and so does one that is attached now and never saw it, as what the initiator's end denies never comes to
the other. What cannot be known is not guessed: it is said why. The flow passes where all ends let it
pass, as model/truth.py has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from pyctl.model.policy import Direction
from pyctl.model.records import Verdict
from pyctl.model.truth import RuleResult, judged, staged
from pyctl.model.workload import Mode, Service, Workload
from pyctl.policy.document.casts import asks_dhcp, to_dhcp_server
from pyctl.policy.document.resolve import effective_mode
from pyctl.policy.document.types import Policy, Rule
from pyctl.policy.evaluate.explain import says
from pyctl.policy.evaluate.observed import Observed, Side
from pyctl.policy.evaluate.replay import Replay

_ORDER: tuple[Verdict | None, ...] = ("deny", None, "violation", "allow")


@dataclass(frozen=True)
class Decision:
    """What a policy makes of a flow."""

    verdict: Verdict | None
    """None: not known."""
    rule_id: int | None = None
    """The rule of the deciding end. None: no rule matches there, or the rules do not decide."""
    why: str = ""
    """Why the verdict is not known; empty where it is."""
    staged_id: int | None = None
    """The staged rule that would deny what passes. As in the engine it is given in every mode: in one that
    only records it would be a violation."""

    @property
    def passes(self) -> bool:
        """Return whether the flow passes; meaningful only for a known verdict."""
        return self.verdict != "deny"


class Judge:
    """One policy, with the modes of the attached workloads under it."""

    def __init__(
        self, policy: Policy, workloads: Collection[Workload], mode: Mode | None = None
    ) -> None:
        """Take the policy. `mode`: as if every workload were in it; None: as the policy says."""
        self._replay = Replay(policy, workloads)
        self._forced = mode
        self._modes = {one.name: effective_mode(policy, one).mode for one in workloads}

    def decision(self, flow: Observed) -> Decision:
        """Return the first of the ends' judgements that denies, or is not known, or records."""
        if flow.port is None:
            return Decision(None, why="it was recorded as a count, without its port")
        if not flow.sides:
            return Decision(None, why="it is not known which way it was opened")
        decisions = [self._at(flow, side) for side in self._sides(flow)]
        # Among ends that let it pass, prefer one with a rule: it explains more.
        decisive = min(
            decisions,
            key=lambda decision: (
                _ORDER.index(decision.verdict),
                decision.passes and decision.rule_id is None,
            ),
        )
        if decisive.verdict is None or not decisive.passes:
            return decisive
        would = (
            decision.staged_id
            for decision in decisions
            if decision.staged_id is not None
        )
        return replace(decisive, staged_id=next(would, None))

    def _sides(self, flow: Observed) -> Iterator[Side]:
        """Yield the sides that judge, the initiator's end first: its denial is final."""
        for direction in Direction:
            there = [side for side in flow.sides if side.direction is direction]
            yield from there
            side = Side(direction, flow.source, flow.target)
            if not there and side.own.name in self._modes:
                yield side

    def _at(self, flow: Observed, side: Side) -> Decision:
        mode = self._forced or self._modes.get(side.own.name or "")
        found = self._replay.decided(flow, side)
        rules = found.rules
        if mode is None:
            # A flow that a rule allows passes in every mode.
            if all(says(rule) is RuleResult.ALLOW for rule in rules):
                return _decision(Mode.PROTECT, rules[0], found.staged)
            return Decision(None, why=f"{side.own.shown} is not attached any more")
        free = self._passes_free(flow, side)
        decisions = [_decision(mode, rule, found.staged, free=free) for rule in rules]
        if len({decision.verdict for decision in decisions}) == 1:
            return decisions[0]
        return Decision(None, why=self._replay.unknown(flow, side))

    def _passes_free(self, flow: Observed, side: Side) -> bool:
        """Return whether a DHCP client's question needs no rule: egress anywhere, ingress to DHCP servers."""
        if side.direction is Direction.EGRESS:
            return asks_dhcp(flow.target.ip, flow.number, flow.port)
        workload = self._replay.attached.get(side.own.name or "")
        serves = workload is not None and Service.DHCP in workload.serves
        return serves and to_dhcp_server(flow.number, flow.port)


@lru_cache(maxsize=1 << 16)
def _decision(
    mode: Mode, rule: Rule | None, would: Rule | None, *, free: bool = False
) -> Decision:
    verdict = judged(mode, RuleResult.ALLOW if free and rule is None else says(rule))
    told = verdict.verdict if verdict.passes else "deny"
    number = rule.id if rule and mode is not Mode.QUARANTINE else None
    if would and staged(verdict, says(would)) != verdict:
        return Decision(told, number, staged_id=would.id)
    return Decision(told, number)
