"""IPv6's link-local addresses are names like any others: two workloads on one link need no more to talk."""

from __future__ import annotations

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.net.netns import Netns
from tests.lab.pace import wait_for

POLICY = """groups: {web: {selector: {name: web}}, client: {selector: {name: client}}}
modes: {any: protect}
rules:
  - {id: 1, from: client, to: web, action: %s}
  - {id: 2, from: any, to: %s, action: allow}
"""


def link_local(pod: Netns) -> str:
    """As another on the link reaches it."""
    (link,) = pod.ip("-6", "address", "show", "dev", "eth0", "scope", "link")
    found = [one["local"] for one in link["addr_info"] if "local" in one]
    return f"{found[0]}%eth0"


@pytest.fixture
def pods(lab, agent) -> tuple[Netns, Netns]:
    """Name: pods. Scope: function. Depends: lab, agent. (web, client), both attached."""
    _host, (web, client) = lab.pods()
    agent.attach(web, "web")
    agent.attach(client, "client")
    return web, client


@pytest.mark.parametrize("end", ["egress", "ingress"])
def test_what_is_denied_between_groups_is_denied_there_too(agent, pods, end):
    """The rule behind it allows all: by it the denial would be passed by."""
    web, client = pods
    agent.policy(
        (POLICY % ("deny", "any")).replace("deny}", f"deny, direction: {end}}}")
    )
    assert traffic.pings(client, link_local(web)) == 0
    assert agent.counts("client" if end == "egress" else "web")["policy_deny"]
    traffic.reaches(web, link_local(client))


def test_what_is_allowed_between_groups_passes_there_too(agent, pods):
    web, client = pods
    agent.policy(POLICY % ("allow", "client"))
    traffic.reaches(client, link_local(web))
    assert traffic.pings(web, link_local(client)) == 3


def test_an_address_that_is_new_may_be_used_at_once_and_by_its_workload_alone(
    agent, pods
):
    """Else whoever takes another's would be in its groups."""
    web, client = pods
    agent.attach(client, "client", follow="free")
    new = packets.link_local_ip6
    agent.policy(POLICY % ("allow", "client"))
    client.run("ip", "address", "add", f"{new}/64", "dev", "eth0", "nodad")
    from_new = ("ping", "-n", "-q", "-c", "1", "-W", "0.3", "-I", f"{new}%eth0")
    wait_for(
        lambda: client.run(*from_new, link_local(web), check=False).returncode == 0
    )
    spoofed = agent.counts("client").get("spoofed_ip", 0)
    raw = (
        "import socket, sys; sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n"
        "sock.setsockopt(socket.IPPROTO_IPV6, 75, 1)\n"  # IPV6_TRANSPARENT
        "sock.bind((sys.argv[1], 0, 0, socket.if_nametoindex('eth0')))\n"
        "sock.sendto(b'', (sys.argv[2], 9, 0, socket.if_nametoindex('eth0')))"
    )
    stranger = packets.link_local_ip6 + "1"
    client.run("python3", "-c", raw, stranger, link_local(web).partition("%")[0])
    wait_for(lambda: agent.counts("client").get("spoofed_ip", 0) > spoofed)
