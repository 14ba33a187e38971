"""One policy's life on each datapath: learned, simulated, applied, staged, rejected, counted,
imported; with live traffic throughout. One agent for all of it, since u32's kernels may be emulated."""

from __future__ import annotations

import json

import pytest

from tests import packets
from tests.lab.datapath.wiring import u32_missing
from tests.lab.net import traffic
from tests.lab.pace import wait_for

IP = packets.pod_one_ip4
KEPT, LOST = 8080, 8081
SECONDS = 3
"""An answer that comes is there long before."""
MODES = {"web": "protect", "client": "discover"}
WEB = {"from": "client", "to": "web"}
ISOLATED = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 8081}]}]
"""


@pytest.fixture(params=["ebpf", "u32"])
def pods(request, lab, agent):
    """Name: pods. Scope: function. Depends: lab, agent. (web, client), both in discover; web echoes."""
    if request.param == "u32" and (lacks := u32_missing()):
        pytest.skip(f"no u32 datapath on this kernel: {lacks}")
    _host, (web, client) = lab.pods()
    for port in (KEPT, LOST):
        traffic.tcp_echo(web, IP, port)
    traffic.udp_echo(web, IP, KEPT)
    for pod, name in ((web, "web"), (client, "client")):
        labels = {"io.kubernetes.pod.namespace": "shop", "app": name}
        agent.attach(pod, name, labels=labels, datapath=request.param)
    return web, client


def tcp(client, port):
    return traffic.tcp_try(client, IP, port, SECONDS)


def told(agent, kind):
    return agent.client.events(100, kind=kind)["events"]


def test_what_is_learned_is_simulated_applied_and_enforced(agent, pods, tmp_path):
    _web, client = pods
    kept, lost = (traffic.tcp_talk(client, IP, port) for port in (KEPT, LOST))
    assert [talk.said("one") for talk in (kept, lost)] == [{"back": "one\n"}] * 2
    assert traffic.udp_try(client, IP, KEPT, SECONDS) == "open"

    def learned():
        document = agent.client.policy_learned()["document"]
        ports = {port for rule in document["rules"] for port in rule["ports"]}
        whole = {f"tcp/{KEPT}", f"tcp/{LOST}", f"udp/{KEPT}"}
        return document if ports == whole else None

    body = wait_for(learned)
    assert {(one["from"], one["to"]) for one in body["rules"]} == {("client", "web")}
    for rule in body["rules"]:
        rule["ports"] = [port for port in rule["ports"] if port != f"tcp/{LOST}"]
    body["rules"] = [rule for rule in body["rules"] if rule["ports"]]
    body["modes"] = MODES

    found = agent.client.simulate_policy(json.dumps(body))
    assert (found["flows"]["denied"], found["flows"]["unchanged"]) == (1, 2)
    (denied,) = [one for one in found["examples"] if one["change"] == "denied"]
    assert (denied["source"], denied["service"]) == ("client", f"tcp/{LOST}")
    assert lost.said("two") == {"back": "two\n"}

    agent.client.apply_policy(json.dumps(body))
    assert kept.said("three") == {"back": "three\n"}
    assert "error" in lost.said("three")
    assert tcp(client, LOST) == "silence"

    stage = {"id": 1, **WEB, "ports": ["tcp/8080"], "action": "deny", "stage": True}
    reject = {"id": 2, **WEB, "ports": ["tcp/8081", "udp/8080"], "action": "reject"}
    body["rules"] = [stage, reject, *body["rules"]]
    found = agent.client.simulate_policy(json.dumps(body))
    staged = {
        (one["service"], one["after"]["staged_rule_id"])
        for one in found["staged_examples"]
    }
    assert (found["staged"], staged) == (1, {(f"tcp/{KEPT}", 1)})
    agent.client.apply_policy(json.dumps(body))
    assert kept.said("four") == {"back": "four\n"}
    assert tcp(client, KEPT) == "open"
    assert tcp(client, LOST) == "refused"
    assert "refused" in traffic.udp_try(client, IP, KEPT, SECONDS)
    # The staged rule's: the open connection and the new one, at both ends; the other's likewise.
    counted = {one["id"]: one["hits"] for one in agent.client.policy_hits()["rules"]}
    assert (counted[1], counted[2]) == (4, 4)
    staged = wait_for(lambda: told(agent, "staged"))
    assert {(one["rule_id"], one["reason"]) for one in staged} == {(1, "staged_deny")}
    assert {one["rule_id"] for one in told(agent, "denial")} >= {2}

    file = tmp_path / "isolated.yaml"
    file.write_text(ISOLATED, encoding="utf-8")
    agent.cli("policy", "import", "--kubernetes", "-f", str(file), "--apply")
    assert tcp(client, LOST) == "open"
    assert "error" in kept.said("five")
    assert tcp(client, KEPT) == "silence"
