"""The route of containers, attached or not.

In: an Agent. Out: schema models. I/O: the agent's.
"""

from __future__ import annotations

from fastapi import APIRouter

from pyctl.agent.agent import Agent
from pyctl.agent.inventory import Listed
from pyctl.api.schema.containers import ContainerList, ContainerView


def container_view(one: Listed) -> ContainerView:
    """Return one container as the API tells it."""
    container = one.known.container
    return ContainerView.model_validate(
        {
            "id": container.short_id,
            "name": container.name,
            "runtime": container.runtime,
            "status": one.known.status,
            "pid": container.pid or None,
            "image": container.image,
            "state": one.standing.value,
            "workload": one.workload,
            "reason": one.reason,
        }
    )


def router(agent: Agent) -> APIRouter:
    """Return the routes of GET /containers."""
    found = APIRouter(tags=["workloads"])

    @found.get("/containers")
    def containers(host: str | None = None) -> ContainerList:
        """Return every container that the runtimes know; `host`: those of this runtime alone."""
        listed, silent = agent.containers(host)
        return ContainerList(
            containers=list(map(container_view, listed)), unreachable=silent
        )

    return found
