"""The routes that read and replace the policy in force."""

from __future__ import annotations

from fastapi import APIRouter, Request

from pyctl.agent.agent import Agent
from pyctl.api.peer import uid_of
from pyctl.api.schema import workloads as schema
from pyctl.api.v1 import impact


def router(agent: Agent) -> APIRouter:
    """Return the routes of GET and PUT /policy."""
    made = APIRouter(tags=["policy"])

    @made.get("/policy")
    def get() -> schema.PolicyText:
        """Return the policy in force, as it was written."""
        view = agent.view
        policy = view.policy
        return schema.PolicyText(
            text=policy.text,
            applied_at=view.policy_applied_at,
            groups=len(policy.groups),
            rules=len(policy.rules),
        )

    @made.put("/policy")
    def apply(
        request: schema.PolicyApplyRequest, http: Request
    ) -> schema.PolicyApplyResponse:
        """Replace the policy in force, or say what that would change."""
        result = agent.apply_policy(
            request.text,
            dry_run=request.dry_run,
            author=request.author,
            comment=request.comment,
            uid=uid_of(http),
        )
        return impact.applied_view(result)

    return made
