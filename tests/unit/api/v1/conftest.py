"""The API over an agent whose kernel and engine are played, asked as uvicorn asks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyctl.api.schema.workloads import PREFIX
from pyctl.api.server import create_app
from tests.unit.agent.played import OLD, Node, running
from tests.unit.policy.makers import port, workload

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def node(monkeypatch, tmp_path) -> Iterator[Node]:
    """Name: node. Scope: function. Two attached workloads, the policy OLD."""
    with running(monkeypatch, tmp_path) as made:
        made.attach(
            workload("web", port(1), labels={"tier": "1"}), workload("db", port(2))
        )
        made.agent.apply_policy(OLD)
        made.kernel.calls.clear()
        yield made


@pytest.fixture
def stops() -> list[str]:
    """Name: stops. Scope: function. One for each time that the API asked for the agent's end."""
    return []


@pytest.fixture
def ask(node, stops) -> Ask:
    """Name: ask. Scope: function. Gives status and JSON of the answer to (method, path, body)."""
    app = create_app(node.agent, lambda: stops.append("stop"))

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        sent: list[Any] = []
        content = b"" if body is None else json.dumps(body).encode()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": f"{PREFIX}{path}",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "http_version": "1.1",
            "client": ("uid", 1000),
        }
        asyncio.run(app(scope, receive, send))
        told = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], json.loads(told)

    return ask
