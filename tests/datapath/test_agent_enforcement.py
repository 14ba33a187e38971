"""What is denied is really denied, what is allowed flows, for IPv4 and IPv6: through the whole of
agent, engine, kernel. Numbers are the behaviours of the acceptance list."""

from __future__ import annotations

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.pace import wait_for

IPS = [packets.pod_one_ip4, packets.pod_one_ip6]
BY_FAMILY = pytest.mark.parametrize("ip", IPS, ids=["ipv4", "ipv6"])

WEB = "groups: {web: {selector: {name: web}}}\n"
PROTECT = WEB + "modes: {web: protect}\n"


def rules(*lines: str) -> str:
    return "rules:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


@BY_FAMILY
def test_17_default_deny_is_silent_and_counted(lab, agent, ip):
    """A port scan of a protected workload learns nothing, and its owner sees it."""
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, ip, 8080)
    traffic.udp_echo(web, ip, 8081)
    agent.attach(web, "web", mode="protect")
    assert traffic.tcp_try(client, ip, 8080) == "silence"
    assert traffic.udp_try(client, ip, 8081) == "silence"
    assert traffic.pings(client, ip, count=1) == 0
    assert agent.counts("web")["default_deny"] >= 3

    def denials():
        events = agent.client.events(500)["events"]
        return [event for event in events if event["kind"] == "denial"]

    tcp = wait_for(lambda: [e for e in denials() if e["protocol"] == "tcp"])[0]
    assert tcp["workload"] == "web"
    assert tcp["direction"] == "ingress"
    assert tcp["destination"].endswith(":8080")
    assert tcp["reason"] == "default_deny"
    assert tcp["rule_id"] is None


@BY_FAMILY
def test_an_allow_rule_opens_its_port_and_no_other(lab, agent, ip):
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, ip, 8080)
    traffic.tcp_echo(web, ip, 8082)
    agent.attach(web, "web")
    agent.policy(
        PROTECT + rules("id: 1, from: any, to: web, ports: [tcp/8080], action: allow")
    )
    assert traffic.tcp_try(client, ip, 8080) == "open"
    assert traffic.tcp_try(client, ip, 8082) == "silence"


@BY_FAMILY
def test_18_a_policy_change_resets_both_sides_of_an_open_connection(lab, agent, ip):
    """What is denied from now on is denied for those already inside, too."""
    _host, (web, client) = lab.pods()
    server = traffic.tcp_echo(web, ip, 8080)
    agent.attach(web, "web")
    allow = rules("id: 1, from: any, to: web, ports: [tcp/8080], action: allow")
    agent.policy(PROTECT + allow)
    talk = traffic.tcp_talk(client, ip, 8080)
    for word in ("one", "two", "three"):
        assert talk.said(word) == {"back": f"{word}\n"}
    agent.policy(PROTECT + allow.replace("allow", "deny"))
    assert talk.said("four")["error"] in ("ConnectionResetError", "BrokenPipeError")
    assert server.heard() == {"reset": True}
    assert traffic.tcp_try(client, ip, 8080) == "silence"
    assert agent.counts("web")["blocked_connection"] >= 1


@BY_FAMILY
def test_a_policy_change_that_still_allows_cuts_nothing(lab, agent, ip):
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, ip, 8080)
    agent.attach(web, "web")
    allow = "id: {}, from: any, to: web, ports: [tcp/8080], action: allow"
    agent.policy(PROTECT + rules(allow.format(1)))
    talk = traffic.tcp_talk(client, ip, 8080)
    assert talk.said("one") == {"back": "one\n"}
    agent.policy(PROTECT + rules(allow.format(2)))
    assert talk.said("two") == {"back": "two\n"}


def test_denied_syns_are_answered_with_reset_where_the_policy_says_so(lab, agent):
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, packets.pod_one_ip4, 8080)
    traffic.tcp_echo(web, packets.pod_one_ip6, 8080)
    agent.attach(web, "web")
    agent.policy(PROTECT + "options: {deny: reset}\n")
    for ip in IPS:
        assert traffic.tcp_try(client, ip, 8080, seconds=2) == "refused"


def test_19_the_first_rule_that_matches_decides(lab, agent):
    ip = packets.pod_one_ip4
    _host, (web, client) = lab.pods()
    for port in (8080, 8081, 8090):
        traffic.tcp_echo(web, ip, port)
    traffic.udp_echo(web, ip, 8080)
    agent.attach(web, "web")
    agent.policy(
        PROTECT
        + rules(
            "id: 1, from: any, to: web, ports: [tcp/8081], action: deny",
            "id: 2, from: any, to: web, ports: [tcp/8080-8089], action: allow",
            "id: 3, from: any, to: web, ports: [icmp], action: allow",
        )
    )
    assert traffic.tcp_try(client, ip, 8080) == "open"
    assert traffic.tcp_try(client, ip, 8081) == "silence"
    assert traffic.tcp_try(client, ip, 8090) == "silence"
    assert traffic.udp_try(client, ip, 8080) == "silence"
    assert traffic.pings(client, ip) == 3
    denied = agent.counts("web")
    assert denied["policy_deny"] >= 1
    assert denied["default_deny"] >= 2


def test_a_policy_that_is_asked_answers_as_the_traffic_goes(lab, agent):
    """And so does a rule that holds at one end alone."""
    ip = packets.pod_one_ip4
    _host, (web, client) = lab.pods()
    for port in (8080, 8081, 8082):
        traffic.tcp_echo(web, ip, port)
    agent.attach(web, "web")
    agent.attach(client, "client")
    agent.policy(
        "groups: {web: {selector: {name: web}}, client: {selector: {name: client}}}\n"
        "modes: {web: protect, client: protect}\n"
        + rules(
            "id: 1, from: client, to: web, ports: [tcp/8080], action: allow",
            "id: 2, from: client, to: web, ports: [tcp/8081, tcp/8082], direction: egress, action: allow",
            "id: 3, from: any, to: web, ports: [tcp/8082], direction: ingress, action: allow",
        )
    )
    asked = {}
    for port, opens in ((8080, True), (8081, False), (8082, True)):
        asked[port] = agent.client.test_policy("client", "web", f"tcp/{port}")
        assert asked[port]["opens"] is opens
        found = traffic.tcp_try(client, ip, port)
        assert found == ("open" if opens else "silence")
    decided = {
        port: [end["rules"][-1] for end in answer["ends"]]
        for port, answer in asked.items()
    }
    assert [rule["id"] for rule in decided[8082]] == [2, 3]
    assert decided[8081][1]["why_not"] is not None
    assert asked[8080]["target"] == ip


def test_08_same_host_traffic_is_judged_once_at_each_end(lab, agent):
    """A's egress "allow" must not open B's ingress "deny", nor the other way round."""
    ip = packets.pod_one_ip4
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, ip, 8080)
    agent.attach(web, "web")
    agent.attach(client, "client")
    both_ends = (
        "groups: {web: {selector: {name: web}}, client: {selector: {name: client}}}\n"
    )
    allow = rules("id: 1, from: client, to: web, ports: [tcp/8080], action: allow")
    agent.policy(both_ends + "modes: {web: protect, client: protect}\n" + allow)
    assert traffic.tcp_try(client, ip, 8080) == "open"
    for strict, lax in (("web", "client"), ("client", "web")):
        agent.policy(both_ends + f"modes: {{{strict}: protect, {lax}: discover}}\n")
        before = agent.counts(lax).get("default_deny", 0)
        assert traffic.tcp_try(client, ip, 8080) == "silence"
        assert agent.counts(strict)["default_deny"] >= 1
        assert agent.counts(lax).get("default_deny", 0) == before
    judged = [
        (event["workload"], event["direction"])
        for event in agent.client.events(500)["events"]
        if event["kind"] == "denial"
    ]
    assert set(judged) == {("web", "ingress"), ("client", "egress")}


@BY_FAMILY
def test_discover_and_monitor_pass_what_protect_would_deny(lab, agent, ip):
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, ip, 8080)
    agent.attach(web, "web")
    for mode in ("discover", "monitor"):
        agent.client.set_mode("web", mode)
        assert traffic.tcp_try(client, ip, 8080) == "open"
    wait_for(
        lambda: [
            event
            for event in agent.client.events(500)["events"]
            if event["kind"] == "violation" and event["workload"] == "web"
        ],
        message="monitor recorded no violation",
    )


def test_14_quarantine_stops_everything_and_lifting_it_restores(lab, agent):
    ip = packets.pod_one_ip4
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, ip, 8080)
    agent.attach(web, "web")
    talk = traffic.tcp_talk(client, ip, 8080)
    assert talk.said("one") == {"back": "one\n"}
    agent.client.set_mode("web", "quarantine")
    client.run("ip", "neigh", "flush", "dev", "eth0")
    assert traffic.tcp_try(client, ip, 8080) in (
        "silence",
        "[Errno 113] No route to host",
    )
    assert agent.counts("web")["quarantine"] >= 1
    agent.client.set_mode("web", "auto")
    assert agent.client.workload("web")["mode"] == "discover"
    wait_for(lambda: traffic.tcp_try(client, ip, 8080) == "open")


def test_addresses_that_the_workload_adds_are_its_own_where_the_operator_says_so(
    lab, agent
):
    """Told at once; usable with --follow-addresses alone, which attaching again may say."""
    _host, (web, client) = lab.pods()
    agent.attach(web, "web", mode="protect")
    agent.policy(
        WEB
        + "modes: {web: protect}\n"
        + rules("id: 1, from: any, to: any, action: allow")
    )
    extra = packets.pod_one_extra_ip4

    def pings() -> bool:
        words = ("ping", "-n", "-q", "-c", "1", "-W", "0.3", "-I", extra)
        return web.run(*words, packets.pod_two_ip4, check=False).returncode == 0

    def claims() -> list[tuple[str, str]]:
        found = agent.client.workload("web")["claims"]
        return [(one["address"], one["state"]) for one in found]

    web.run("ip", "addr", "add", f"{extra}/24", "dev", "eth0")
    wait_for(lambda: claims() == [(f"{extra}/24", "unused")])
    assert not pings()
    web.run("ip", "addr", "del", f"{extra}/24", "dev", "eth0")
    wait_for(lambda: claims() == [])
    agent.attach(web, "web", follow="free")
    web.run("ip", "addr", "add", f"{extra}/24", "dev", "eth0")
    wait_for(lambda: claims() == [(f"{extra}/24", "followed")])
    wait_for(pings)
    # On one bridge it stays whose it is.
    client.run("ip", "addr", "add", f"{extra}/32", "dev", "lo")
    agent.attach(client, "client")
    assert claims() == [(f"{extra}/24", "followed")]
    (claim,) = agent.client.workload("client")["claims"]
    assert (claim["address"], claim["state"]) == (f"{extra}/32", "refused")
