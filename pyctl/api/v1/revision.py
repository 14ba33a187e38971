"""Routes of former policies.

In: an Agent. Out: schema models. I/O: the agent's files.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter

from pyctl.agent.agent import Agent
from pyctl.api.schema.revision import RevisionList, RevisionText, RevisionView
from pyctl.state.revisions import Revision, fingerprint


def router(agent: Agent) -> APIRouter:
    """Return the routes of GET /policy/revisions and /policy/revisions/{number}."""
    made = APIRouter(tags=["policy"])

    @made.get("/policy/revisions")
    def revisions() -> RevisionList:
        """Return the policies that were applied, newest last."""
        return revisions_view(agent.revisions.all(), agent.view.policy.text)

    @made.get("/policy/revisions/{number}")
    def text(number: int) -> RevisionText:
        """Return the text of one revision."""
        return RevisionText(number=number, text=agent.revisions.text(number))

    return made


def revisions_view(found: Iterable[Revision], text: str) -> RevisionList:
    """Return the API's view of revisions; the newest with the text `text` is marked as in force."""
    views = [RevisionView(**vars(one), in_force=False) for one in found]
    now = fingerprint(text)
    for view in reversed(views):
        if view.sha256 == now:
            view.in_force = True
            break
    return RevisionList(revisions=views)
