"""What the fields of rules do to real traffic: reject, stage, types of ICMP."""

from __future__ import annotations

import json

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.pace import wait_for

IPS = [packets.pod_one_ip4, packets.pod_one_ip6]
BY_FAMILY = pytest.mark.parametrize("ip", IPS, ids=["ipv4", "ipv6"])
TCP, UDP = 8080, 8081
HEAD = """groups: {web: {selector: {name: web}}, client: {selector: {name: client}}}
modes: {web: %s, client: %s}
rules:
"""
SECONDS = 3
"""An answer that comes is there long before."""


def policy(*rules: str, web: str = "protect", client: str = "discover") -> str:
    lines = "".join(
        f"  - {{id: {number}, {rule}}}\n" for number, rule in enumerate(rules, 1)
    )
    return HEAD % (web, client) + lines


REJECT = "from: any, to: web, action: reject"
ALLOW = "from: any, to: web, action: allow"


def told(agent, kind: str) -> list[dict]:
    answer = agent.cli("events", "--kind", kind, "-o", "json").stdout
    return json.loads(answer)["events"]


@pytest.fixture
def pods(lab, agent):
    """Name: pods. Scope: function. Depends: lab, agent. (web, client), both attached; web serves."""
    _host, (web, client) = lab.pods()
    for ip in IPS:
        traffic.tcp_echo(web, ip, TCP)
        traffic.udp_echo(web, ip, UDP)
    agent.attach(web, "web")
    agent.attach(client, "client")
    return web, client


@BY_FAMILY
@pytest.mark.parametrize("end", ["ingress", "egress"])
def test_what_is_rejected_fails_at_once(agent, pods, ip, end):
    """At either end: towards the peer, and towards the workload itself."""
    _web, client = pods
    web = "protect" if end == "ingress" else "discover"
    other = "discover" if end == "ingress" else "protect"
    agent.policy(policy(f"{REJECT}, direction: {end}", web=web, client=other))
    assert traffic.tcp_try(client, ip, TCP, seconds=SECONDS) == "refused"
    assert "refused" in traffic.udp_try(client, ip, UDP, seconds=SECONDS)
    said = traffic.ping(client, ip, count=1, wait=SECONDS)
    assert "Packet filtered" in said or "prohibited" in said
    assert len(told(agent, "denial")) >= 3


def test_a_mode_that_only_records_rejects_nothing(agent, pods):
    _web, client = pods
    agent.policy(policy(REJECT, web="monitor"))
    for ip in IPS:
        assert traffic.tcp_try(client, ip, TCP) == "open"
        assert traffic.udp_try(client, ip, UDP) == "open"


@BY_FAMILY
def test_a_staged_denial_lets_pass_and_says_what_it_would_do(agent, pods, ip):
    _web, client = pods
    agent.policy(policy(f"{REJECT}, stage: true", ALLOW))
    assert traffic.tcp_try(client, ip, TCP) == "open"
    assert traffic.udp_try(client, ip, UDP) == "open"

    def flows():
        answer = agent.cli("flows", "--verdict", "violation", "-o", "json").stdout
        return json.loads(answer)["flows"]

    found = wait_for(lambda: len(flows()) >= 2 and flows())
    assert {(flow["rule_id"], flow["reason"]) for flow in found} == {(1, "staged_deny")}
    foretold = agent.client.test_policy("client", "web", f"tcp/{TCP}")
    assert {
        (end["verdict"], end["reason"], end["staged"], end["rules"][-1]["id"])
        for end in foretold["ends"]
    } == {("violation", "staged_deny", 1, 2)}
    events = told(agent, "staged")
    assert {event["rule_id"] for event in events} == {1}
    assert {event["workload"] for event in events} == {"web", "client"}
    assert agent.counts("web")["staged_deny"] >= 2
    agent.policy(policy(REJECT, ALLOW))
    assert traffic.tcp_try(client, ip, TCP, seconds=SECONDS) == "refused"


def test_a_denial_says_which_staged_rule_would_allow_it(agent, pods):
    _web, client = pods
    agent.policy(policy(f"{ALLOW}, stage: true"))
    assert traffic.tcp_try(client, IPS[0], TCP) == "silence"
    (event,) = wait_for(lambda: told(agent, "staged"))
    assert (event["rule_id"], event["reason"]) == (1, "staged_allow")
    assert told(agent, "denial")[0]["reason"] == "default_deny"


@BY_FAMILY
def test_ping_may_be_all_of_icmp_that_passes(agent, pods, ip):
    _web, client = pods
    kind = "icmp/8" if "." in ip else "icmpv6/128"
    agent.policy(policy(f"{ALLOW}, ports: [{kind}]"))
    assert traffic.pings(client, ip) == 3
    assert traffic.udp_try(client, ip, UDP) == "silence"
    agent.policy(policy(f"{ALLOW}, ports: [icmp/13, icmpv6/1-127]"))
    assert traffic.pings(client, ip) == 0
