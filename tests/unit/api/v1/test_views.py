"""The agent's values as the API shows them, and each answer of one moment: it takes the agent's view once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from pyctl import abi
from pyctl.agent.agent import Agent
from pyctl.api.v1 import views
from pyctl.api.v1.metrics import AgentCollector
from pyctl.controller.view import View
from pyctl.intercept.uninspected import Uninspected
from pyctl.model.workload import Claim, Counter, Mode
from pyctl.policy.document.identity import rule_key
from pyctl.telemetry.events import Event
from pyctl.telemetry.history.hits import Hits
from tests import packets
from tests.unit.agent.played import NEW
from tests.unit.policy.makers import port, workload
from tests.unit.telemetry.test_open_flows import AT_WEB

OF_THE_CLOCK = {"uptime_s", "elapsed_ms", "heartbeat_age_ms"}
ASKED = {"source": packets.world_ip4, "target": "app", "port": "tcp/5432"}
READS = [
    ("GET", "/status", None),
    ("GET", "/workloads", None),
    ("GET", "/workloads/web", None),
    ("GET", "/workloads/web/rules", None),
    ("GET", "/workloads/web/threats", None),
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
IP = f"{packets.pod_one_ip4}/24"
FIRST, SECOND = (reason.name for reason in abi.REASONS[:2])


@pytest.fixture
def alive(monkeypatch) -> None:
    monkeypatch.setattr(views, "process_alive", lambda _: True)


def shown(ask, name: str):
    status, body = ask("GET", f"/workloads/{name}")
    assert status == 200
    return body


@pytest.mark.parametrize(("lives", "state"), [(True, "attached"), (False, "empty")])
def test_an_attached_workload_lives_or_is_empty(ask, monkeypatch, lives, state):
    monkeypatch.setattr(views, "process_alive", lambda _: lives)
    found = shown(ask, "web")
    assert (found["state"], found["pid"]) == (state, 4242)


def test_a_container_that_is_not_attached_is_lost_and_has_no_process(
    node, ask, alive, monkeypatch
):
    monkeypatch.setattr(node.agent, "lost", lambda *_: [workload("gone")])
    (found,) = (
        one for one in ask("GET", "/workloads")[1]["workloads"] if one["name"] == "gone"
    )
    assert (found["state"], found["pid"], found["ports"]) == ("lost", None, [])


def test_a_port_shows_its_detour_and_not_what_is_internal():
    view = views.port_view(replace(port(300, IP), segment=7, closed=True)).model_dump()
    assert view["ucmac"] == "4e:65:75:56:01:2c"
    assert view["addresses"] == [IP]
    assert not view.keys() & {"segment", "closed"}


def test_an_address_of_two_is_shown_with_both_and_to_nobody_else(node, ask, alive):
    node.attach(workload("one", port(3, IP)), workload("two", port(4, IP)))
    together = [{"address": packets.pod_one_ip4, "workloads": ["one", "two"]}]
    assert shown(ask, "one")["shared"] == shown(ask, "two")["shared"] == together
    assert shown(ask, "web")["shared"] == []


def test_claims_and_what_is_not_inspected_are_shown_with_their_reason(node, ask, alive):
    claim = Claim(IP, "eth0")
    node.attach(replace(node.agent.view.find("web"), claims=(claim,)))
    node.agent.context.uninspected["web"] = (Uninspected("wg0", "a tunnel"),)
    node.agent.apply_policy(node.agent.view.policy.text)
    found = shown(ask, "web")
    (claimed,) = found["claims"]
    held = node.agent.view.find("web").claims[0]
    assert claimed == {**vars(held), "address": IP, "interface": "eth0"}
    assert found["uninspected"] == [{"interface": "wg0", "reason": "a tunnel"}]


def test_counters_are_in_the_abis_order_and_the_kernels_where_both_count():
    kernel = {SECOND: Counter(5, 500, 1), FIRST: Counter(0, 0)}
    engine = {FIRST: Counter(7, 700), SECOND: Counter(9, 900)}
    rows = views.counter_rows(kernel, engine)
    assert [(row.reason, row.packets, row.passed) for row in rows] == [(SECOND, 5, 1)]
    rows = views.counter_rows({}, engine)
    assert [(row.reason, row.packets) for row in rows] == [(FIRST, 7), (SECOND, 9)]
    assert rows[0].caption == abi.REASONS[0].caption
    assert rows[0].category == abi.REASONS[0].category
    assert views.counter_rows({"no reason": Counter(1, 1)}, {}) == []


def test_the_details_are_of_each_port_and_their_sum(node, ask, alive, monkeypatch):
    node.attach(replace(node.agent.view.find("web"), ports=(port(1), port(5))))
    monkeypatch.setattr(node.kernel, "counters", lambda at: {FIRST: Counter(at, 1)})
    monkeypatch.setattr(node.kernel, "sessions", lambda _limit, at: [AT_WEB] * at)
    found = shown(ask, "web")
    counted = [
        (one["port_id"], one["counters"][0]["packets"]) for one in found["ports"]
    ]
    assert counted == [(1, 1), (5, 5)]
    assert found["sessions"] == 6
    assert found["applications"] == {
        "sessions": {},
        "pending": 0,
        "decided": 0,
        "requests": 0,
        "sensors": 0,
    }
    assert found["ports"][0]["generation"] == node.agent.view.generations[1]


def test_denials_are_the_latest_of_this_workload_alone(node, ask, alive):
    kinds = ("denial", "violation", "staged", "kernel-drop", "lifecycle", "policy")
    for kind in kinds:
        node.agent.events.add(Event(kind, kind, workload="web"))
    node.agent.events.add(Event("denial", "of another", workload="db"))
    assert [one["message"] for one in shown(ask, "web")["denials"]] == list(kinds[:4])


@pytest.mark.parametrize("forced", [None, "quarantine"])
def test_the_modes_are_told_apart_by_who_set_them(node, ask, alive, forced):
    node.agent.apply_policy(node.agent.view.policy.text + "modes: {web: monitor}\n")
    load = node.agent.view.find("web")
    node.attach(replace(load, forced_mode=Mode(forced) if forced else None))
    found = shown(ask, "web")
    assert (found["attach_mode"], found["forced_mode"]) == ("protect", forced)
    assert found["policy_mode"] == "monitor"
    assert found["mode"] == (forced or "monitor")
    assert found["mode_source"] == ("command" if forced else "policy")
    other = shown(ask, "db")
    assert (other["policy_mode"], other["mode"]) == (None, "protect")


def test_events_keep_their_order_and_all_that_they_say():
    events = [
        Event("denial", "denied", workload="web", reason=FIRST, packets=2, rule_id=7),
        Event("lifecycle", "attached"),
    ]
    told = views.event_views(events)
    assert [one.message for one in told] == ["denied", "attached"]
    assert (told[0].reason, told[0].packets, told[0].rule_id) == (FIRST, 2, 7)
    assert told[0].time == events[0].time


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
