"""The route of rule hits.

In: an Agent. Out: schema models. I/O: the agent's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fastapi import APIRouter

from pyctl.agent.agent import Agent
from pyctl.api.schema.hits import HitCount, PolicyHits, RuleHits
from pyctl.policy.document.conditions.tls import tls_text
from pyctl.policy.document.identity import rule_key
from pyctl.policy.document.types import Rule
from pyctl.telemetry.history.hits import DEFAULT, Hits

_NONE = Hits(0, None, None)


def router(agent: Agent) -> APIRouter:
    """Return the routes of GET /policy/hits."""
    made = APIRouter(tags=["policy"])

    @made.get("/policy/hits")
    def hits() -> PolicyHits:
        """Return how often each rule of the policy in force decided, and when last."""
        found = agent.reader.hits()
        recording = agent.recording().recording
        return hits_view(agent.view.policy.rules, found, recording=recording)

    return made


def hits_view(
    rules: Iterable[Rule], found: Mapping[int, Hits], *, recording: bool
) -> PolicyHits:
    """Return the API's view of the rules' hits."""
    return PolicyHits(
        rules=[
            RuleHits(
                **vars(found.get(rule_key(rule), _NONE)),
                id=rule.id,
                action=rule.action,
                source=rule.source,
                target=rule.target,
                ports=[spec.text for spec in rule.ports],
                apps=list(rule.apps),
                asks=tls_text(rule.tls).strip(),
                direction=rule.direction,
                staged=rule.stage,
                enabled=rule.enabled,
            )
            for rule in rules
        ],
        default=HitCount(**vars(found.get(DEFAULT, _NONE))),
        recording=recording,
    )
