"""Which recorded flows are worth a rule, and why the others are not.

In: observed flows, the policy in force. Out: flows by decision. I/O: none.

Only an answer shows that a flow is meant to be; multicast and broadcast need none. A source that tries many
ports without an answer is a scanner, and a connection that it opened without sending anything is part of the
scan, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from pyctl.model.flow import Answer
from pyctl.model.policy import Action
from pyctl.model.protocols import NUMBERS, WITH_PORTS
from pyctl.policy.evaluate.observed import End, Observed
from pyctl.policy.evaluate.replay import Replay

SCAN = 10
"""The number of unanswered targets (address and port) from which a source counts as a scanner."""


class Why(StrEnum):
    """The reason why nothing is learned from a flow."""

    SCAN = "scan"
    UNANSWERED = "unanswered"
    DENIED = "denied"
    COVERED = "covered"
    FOLDED = "folded"
    PROTOCOL = "protocol"
    EPHEMERAL = "ephemeral"


MEANING = {
    Why.SCAN: "from who tried many places that did not answer",
    Why.UNANSWERED: "nobody answered, or refused",
    Why.DENIED: "a rule of the policy in force denies it",
    Why.COVERED: "a rule of the policy in force allows it already",
    Why.FOLDED: "recorded as a count, without its port",
    Why.PROTOCOL: "no rule can name its protocol, or its port 0",
    Why.EPHEMERAL: "to one of many high ports, each used once",
}


@dataclass
class LeftOut:
    """Flows left out, counted by reason, with the most frequent ends."""

    flows: Counter[Why] = field(default_factory=Counter)
    who: dict[Why, Counter[tuple[str, str]]] = field(default_factory=dict)
    """(initiator, whom) → flows."""

    def add(self, why: Why, flow: Observed) -> None:
        """Count the flow under this reason."""
        self.flows[why] += flow.flows
        pairs = self.who.setdefault(why, Counter())
        pairs[flow.source.shown, flow.target.shown] += flow.flows


def learn_filter(
    flows: Iterable[Observed], replay: Replay, out: LeftOut
) -> list[Observed]:
    """Return the flows that are worth a rule; the others are counted in `out`."""
    flows = list(flows)
    scanners = _scanners(flows, replay)
    kept = []
    for flow in flows:
        why = _why_not(flow, scanners, replay)
        if why is None:
            kept.append(flow)
        else:
            out.add(why, flow)
    return kept


def _who(end: End) -> str:
    return end.name or end.address


def _scanners(flows: Iterable[Observed], replay: Replay) -> set[str]:
    tried: dict[str, set[tuple[str, str, int | None]]] = {}
    folded: Counter[str] = Counter()
    for flow in flows:
        if flow.answer is not Answer.NONE or flow.protocol not in NUMBERS:
            continue
        if replay.cast(flow.target.ip):
            continue
        if flow.port is None:
            folded[_who(flow.source)] += flow.flows
        else:
            place = (flow.target.address, flow.protocol, flow.port)
            tried.setdefault(_who(flow.source), set()).add(place)
    return {
        who
        for who in tried.keys() | folded.keys()
        if len(tried.get(who, ())) + folded[who] >= SCAN
    }


def _why_not(flow: Observed, scanners: set[str], replay: Replay) -> Why | None:
    scans = _who(flow.source) in scanners
    if flow.answer is Answer.NONE and not replay.cast(flow.target.ip):
        return Why.SCAN if scans else Why.UNANSWERED
    if flow.port is None:
        return Why.FOLDED
    rules = [rule for side in flow.sides for rule in replay.decided(flow, side).rules]
    if rules and all(
        rule is not None and rule.action is Action.ALLOW for rule in rules
    ):
        return Why.COVERED
    if any(rule is not None and rule.action is not Action.ALLOW for rule in rules):
        return Why.DENIED
    if scans and flow.answer is Answer.OPEN:
        return Why.SCAN
    ports = flow.protocol not in WITH_PORTS or flow.port
    return None if flow.protocol in NUMBERS and ports else Why.PROTOCOL
