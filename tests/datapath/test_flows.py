"""`segctl flows` with real traffic: every byte once, whoever carried it, across an agent's death."""

from __future__ import annotations

import json
import socket
import urllib.request

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.net.netcount import count, counted, told
from tests.lab.pace import wait_for

IP = packets.pod_one_ip4
PORT = 8080
SIZE = 2_000_000


def flows(agent, *options):
    found = json.loads(agent.cli("flows", "-o", "json", *options).stdout)["flows"]
    return [one for one in found if one["destination_port"] == PORT]


def ended(agent):
    return wait_for(lambda: [one for one in flows(agent) if not one["live"]])


@pytest.fixture
def served(lab, agent):
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IP, PORT)
    agent.attach(web, "web", mode="protect")
    agent.policy(
        "groups: {web: {selector: {name: web}}}\n"
        "rules: [{id: 3, from: any, to: web, ports: [tcp/8080], action: allow}]\n"
    )
    return web, client


def test_every_byte_of_a_flow_is_told_once_with_both_ways_and_the_carrier(
    agent, served
):
    _web, client = served
    count(client, PORT)
    assert traffic.tcp_round(client, IP, PORT, SIZE)
    (flow,) = ended(agent)
    assert told(flow) == counted(client)
    assert flow["bytes"] > SIZE
    assert flow["bytes_back"] > SIZE
    assert flow["kernel_bytes"] > 0.9 * (flow["bytes"] + flow["bytes_back"])
    assert (flow["verdict"], flow["rule_id"], flow["direction"]) == (
        "allow",
        3,
        "ingress",
    )
    assert (flow["source"], flow["destination_name"]) == (packets.pod_two_ip4, "web")
    assert flows(agent, "--workload", "web") == [flow]
    for command in ("flows", "events"):
        refused = agent.cli(command, "--workload", "nope", check=False)
        assert (refused.returncode, "nope" in refused.stderr) == (3, True)
    agent.client.detach(workload="web")
    # Who has gone is not unknown.
    assert flows(agent, "--workload", "web") == [flow]


def test_a_flow_is_told_once_and_whole_across_a_killed_agent(agent, served):
    _web, client = served
    talk = traffic.tcp_talk(client, IP, PORT)
    assert talk.said("one") == {"back": "one\n"}
    (live,) = flows(agent)
    assert live["live"]
    agent.kill()
    assert talk.said("two") == {"back": "two\n"}
    agent.start()
    assert talk.said("three") == {"back": "three\n"}
    talk.process.kill()
    (flow,) = ended(agent)
    assert flow["packets"] > live["packets"]
    agent.kill()
    agent.start()
    assert len(flows(agent)) == 1


def test_flows_between_two_workloads_are_one_with_both_verdicts(lab, agent, served):
    _web, client = served
    agent.attach(client, "client", mode="protect")
    assert traffic.tcp_round(client, IP, PORT, 1000)
    (flow,) = ended(agent)
    assert (flow["source_name"], flow["destination_name"]) == ("client", "web")
    assert flow["direction"] == "both"
    assert [one["workload"] for one in flow["judged"]] == ["client", "web"]
    assert flow["judged"][0]["bytes"] == flow["judged"][1]["bytes"]
    agent.client.set_mode("client", "discover")
    agent.policy("groups: {web: {selector: {name: web}}}\n")
    assert traffic.tcp_try(client, IP, PORT) == "silence"
    (flow,) = wait_for(lambda: flows(agent, "--verdict", "deny"))
    assert [one["verdict"] for one in flow["judged"]] == ["allow", "deny"]
    (event,) = json.loads(agent.cli("events", "--kind", "denial", "-o", "json").stdout)[
        "events"
    ]
    assert event["workload"] == "web"


def test_metrics_are_served_on_the_socket_and_where_asked(lab, agent_with):
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    agent = agent_with("--metrics", f"localhost:{port}")
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IP, PORT)
    agent.attach(web, "web")
    assert traffic.tcp_round(client, IP, PORT, 1000)
    with urllib.request.urlopen(f"http://localhost:{port}/metrics", timeout=10) as page:
        text = page.read().decode()
    assert "segctl_engine_up 1.0" in text
    assert "segctl_workloads_lost 0.0" in text
    assert "tcp" in agent.cli("top", "--once").stdout
    labels = 'category="steer",port="eth0",reason="to_engine",workload="web"'
    assert f"segctl_packets_total{{{labels}}}" in text
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(agent.instance.api_socket))
        asking.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        answer = asking.makefile("rb").read()
    assert b"segctl_history_recording 1.0" in answer


def test_a_name_that_is_no_text_costs_nobody_an_answer_or_a_record(agent, served):
    _web, client = served
    agent.attach(client, "client", mode="protect")
    rename = (
        "ip link set eth0 down && ip link set eth0 name $(printf 'e\\377') && "
        "ip link set $(printf 'e\\377') up"
    )
    client.run("sh", "-c", rename)
    wait_for(lambda: "e\\xff" in agent.cli("list").stdout)
    client.run("sh", "-c", "ip link set $(printf 'e\\377') down")
    client.run("sh", "-c", "ip link set $(printf 'e\\377') name eth0")
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(agent.instance.api_socket))
        asking.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert asking.makefile("rb").readline().split()[1] == b"200"
    assert agent.client.status()["history"]["lost"] == 0
    told = json.loads(agent.cli("events", "--workload", "client", "-o", "json").stdout)
    assert any("e\\xff" in event["message"] for event in told["events"])


def only(*rules):
    return (
        f"groups: {{web: {{selector: {{name: web}}}}}}\nrules: [{', '.join(rules)}]\n"
    )


def asks_for(app):
    return only(
        f"{{id: 3, from: any, to: web, ports: [tcp/8080], apps: [{app}], action: allow}}"
    )


def learned(agent):
    told = agent.cli("policy", "learned", "--apps", "-o", "json").stdout
    return [one for one in json.loads(told)["rules"] if one["id"] != 3]


def test_a_flow_is_told_with_its_application_and_a_denial_names_it(agent, served):
    """The server sends back what it hears, so both sides speak SSH."""
    _web, client = served
    agent.policy(asks_for("HTTP"))
    assert "error" in traffic.tcp_talk(client, IP, PORT).said("SSH-2.0-one")
    (denied,) = wait_for(lambda: flows(agent, "--app", "SSH", "--verdict", "deny"))
    assert denied["reason"] == "default_deny"
    told = agent.cli("events", "--kind", "denial", "-o", "json").stdout
    (event,) = json.loads(told)["events"]
    assert event["message"] == "no policy rule allows SSH"
    assert learned(agent) == []
    agent.policy(asks_for("SSH"))
    talk = traffic.tcp_talk(client, IP, PORT)
    (live,) = [one for one in flows(agent) if one["live"]]
    assert (live["app"], live["look"], live["kernel_bytes"]) == (None, "pending", 0)
    assert "1 pending" in agent.cli("show", "web").stdout
    assert talk.said("SSH-2.0-one") == {"back": "SSH-2.0-one\n"}
    (live,) = [one for one in flows(agent, "--app", "ssh") if one["live"]]
    assert (live["app"], live["app_guessed"]) == ("SSH", False)
    assert "SSH 1" in agent.cli("show", "web").stdout
    assert " SSH " in agent.cli("top", "--once").stdout
    talk.process.kill()
    wait_for(lambda: not any(one["live"] for one in flows(agent)))
    agent.policy(only())
    (rule,) = learned(agent)
    assert (rule["ports"], rule["apps"]) == (["tcp/8080"], ["SSH"])
