"""The truth table of modes: what becomes of a new connection, and what each end records of it.

In: the mode of an end, and what the rules say there. Out: Judgement, Outcome. I/O: none.

Traffic between two attached workloads of one host is judged once at each end, as egress of the one
that opens it and as ingress of the other, by that end's own mode; it opens where both let it pass. The
end that is not attached (or on another host) judges nothing. What the initiator's end drops, the other end
never sees, and so records nothing of. Usually both ends find the same rule; they differ where a rule holds
at one end alone (`direction:`), or an address is translated between them.

tests/datapath/test_contract_modes.py runs every row of it with live traffic, on each datapath.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pyctl.model.records import Verdict
from pyctl.model.workload import Mode


class RuleResult(StrEnum):
    """The result of the rules at one end."""

    ALLOW = "allow"
    DENY = "deny"
    NOTHING = "no rule"


@dataclass(frozen=True)
class Judgement:
    """What one end does with a new connection."""

    passes: bool
    verdict: Verdict | None
    """Of its record in `segctl flows`; None: it records no flow."""
    reason: str | None = None
    """As in abi.REASONS: of the record, or of the counter where there is no record."""


@dataclass(frozen=True)
class Outcome:
    """What becomes of a connection; None for an end that does not see it or is not attached."""

    opens: bool
    egress: Judgement | None
    ingress: Judgement | None


_ALLOWED = Judgement(passes=True, verdict="allow")
_QUARANTINED = Judgement(passes=False, verdict=None, reason="quarantine")
_REASON = {RuleResult.DENY: "policy_deny", RuleResult.NOTHING: "default_deny"}


def judged(mode: Mode, says: RuleResult) -> Judgement:
    """Return the judgement of an end in `mode` on a new connection, given what its rules say."""
    if mode is Mode.QUARANTINE:
        return _QUARANTINED
    learned = mode is Mode.DISCOVER and says is RuleResult.NOTHING
    if says is RuleResult.ALLOW or learned:
        return _ALLOWED
    if mode is Mode.PROTECT:
        return Judgement(passes=False, verdict="deny", reason=_REASON[says])
    return Judgement(passes=True, verdict="violation", reason=_REASON[says])


def staged(judgement: Judgement, says: RuleResult | None) -> Judgement:
    """Return the judgement with what a staged rule would say recorded: an allowed flow that it would deny
    becomes a violation.
    """
    if says is RuleResult.DENY and judgement.verdict == "allow":
        return Judgement(passes=True, verdict="violation", reason="staged_deny")
    return judgement


def connection(egress: Judgement | None, ingress: Judgement | None) -> Outcome:
    """Return the outcome of a connection; the initiator's end judges first. None: that end is not attached."""
    if egress and not egress.passes:
        return Outcome(opens=False, egress=egress, ingress=None)
    return Outcome(ingress is None or ingress.passes, egress, ingress)


def table() -> str:
    """Return the table as text: what one end does, then what becomes of a connection between two."""
    lines = ["Each end judges a new connection by its own mode:", ""]
    lines.append(_line("", (f"a rule {RuleResult.ALLOW}s", "a rule denies", "no rule")))
    lines += [
        _line(mode, (_words(judged(mode, says)) for says in RuleResult))
        for mode in Mode
    ]
    lines += [
        "",
        "Between two ends, the initiator's to the left, where a rule allows / a rule denies / there is",
        "no rule: + it opens, E it is dropped at the initiator's end, I at the other end.",
        "",
        _line("", ("outside", *Mode), 12),
    ]
    for initiator in (None, *Mode):
        cells = (_cell(initiator, answerer) for answerer in (None, *Mode))
        lines.append(_line(initiator or "outside", cells, 12))
    return "\n".join(lines)


def _line(head: str, cells: Iterator[str] | tuple[str, ...], width: int = 20) -> str:
    return f"  {head:<12}" + "".join(f"{cell:<{width}}" for cell in cells).rstrip()


def _words(judgement: Judgement) -> str:
    if judgement.passes:
        return "passes" if judgement.verdict == "allow" else "passes, violation"
    return "dropped, denial" if judgement.verdict else "dropped"


def _cell(initiator: Mode | None, answerer: Mode | None) -> str:
    if initiator is None and answerer is None:
        return "-"
    letters = []
    for says in RuleResult:
        outcome = connection(
            judged(initiator, says) if initiator else None,
            judged(answerer, says) if answerer else None,
        )
        stopped = "I" if outcome.ingress and not outcome.ingress.passes else "E"
        letters.append("+" if outcome.opens else stopped)
    return " ".join(letters)
