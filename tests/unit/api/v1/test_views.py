"""An answer is of one moment: each takes the agent's view once, however much of it it tells."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from pyctl.agent.agent import Agent
from pyctl.api.v1.metrics import AgentCollector
from pyctl.controller.view import View
from pyctl.policy.document.identity import rule_key
from pyctl.telemetry.history.hits import Hits
from tests import packets
from tests.unit.agent.played import NEW
from tests.unit.policy.makers import port, workload

OF_THE_CLOCK = {"uptime_s", "elapsed_ms", "heartbeat_age_ms"}
ASKED = {"source": packets.world_ip4, "target": "app", "port": "tcp/5432"}
READS = [
    ("GET", "/status", None),
    ("GET", "/workloads", None),
    ("GET", "/workloads/web", None),
    ("GET", "/workloads/web/rules", None),
    ("PUT", "/workloads/web/mode", {"mode": "monitor", "dry_run": True}),
    ("GET", "/policy", None),
    ("GET", "/policy/hits", None),
    ("GET", "/policy/learned", None),
    ("GET", "/policy/revisions", None),
    ("POST", "/policy/simulate", {"text": NEW}),
    ("POST", "/policy/test", ASKED),
    ("GET", "/flows", None),
    ("GET", "/events", None),
]


class Changing:
    """The agent's view, replaced by an empty one as soon as it was read `reads` times."""

    def __init__(self, held: View) -> None:
        self.held = held
        self.reads = 0
        self.until = 10**6

    def __get__(self, _agent: object, _kind: object) -> View:
        self.reads += 1
        return self.held if self.reads <= self.until else View()

    def __set__(self, _agent: object, _value: View) -> None:
        """The agent's own replacement waits."""

    def replaced_after(self, reads: int) -> None:
        self.reads, self.until = 0, reads


@pytest.fixture
def changing(node, monkeypatch) -> Changing:
    """Name: changing. Scope: function. In place of the agent's view."""
    node.attach(workload("app", port(3, f"{packets.pod_one_ip4}/24")))
    made = Changing(node.agent.view)
    monkeypatch.setattr(Agent, "view", made, raising=False)
    return made


def without_clock(body: Any) -> Any:
    if isinstance(body, dict):
        kept = body.items()
        return {key: without_clock(of) for key, of in kept if key not in OF_THE_CLOCK}
    return list(map(without_clock, body)) if isinstance(body, list) else body


@pytest.mark.parametrize(("method", "path", "body"), READS)
def test_an_answer_is_of_one_view(ask, changing, method, path, body):
    status, held = ask(method, path, body)
    assert status == 200, held
    # A mode that is set is answered with the view before and the one after.
    changing.replaced_after(2 if path.endswith("/mode") else 1)
    assert without_clock(ask(method, path, body)[1]) == without_clock(held)


def test_a_scrape_is_of_one_view(node, changing, monkeypatch):
    node.kernel.restarts = 0
    (rule,) = changing.held.policy.rules
    found = {rule_key(rule): Hits(7, None, None)}
    monkeypatch.setattr(node.agent.reader, "stored_hits", lambda: found)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(AgentCollector(node.agent))
    held = generate_latest(registry)
    assert b'segctl_rule_hits_total{action="allow",rule="1",staged="false"} 7' in held
    changing.replaced_after(1)
    assert generate_latest(registry) == held
