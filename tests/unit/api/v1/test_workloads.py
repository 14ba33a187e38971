"""Workloads over the API: orders are the agent's, what is read is its view."""

from __future__ import annotations

import threading
import time

import pytest

from pyctl.api.v1 import workloads
from pyctl.engine.records import LearntName
from pyctl.errors import SegctlError
from pyctl.model.threats import DEFAULTS
from pyctl.model.workload import DatapathKind, Mode, Service
from pyctl.state.requests import AttachResult
from tests import packets
from tests.lab.pace import wait_for
from tests.unit.policy.makers import port, workload


@pytest.fixture
def orders(node, monkeypatch) -> list:
    """Name: orders. Scope: function. What the agent is asked to attach, which it does not."""
    found: list = []

    def attach(order) -> AttachResult:
        found.append(order)
        return AttachResult(None, ["splice eth0"], ["odd\udcff"], False, 1.0)

    monkeypatch.setattr(node.agent, "attach", attach)
    return found


def test_all_are_listed_by_name_as_the_view_has_them(ask):
    status, body = ask("GET", "/workloads")
    assert status == 200
    assert [one["name"] for one in body["workloads"]] == ["db", "web"]
    web = body["workloads"][1]
    assert (web["mode"], web["mode_source"]) == ("protect", "attach")
    assert web["ports"][0]["vex"] == "vex1-eth0"
    assert "segment" not in web["ports"][0]


def test_one_is_told_in_full(ask):
    status, body = ask("GET", "/workloads/web")
    assert status == 200
    (found,) = body["ports"]
    assert found["generation"] > 0
    assert found["rules"] > 0
    assert body["groups"] == ["web"]
    assert body["sessions"] == 0
    assert body["forced_mode"] is None


def test_readers_wait_for_nobody(node, ask):
    held, go = threading.Event(), threading.Event()
    holder = threading.Thread(
        target=node.agent._loop.do, args=(lambda: held.set() or go.wait(10),)
    )
    holder.start()
    assert held.wait(10)
    for path in ("/workloads", "/workloads/web", "/workloads/web/rules"):
        assert ask("GET", path)[0] == 200
    go.set()
    holder.join(10)


@pytest.mark.parametrize("path", ["/workloads/nobody", "/workloads/nobody/rules"])
def test_nobody_is_not_found(ask, path):
    status, body = ask("GET", path)
    assert (status, body["error"]["code"]) == (404, "not-found")


def test_rules_are_the_kernels(ask):
    status, body = ask("GET", "/workloads/web/rules")
    assert status == 200
    assert body["ports"] == [
        {"port_id": 1, "interface": "eth0", "rules": ["filter of port 1"]}
    ]


def test_threats_have_the_setting_that_holds(ask):
    status, body = ask("GET", "/workloads/web/threats")
    assert (status, body["workload"]) == (200, "web")
    settings = {one["name"]: one["setting"] for one in body["threats"]}
    assert settings == dict(DEFAULTS)


def test_an_order_says_what_was_said_and_nothing_else(orders, ask):
    status, body = ask("POST", "/attach", {"pid": 7})
    assert (status, body["workload"]) == (200, None)
    assert body["warnings"] == ["odd\\xff"]
    (order,) = orders
    assert (order.pid, order.datapath, order.serves, order.mode) == (
        7,
        None,
        None,
        None,
    )
    assert order.any_source is None


def test_what_was_said_is_of_the_agents_types(orders, ask):
    body = {
        "container": "web",
        "datapath": "u32",
        "serves": ["dhcp", "dhcp", "router"],
        "interfaces": ["eth0"],
        "addresses": ["192.0.2.1"],
        "mode": "monitor",
    }
    assert ask("POST", "/attach", body)[0] == 200
    (order,) = orders
    assert order.datapath is DatapathKind.U32
    assert order.serves == (Service.DHCP, Service.ROUTER)
    assert order.interfaces == ("eth0",)
    assert order.mode is Mode.MONITOR
    assert isinstance(order.addresses, tuple)


@pytest.mark.parametrize("value", ["99999", "0", "http", "80/icmp"])
def test_a_label_that_declares_no_port_is_refused(orders, ask, value):
    labels = {"app": "web", "segctl.port.http": value}
    status, body = ask("POST", "/attach", {"container": "web", "labels": labels})
    assert (status, orders) == (400, [])
    assert repr(value) in body["error"]["tried"]
    taken = {"segctl.port.http": "8080-udp", "segctl.port.dns": None}
    body = {"container": "web", "labels": taken}
    assert ask("POST", "/attach", body)[0] == 200


def test_what_is_attached_is_answered_as_it_is_seen_from_then_on(node, ask):
    late = workload("late", port(3))
    node.loads["late"] = late
    status, body = ask("POST", "/attach", {"container": "late"})
    assert (status, body["workload"]["name"]) == (200, "late")
    assert ask("GET", "/workloads/late")[1]["ports"][0]["generation"] > 0


def test_what_is_detached_is_not_seen_any_more(node, ask):
    status, body = ask("POST", "/detach", {"workload": "web"})
    assert (status, body["workloads"]) == (200, ["web"])
    assert [one["name"] for one in ask("GET", "/workloads")[1]["workloads"]] == ["db"]


def test_a_detach_that_is_tried_changes_nothing(node, ask):
    status, body = ask("POST", "/detach", {"all": True, "dry_run": True})
    assert status == 200
    assert body["plan"]
    assert node.kernel.calls == []
    assert len(ask("GET", "/workloads")[1]["workloads"]) == 2


def test_a_mode_is_answered_with_the_one_before(ask):
    status, body = ask("PUT", "/workloads/web/mode", {"mode": "monitor"})
    assert status == 200
    assert (body["before"], body["after"], body["source"]) == (
        "protect",
        "monitor",
        "command",
    )
    assert body["plan"] == ["web: protect → monitor"]
    assert ask("GET", "/workloads/web")[1]["mode"] == "monitor"
    status, body = ask("PUT", "/workloads/web/mode", {"mode": "auto"})
    assert (body["before"], body["after"]) == ("monitor", "protect")


def test_a_mode_that_is_tried_is_told_and_not_set(ask):
    body = {"mode": "quarantine", "dry_run": True}
    assert ask("PUT", "/workloads/web/mode", body)[1]["after"] == "quarantine"
    assert ask("GET", "/workloads/web")[1]["mode"] == "protect"


def test_a_mode_that_is_refused_is_an_error_and_not_seen(node, ask):
    node.kernel.refuses["update"] = SegctlError("no room", state="it is as it was")
    status, body = ask("PUT", "/workloads/web/mode", {"mode": "quarantine"})
    assert status == 500
    assert body["error"]["tried"] == "no room"
    assert ask("GET", "/workloads/web")[1]["mode"] == "protect"
    node.comes_to_hold()


def test_what_is_ordered_while_the_agent_ends_is_refused_and_reading_goes_on(node, ask):
    node.agent.stop()
    status, body = ask("POST", "/detach", {"all": True})
    assert body["error"]["tried"] == "the agent is ending"
    assert status == 503
    assert ask("GET", "/workloads")[0] == 200


def test_orders_are_done_one_at_a_time(node, ask):
    """Who asks for two modes at once gets both, one after the other."""
    held, go = threading.Event(), threading.Event()
    holder = threading.Thread(
        target=node.agent._loop.do, args=(lambda: held.set() or go.wait(10),)
    )
    holder.start()
    assert held.wait(10)
    answers = []
    for number, mode in enumerate(("monitor", "discover"), 1):
        asker = threading.Thread(
            target=lambda mode=mode: answers.append(
                ask("PUT", "/workloads/web/mode", {"mode": mode})
            )
        )
        asker.start()
        wait_for(lambda number=number: len(node.agent._loop._requests) == number)
    go.set()
    holder.join(10)
    wait_for(lambda: len(answers) == 2)
    assert {status for status, _ in answers} == {200}
    assert ask("GET", "/workloads/web")[1]["mode"] == "discover"


def test_names_are_told_by_groups_and_on_the_clock_of_the_wall(node, ask, monkeypatch):
    """A group's number that the policy in force no longer has is left out."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    name = LearntName(
        *(1, packets.world_ip4, "x", "db.example", packets.gateway_ip4),
        *(now, now + 10**10, 10, True, False, (1, 99), 3),
    )
    monkeypatch.setattr(node.kernel, "names", lambda _limit, port: [name][: port == 1])
    monkeypatch.setattr(node.kernel, "name_counts", lambda _ports: {"learnt": 4})
    status, body = ask("GET", "/workloads/web/names")
    assert (status, body["complete"], body["counts"]["learnt"]) == (200, True, 4)
    [found] = body["names"]
    assert found["learnt"] == pytest.approx(time.time(), abs=60)
    assert found["expires"] - found["learnt"] == pytest.approx(10, abs=0.01)
    assert (found["groups"], found["groups_more"]) == (["web"], 1)
    assert (found["asked"], found["matched"], found["in_use"]) == (
        "x",
        "db.example",
        True,
    )
    assert found["interface"] == "eth0"
    monkeypatch.setattr(workloads, "MOST_NAMES", 0)
    assert not ask("GET", "/workloads/web/names")[1]["complete"]
