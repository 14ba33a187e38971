"""Routes of what was learned. In: an Agent. Out: schema models. I/O: the agent's."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from pyctl.agent.agent import Agent
from pyctl.agent.learning import learned, recorded
from pyctl.api import schema_learning
from pyctl.policy.learned_text import as_yaml, document
from pyctl.policy.sieve import MEANING, LeftOut

_EXAMPLES = 3


def left_out_views(out: LeftOut) -> list[schema_learning.LeftOut]:
    """The most frequent reason first."""
    return [
        schema_learning.LeftOut(
            why=why,
            meaning=MEANING[why],
            flows=flows,
            examples=[
                f"{opener} → {whom}"
                for (opener, whom), _ in out.who[why].most_common(_EXAMPLES)
            ],
        )
        for why, flows in out.flows.most_common()
    ]


def router(agent: Agent) -> APIRouter:
    """GET /policy/learned."""
    made = APIRouter(tags=["policy"])

    @made.get("/policy/learned")
    def get(
        since: float | None = None,
        group: str | None = None,
        cidr_prefix: Annotated[int | None, Query(ge=1, le=32)] = None,
    ) -> schema_learning.Learned:
        """Rules that allow what was seen and answered."""
        flows = recorded(agent.reader, since)
        found = learned(agent.context, flows, group, cidr_prefix)
        body = document(found, agent.context.policy.text)
        head = (
            f"Learned: {len(found.rules)} rules from {found.flows} flows, with ids from "
            "10000 on, behind the rules of the policy in force.\nReview, then: "
            "segctl policy apply -f FILE"
        )
        return schema_learning.Learned(
            text=as_yaml(body, head),
            document=body,
            rules=len(found.rules),
            flows=found.flows,
            left_out=left_out_views(found.left_out),
            recording=agent.context.history.state().recording,
        )

    return made
