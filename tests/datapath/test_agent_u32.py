"""A real agent with a workload on the u32 datapath: the same life as on ebpf, on kernels that have
what it takes. Few and short, since those kernels may be emulated."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests import packets
from tests.lab.datapath.wiring import u32_missing
from tests.lab.net import traffic
from tests.lab.net.snapshot import assert_same, picture
from tests.lab.pace import wait_for

IP = packets.pod_one_ip4
SECONDS = 0.5
"""For an attempt."""
ALLOW = (
    "groups: {web: {selector: {name: web}}}\n"
    "rules:\n"
    "  - {id: 1, from: any, to: web, ports: [tcp/8080], action: allow}\n"
    "  - {id: 2, from: any, to: web, ports: [icmp], action: allow}\n"
)


@pytest.fixture(autouse=True)
def _needs_u32() -> None:
    """Name: _needs_u32. Scope: function. A kernel without the modules is named and skipped."""
    if lacks := u32_missing():
        pytest.skip(f"no u32 datapath on this kernel: {lacks}")


@pytest.fixture
def pods(lab):
    """(web, client), with an echo server on web's ports 8080 and 8081."""
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IP, 8080)
    traffic.tcp_echo(web, IP, 8081)
    return web, client


def told(agent, port: int):
    """The flows to a port, as they are recorded or go on."""
    found = json.loads(agent.cli("flows", "-o", "json").stdout)["flows"]
    return [one for one in found if one["destination_port"] == port]


def cached(agent) -> str:
    return "".join(
        agent.cli("dump-maps", name, "-o", "json").stdout
        for name in ("seg_flows4", "seg_flows6")
    )


def test_policy_modes_and_quarantine_hold_and_detach_is_the_inverse(agent, pods):
    web, client = pods
    before = picture(web)
    agent.policy(ALLOW)
    answer = agent.attach(web, "web", datapath="u32", mode="protect")
    assert answer["workload"]["datapath"] == "u32"
    assert traffic.tcp_try(client, IP, 8080, SECONDS) == "open"
    assert traffic.pings(client, IP, wait=SECONDS) == 3
    assert traffic.tcp_try(client, IP, 8081, SECONDS) == "silence"
    assert agent.counts("web")["default_deny"] >= 1
    agent.client.set_mode("web", "monitor")
    assert traffic.tcp_try(client, IP, 8081, SECONDS) == "open"
    agent.client.set_mode("web", "quarantine")
    assert traffic.pings(client, IP, wait=0.3) == 0
    assert traffic.tcp_try(client, IP, 8080, SECONDS) in (
        "silence",
        "[Errno 113] No route to host",
    )
    agent.client.set_mode("web", "auto")
    assert traffic.tcp_try(client, IP, 8080, SECONDS) == "open"
    shown = agent.cli("rules", "web").stdout
    assert "intended tc filter add" in shown
    assert "held as intended" in shown
    agent.client.detach(pid=web.pid)
    assert_same(before, picture(web))


def test_a_workload_changes_its_datapath_under_traffic(agent, pods):
    """One connection and pings all through: none is lost, none comes twice, no entry stays."""
    web, client = pods
    agent.policy(ALLOW)
    agent.attach(web, "web", datapath="ebpf", mode="protect")
    talk = traffic.tcp_talk(client, IP, 8080)
    assert talk.said("ebpf") == {"back": "ebpf\n"}
    child = client.spawn("ping", "-n", "-i", "0.1", IP, stdout=-1, text=True)
    for kind in ("u32", "ebpf", "u32"):
        agent.attach(web, "web", datapath=kind)
        assert talk.said(f"to {kind}") == {"back": f"to {kind}\n"}
        assert agent.client.workload("web")["datapath"] == kind
    assert packets.pod_two_ip4 not in cached(agent)
    child.send_signal(2)
    sent, received = traffic.answered(child.communicate()[0])
    assert received == sent
    assert talk.said("u32 still") == {"back": "u32 still\n"}
    assert traffic.tcp_try(client, IP, 8081, SECONDS) == "silence"


def test_what_a_stranger_does_to_the_rules_is_undone_and_told(agent, pods):
    web, client = pods
    agent.policy(ALLOW)
    vex = agent.attach(web, "web", datapath="u32", mode="protect")["workload"]["ports"][
        0
    ]["vex"]
    agent.enforcer("tc", "filter", "del", "dev", vex, "ingress", "prio", "10001")
    wait_for(lambda: "rules repaired" in agent.cli("events").stdout, 20)
    place = ("dev", vex, "ingress", "pref", "5")
    nobody = ("match", "ip", "protocol", "253", "0xff", "flowid", "1:1")
    agent.enforcer("tc", "filter", "add", *place, "protocol", "ip", "u32", *nobody)
    front = f"in front {vex} pref 5"
    wait_for(lambda: front in agent.cli("events").stdout, 20)
    shown = agent.cli("rules", "web").stdout
    assert "held as intended" in shown
    assert front in shown
    assert traffic.tcp_try(client, IP, 8080, SECONDS) == "open"


def test_an_agent_that_comes_back_keeps_the_rules(agent, pods):
    web, client = pods
    agent.policy(ALLOW)
    agent.attach(web, "web", datapath="u32", mode="protect")
    talk = traffic.tcp_talk(client, IP, 8080)
    agent.kill()
    assert talk.said("no agent") == {"back": "no agent\n"}
    agent.start()
    assert talk.said("new agent") == {"back": "new agent\n"}
    (before,) = told(agent, 8080)
    former = agent.engine_pid()
    os.kill(former, signal.SIGKILL)
    wait_for(lambda: agent.engine_pid() not in (0, former), 15)
    assert talk.said("new engine") == {"back": "new engine\n"}
    (after,) = told(agent, 8080)
    assert after["started"] == pytest.approx(before["started"], abs=0.1)
    assert after["bytes"] > before["bytes"] > 0
    assert after["kernel_bytes"] == 0
    assert agent.client.workload("web")["datapath"] == "u32"
    assert packets.pod_two_ip4 not in cached(agent)


def test_where_bpf_is_refused_auto_is_u32_with_a_warning(agent_with, pods):
    """As under lockdown, or a container runtime's seccomp filter."""
    web, client = pods
    agent = agent_with(bpf=False)
    status = agent.client.status()
    assert status["datapath"] == "u32"
    assert any("stands in for ebpf" in warning for warning in status["warnings"])
    assert "stands in for ebpf" in agent.cli("events").stdout
    agent.policy(ALLOW)
    answer = agent.attach(web, "web", mode="protect")
    assert answer["workload"]["datapath"] == "u32"
    assert traffic.tcp_try(client, IP, 8080, SECONDS) == "open"
    assert traffic.tcp_try(client, IP, 8081, SECONDS) == "silence"
    allowed, denied = told(agent, 8080), told(agent, 8081)
    assert [(one["verdict"], one["rule_id"]) for one in allowed] == [("allow", 1)]
    assert [(one["verdict"], one["reason"]) for one in denied] == [
        ("deny", "default_deny")
    ]
    assert allowed[0]["packets_back"] >= 2
    agent.client.detach(pid=web.pid)
    assert agent.remains()["links"] == []
