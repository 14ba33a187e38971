"""Threats on real traffic: told once with a count, dropped where the settings say so, and near misses are none."""

from __future__ import annotations

import json

import pytest

from tests import packets
from tests.lab.net.netns import Netns
from tests.lab.net.traffic import Program, tcp_echo, tcp_try
from tests.lab.pace import wait_for

IP = packets.pod_one_ip4
PORT, TLS = 8080, 4433
QUIET = {"stdin": -3, "stdout": -3, "stderr": -3}
POLICY = """
groups: {{web: {{selector: {{name: web}}}}}}
modes: {{web: {mode}}}
threats: {{web: {{{threats}}}}}
rules:
  - {{id: 1, from: any, to: web, ports: [tcp/8080, tcp/4433, icmp], action: allow}}
"""
# SYNs that nobody answers, for their checksums are wrong, a millisecond apart.
_FLOOD = """
import struct
ip, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); own.connect((ip, port))
source, target = socket.inet_aton(own.getsockname()[0]), socket.inet_aton(ip)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for number in range(count):
    segment = struct.pack("!HHIIBBHHH", 1024 + number, port, 1, 0, 0x50, 2, 1024, 0, 0)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, source, target)
    raw.sendto(head + segment, (ip, 0)); time.sleep(0.001)
say(sent=count)
"""
_CONNECTS = """
ip, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
held = [socket.create_connection((ip, port), timeout=10) for _ in range(count)]
say(connected=len(held))
"""
_SCAN = """
ip, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for port in range(first, first + count):
    one = socket.socket(); one.setblocking(False); one.connect_ex((ip, port)); one.close()
say(tried=count)
"""


@pytest.fixture
def served(lab, agent):
    """(web, client): web is attached, and answers on PORT."""
    _host, (web, client) = lab.pods()
    tcp_echo(web, IP, PORT)
    agent.attach(web, "web")
    return web, client


def policy(agent, mode: str = "protect", **threats: str) -> None:
    words = ", ".join(f"{name}: {action}" for name, action in threats.items())
    agent.policy(POLICY.format(mode=mode, threats=words))


def events(agent) -> list[dict]:
    asked = ("events", "-o", "json", "--kind", "threat", "--limit", "500")
    return json.loads(agent.cli(*asked).stdout)["events"]


def names(agent) -> list[str]:
    return [one["reason"] for one in events(agent)]


def run(ns: Netns, source: str, *words: object) -> dict:
    return Program(ns, source, IP, *map(str, words)).heard()


def test_a_syn_flood_is_told_once_with_its_source(served, agent):
    _web, client = served
    policy(agent)
    run(client, _FLOOD, PORT, 2500)
    wait_for(lambda: names(agent) == ["syn_flood"])
    (event,) = events(agent)
    assert event["source"].startswith(packets.pod_two_ip4)
    assert event["message"].startswith("critical: 800 SYNs of one source")
    assert tcp_try(client, IP, PORT) == "open"


def test_a_dropped_syn_flood_does_not_reach_the_workload(served, agent):
    _web, client = served
    policy(agent, syn_flood="drop")
    run(client, _FLOOD, PORT, 3000)
    wait_for(lambda: any("; dropped" in one["message"] for one in events(agent)))
    assert agent.counts("web")["threat"] > 500


def test_two_thousand_connections_that_are_answered_are_no_flood(served, agent):
    _web, client = served
    policy(agent)
    for _ in range(2):
        run(client, _CONNECTS, PORT, 900)
    assert tcp_try(client, IP, PORT) == "open"
    assert names(agent) == []


@pytest.mark.parametrize("mode", ["protect", "monitor"])
def test_a_port_scan_is_told_and_a_few_tries_are_not(served, agent, mode):
    _web, client = served
    policy(agent, mode)
    run(client, _SCAN, 2000, 30)
    assert names(agent) == []
    run(client, _SCAN, 2000, 100)
    wait_for(lambda: "port_scan" in names(agent))
    assert len(names(agent)) == 1, events(agent)


def test_closed_ports_of_a_workload_in_discover_are_a_scan(served, agent):
    _web, client = served
    policy(agent, "discover")
    run(client, _SCAN, 2000, 100)
    wait_for(lambda: names(agent) == ["port_scan"])


def test_a_ping_of_death_dies_and_a_large_ping_lives(served, agent):
    _web, client = served
    policy(agent)
    large = client.run("ping", "-c", "1", "-W", "2", "-s", "31000", IP, check=False)
    assert " 0% packet loss" in large.stdout
    huge = client.run("ping", "-c", "1", "-W", "2", "-s", "33000", IP, check=False)
    assert "100% packet loss" in huge.stdout
    wait_for(lambda: names(agent) == ["ping_of_death"])


@pytest.fixture
def https(served, tmp_path):
    """Name: https. Scope: function. Depends: served. The client's handshake with a server of TLS 1.0 to 1.2 on web."""
    web, client = served
    key, cert = tmp_path / "key", tmp_path / "cert"
    made = ("-newkey", "rsa:2048", "-nodes", "-subj", "/CN=web", "-days", "2")
    web.run("openssl", "req", "-x509", *made, "-keyout", key, "-out", cert)
    old = ("-cipher", "ALL:@SECLEVEL=0")
    options = ("-key", str(key), "-cert", str(cert), "-accept", str(TLS), "-quiet")
    web.spawn("openssl", "s_server", *options, *old, "-no_tls1_3", **QUIET)
    wait_for(lambda: tcp_try(client, IP, TLS) == "open")

    def shakes(version: str) -> bool:
        asked = ("-connect", f"{IP}:{TLS}", version, *old, "-brief")
        done = client.run(
            "openssl", "s_client", *asked, check=False, stdin=-3, seconds=20
        )
        return "CONNECTION ESTABLISHED" in done.stdout + done.stderr

    return shakes


def test_tls_1_0_is_told_where_it_is_asked_for(https, agent):
    policy(agent, tls_1_0="alert")
    assert https("-tls1")
    wait_for(lambda: names(agent) == ["tls_1_0"])


def test_tls_1_0_is_reset_and_1_2_passes_and_is_carried_by_the_kernel(https, agent):
    policy(agent, tls_1_0="reset")
    assert not https("-tls1")
    wait_for(lambda: names(agent) == ["tls_1_0"])
    assert https("-tls1_2")
    assert len(names(agent)) == 1
    assert agent.counts("web")["flow_allow"] > 0
