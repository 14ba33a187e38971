"""What applying a policy changes, as the API shows it. In: values. Out: schema models. I/O: none."""

from __future__ import annotations

from pyctl.api.schema.impact import OpenFlows, TurnedFlows
from pyctl.api.schema.workloads import PolicyApplyResponse
from pyctl.policy.evaluate.impact import Impact
from pyctl.state.requests import PolicyResult

_EXAMPLES = 10


def applied_view(result: PolicyResult) -> PolicyApplyResponse:
    """Return the API's view of an applied policy."""
    told = vars(result) | {"open_flows": impact_view(result.impact)}
    del told["impact"]
    return PolicyApplyResponse.model_validate(told)


def impact_view(impact: Impact) -> OpenFlows:
    """Return the API's view of the impact: newly denied flows first, the most frequent of them first."""
    order = sorted(
        impact.verdict_changes.items(), key=lambda item: (item[0].opens, -item[1])
    )
    return OpenFlows(
        looked_at=impact.looked_at,
        complete=impact.complete,
        newly_denied=impact.count(opens=False),
        newly_allowed=impact.count(opens=True),
        examples=[
            TurnedFlows(
                source=turn.source.shown,
                destination=turn.target.shown,
                service=turn.service,
                opens=turn.opens,
                rule_id=turn.rule_id,
                flows=number,
            )
            for turn, number in order[:_EXAMPLES]
        ],
    )
