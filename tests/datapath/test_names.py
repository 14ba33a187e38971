"""Rules to DNS names on real answers: dnsmasq answers, glibc asks, and no first connection fails."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests import packets
from tests.lab.datapath.wiring import u32_missing
from tests.lab.net import named
from tests.lab.pace import wait_for

PAIRS = 200
GRACE_S = 120
MANY, HUGE = 25, 60
"""Addresses of one name: as many as fit into 512 bytes, and more, which are told by TCP alone."""
KNOWN, HIDDEN = packets.world_ip4, named.numbered(packets.world_net_ip4, 250, 1)[0]
NAMES = {
    **{
        f"n{number}.example.org": [ip]
        for number, ip in enumerate(named.numbered(packets.world_net_ip4, 10, PAIRS))
    },
    **{
        f"six{number}.example.org": [ip]
        for number, ip in enumerate(named.numbered(packets.world_net_ip6, 10, 20))
    },
    "db.internal": [KNOWN],
    "many.example.org": named.numbered(packets.world_net_ip4, 10, MANY),
    "huge.example.org": named.numbered(packets.world_net_ip4, 100, HUGE),
    "other.test": [HIDDEN],
}
POLICY = f"""
groups:
  pods: {{selector: {{name: "pod*"}}}}
  resolvers: {{cidrs: [{packets.gateway_ip4}, "{packets.gateway_ip6}"]}}
  far: {{fqdns: ["*.example.org", db.internal]}}
modes: {{pods: protect}}
rules:
  - {{id: 1, from: pods, to: resolvers, ports: [udp/53, tcp/53], action: allow}}
  - {{id: 2, from: pods, to: far, ports: [tcp/{named.PORT}], action: allow}}
"""
CNAMES = (
    *("--cname=alias.test,db.internal", "--cname=a.example.org,other.test"),
    *("--cname=b.test,alias.test", "--cname=c.test,b.test", "--cname=d.test,c.test"),
)


@pytest.fixture(params=["ebpf", "u32"])
def world(request, lab, agent):
    """Name: world. Scope: function. Depends: lab, agent. (host, pods): two workloads that may ask the host and
    connect to what it told them, each by itself; nobody answers yet."""
    if request.param == "u32" and (lacks := u32_missing()):
        pytest.skip(f"no u32 datapath on this kernel: {lacks}")
    host, both = lab.pods()
    named.serve_world(host)
    for number, pod in enumerate(both):
        agent.attach(pod, f"pod{number}", datapath=request.param)
    agent.policy(POLICY)
    return host, both


@pytest.fixture
def pods(world, tmp_path):
    """Name: pods. Scope: function. Depends: world. (client, other): programs in the two, which dnsmasq answers."""
    host, both = world
    named.dnsmasq(host, tmp_path, NAMES, *CNAMES)
    return tuple(named.Client(pod, tmp_path) for pod in both)


def learnt(agent, name="pod0"):
    return {
        (one["asked"], one["address"]): one for one in agent.client.names(name)["names"]
    }


def test_no_first_connection_to_a_name_fails(pods, agent):
    client, _ = pods
    assert client.pairs("nN.example.org", 0, PAIRS)["failed"] == []
    assert client.pairs("sixN.example.org", 0, 20)["failed"] == []
    found = learnt(agent)
    one = found["n7.example.org", NAMES["n7.example.org"][0]]
    assert (one["groups"], one["matched"]) == (["far"], "n7.example.org")
    assert (one["resolver"], one["ttl"]) == (packets.gateway_ip4, 60)
    assert len(found) >= PAIRS + 20
    assert "n7.example.org" in agent.cli("names", "pod0").stdout


def test_only_who_was_told_an_address_may_use_it(pods, agent):
    client, other = pods
    assert not client.opens(KNOWN)
    assert client.look("db.internal") == [KNOWN]
    assert client.opens(KNOWN)
    assert not other.opens(KNOWN)
    assert client.look("other.test") == [HIDDEN]
    assert not client.opens(HIDDEN)
    asked = "pod0", KNOWN, f"tcp/{named.PORT}"
    assert not agent.client.test_policy(*asked)["opens"]
    assert agent.client.test_policy(*asked, names=["db.internal"])["opens"]


@pytest.mark.parametrize("option", ["edns0", "use-vc", "single-request", "trust-ad"])
def test_names_are_learnt_however_the_client_asks(world, tmp_path, option):
    """`use-vc` asks by TCP alone; `edns0` takes more than 512 bytes in a datagram."""
    host, (pod, _) = world
    named.dnsmasq(host, tmp_path, NAMES)
    client = named.Client(pod, tmp_path, option, resolver=packets.gateway_ip6)
    assert client.pairs("nN.example.org", 0, 10)["failed"] == []
    assert client.opens("DB.Internal")
    assert all(client.opens(ip) for ip in client.look("huge.example.org"))


def test_names_are_learnt_from_unbound(world, tmp_path):
    host, (pod, _) = world
    named.unbound(host, tmp_path, NAMES)
    client = named.Client(pod, tmp_path)
    assert client.pairs("nN.example.org", 0, PAIRS)["failed"] == []
    assert all(client.opens(ip) for ip in client.look("huge.example.org"))


@pytest.mark.parametrize("world", ["ebpf"], indirect=True)
def test_an_address_stays_for_ttl_and_grace_and_while_a_flow_to_it_lives(
    world, tmp_path
):
    """The grace is two minutes."""
    host, (pod, _) = world
    named.dnsmasq(host, tmp_path, NAMES, ttl=1)
    client = named.Client(pod, tmp_path)
    (used,), (unused,) = client.look("n1.example.org"), client.look("n2.example.org")
    assert client.keep(used)
    time.sleep(GRACE_S / 2)
    assert client.talk()
    assert client.opens(unused)
    time.sleep(GRACE_S / 2 + 15)
    assert client.talk()
    assert client.opens(used)
    assert not client.opens(unused)
    assert client.opens("n2.example.org")


@pytest.mark.parametrize("name", ["alias.test", "a.example.org", "d.test"])
def test_any_name_of_a_chain_is_enough(pods, agent, name):
    client, _ = pods
    assert client.opens(name)
    (one,) = (one for (asked, _), one in learnt(agent).items() if asked == name)
    assert one["matched"] in {"db.internal", "a.example.org"}


@pytest.mark.parametrize(("name", "count"), [("many", MANY), ("huge", HUGE)])
def test_each_of_many_addresses_may_be_used_at_once(pods, name, count):
    client, _ = pods
    found = client.look(f"{name}.example.org")
    assert len(set(found)) == count
    assert all(client.opens(ip) for ip in found)


def test_what_was_looked_up_outlives_engine_and_agent(pods, agent):
    client, other = pods
    (ip,) = client.look("n1.example.org")
    former = agent.engine_pid()
    os.kill(former, signal.SIGKILL)
    wait_for(lambda: agent.engine_pid() not in (0, former), 20)
    agent.kill()
    agent.start()
    assert client.opens(ip)
    assert not other.opens(ip)
    assert client.opens("n2.example.org")


def test_a_name_needs_no_agent(pods, agent):
    client, _ = pods
    agent.kill()
    assert client.opens("n3.example.org")
    agent.start()


def test_a_policy_without_the_name_ends_what_rested_on_it(pods, agent):
    client, _ = pods
    (ip,) = client.look("n4.example.org")
    assert client.keep(ip)
    agent.policy(POLICY.replace('"*.example.org", ', ""))
    assert not client.talk()
    assert not client.opens(ip)
    agent.policy(POLICY)
    assert client.opens("n4.example.org")


def test_engines_tell_each_other_what_they_learnt(lab, agent_with, tmp_path):
    """A resolver's answer and the connection after it are packets of different engines, half of the time."""
    agent = agent_with("--workers", "2")
    host, (pod, _) = lab.pods()
    named.serve_world(host)
    named.dnsmasq(host, tmp_path, NAMES, *CNAMES)
    agent.attach(pod, "pod0")
    agent.policy(POLICY)
    client = named.Client(pod, tmp_path)
    first = {number: NAMES[f"n{number}.example.org"][0] for number in range(6)}
    assert not any(client.opens(ip) for ip in first.values())
    assert client.pairs("nN.example.org", 0, PAIRS)["failed"] == []
    assert all(client.opens(ip) for ip in client.look("huge.example.org"))
