"""The truth table of modes as rows: what tests send traffic through, or think through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyctl.model.truth import Outcome, RuleResult, connection, judged
from pyctl.model.workload import Mode


@dataclass(frozen=True)
class Row:
    """One line of the table; mode None: that end is not attached."""

    initiator: Mode | None
    answerer: Mode | None
    at_initiator: RuleResult
    at_answerer: RuleResult

    @property
    def outcome(self) -> Outcome:
        """Return the outcome of the row's connection."""
        egress = judged(self.initiator, self.at_initiator) if self.initiator else None
        ingress = judged(self.answerer, self.at_answerer) if self.answerer else None
        return connection(egress, ingress)

    def __str__(self) -> str:
        ends = (self.initiator, self.at_initiator), (self.answerer, self.at_answerer)
        return " → ".join(
            f"{mode}: {says}" if mode else "outside" for mode, says in ends
        )


def rows() -> Iterator[Row]:
    """Yield the rows of the table: for each pair of modes, rules that allow at both ends, that deny at either
    end, and no rule.
    """
    said = (
        (RuleResult.ALLOW, RuleResult.ALLOW),
        (RuleResult.DENY, RuleResult.ALLOW),
        (RuleResult.ALLOW, RuleResult.DENY),
        (RuleResult.NOTHING, RuleResult.NOTHING),
    )
    modes = (None, *Mode)
    for initiator in modes:
        for answerer in modes:
            for at_initiator, at_answerer in said:
                # Rules at an end that does not judge make no separate row.
                if initiator is None and at_initiator is RuleResult.DENY:
                    continue
                if answerer is None and at_answerer is RuleResult.DENY:
                    continue
                if initiator or answerer:
                    yield Row(initiator, answerer, at_initiator, at_answerer)
