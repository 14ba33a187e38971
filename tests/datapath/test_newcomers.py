"""Interfaces that an attached workload gets later are as closed as its first ones, and one that has lost
its last is attached still: as with `docker network connect` and `disconnect`."""

from __future__ import annotations

import pytest

from pyctl.intercept.detach import unsplice
from pyctl.intercept.enforcer import remove_enforcer
from pyctl.model.instance import Instance
from pyctl.platform.process import process_ref
from tests import packets
from tests.lab.datapath.splice import splice
from tests.lab.net import traffic
from tests.lab.net.netns import Netns
from tests.lab.net.snapshot import assert_same, picture
from tests.lab.pace import wait_for
from tests.unit.intercept.test_names import ALIKE

IP, HOST = packets.pod_peer_ip4, packets.peer_ip4
LENGTH = 24
HTTP = 8080
NOBODY = "groups: {web: {selector: {name: web}}}\nmodes: {web: protect}\n"


def connect(lab, pod: Netns, host: Netns, name: str) -> None:
    """A second network: the host is on it, too."""
    lab.veth(pod, name, host, f"host-{name}")
    host.run("ip", "addr", "add", f"{HOST}/{LENGTH}", "dev", f"host-{name}")
    pod.run("ip", "addr", "add", f"{IP}/{LENGTH}", "dev", name)


def interfaces(agent) -> list[str]:
    return [port["interface"] for port in agent.client.workload("web")["ports"]]


def test_what_is_connected_later_is_inspected(lab, agent):
    host, (web, _client) = lab.pods()
    agent.policy(NOBODY)
    agent.attach(web, "web", follow="free")
    connect(lab, web, host, "eth1")
    wait_for(lambda: interfaces(agent) == ["eth0", "eth1"])
    traffic.tcp_echo(web, IP, HTTP)
    assert traffic.tcp_try(host, IP, HTTP) == "silence"
    agent.policy("rules: [{id: 1, from: any, to: any, action: allow}]\n" + NOBODY)
    assert traffic.tcp_try(host, IP, HTTP) == "open"
    web.run("ip", "link", "del", "eth1")
    wait_for(lambda: interfaces(agent) == ["eth0"])


@pytest.mark.parametrize("watched", [True, False], ids=["agent", "no-agent"])
def test_quarantine_outlives_the_interface(lab, agent, watched):
    """Disconnected and connected again, with and without an agent that looks on."""
    host, (web, _client) = lab.pods()
    agent.attach(web, "web")
    agent.client.set_mode("web", "quarantine")
    if not watched:
        agent.stop()
    web.run("ip", "link", "del", "eth0")
    if watched:
        wait_for(lambda: interfaces(agent) == [])
    connect(lab, web, host, "eth0")
    if not watched:
        agent.start()
    wait_for(lambda: interfaces(agent) == ["eth0"])
    assert traffic.pings(host, IP) == 0
    agent.client.set_mode("web", "auto")
    assert traffic.pings(host, IP) == 3


def test_one_that_is_deleted_where_it_was_moved_to_is_let_go_of(lab, agent):
    """As `docker network disconnect` does it; the workload's own namespace tells nothing of its end."""
    _host, (web, _client) = lab.pods()
    agent.attach(web, "web")
    elsewhere = lab.netns("elsewhere")
    web.run("ip", "link", "set", "eth0", "netns", elsewhere.name)
    wait_for(
        lambda: any("no more, which others may have" in one for one in agent.messages())
    )
    elsewhere.run("ip", "link", "del", "eth0")
    wait_for(lambda: interfaces(agent) == [])
    assert agent.remains()["links"] == []


def test_one_attached_by_the_name_of_its_interface_keeps_to_it(lab, agent):
    host, (web, _client) = lab.pods()
    agent.attach(web, "web", interfaces=["eth0"], mode="protect")
    connect(lab, web, host, "eth1")
    # Somebody else's is taken meanwhile.
    other = lab.netns("other")
    connect(lab, other, lab.netns("beside"), "eth1")
    agent.attach(other, "other")
    connect(lab, other, lab.netns("behind"), "eth2")
    wait_for(lambda: len(agent.client.workload("other")["ports"]) == 2)
    assert interfaces(agent) == ["eth0"]
    web.run("ip", "link", "del", "eth0")
    wait_for(lambda: agent.names() == ["other"])


def test_what_cannot_be_inspected_is_told_once(lab, agent):
    _host, (web, _client) = lab.pods()
    agent.attach(web, "web")
    web.run("ip", "link", "add", "br1", "type", "bridge")
    web.run("ip", "addr", "add", f"{IP}/{LENGTH}", "dev", "br1")
    said = "not inspected: br1 is of kind bridge and stays as it is"
    wait_for(lambda: said in agent.messages())
    web.run("ip", "link", "set", "br1", "up")
    connect(lab, web, lab.netns("beside"), "eth1")
    wait_for(lambda: interfaces(agent) == ["eth0", "eth1"])
    assert agent.messages().count(said) == 1


def test_an_address_that_came_while_no_agent_ran_is_one_that_came_later(lab, agent):
    _host, (web, _client) = lab.pods()
    agent.attach(web, "web", mode="protect", follow="free")
    agent.policy("rules: [{id: 1, from: any, to: any, action: allow}]\n")
    agent.stop()
    extra = f"{packets.pod_one_extra_ip4}/{packets.prefix_ip4}"
    web.run("ip", "addr", "add", extra, "dev", "eth0")
    agent.start()
    claims = [
        {"address": extra, "interface": "eth0", "state": "followed", "reason": ""}
    ]
    wait_for(lambda: agent.client.workload("web")["claims"] == claims)
    pinged = ("ping", "-q", "-c", "1", "-I", packets.pod_one_extra_ip4)
    web.run(*pinged, packets.gateway_ip4)


def test_another_instance_in_the_place_of_ours_is_no_newcomer(lab, agent):
    """Else two agents would splice on top of each other, in turns."""
    _host, (web, _client) = lab.pods()
    agent.attach(web, "web")
    other, process = Instance(f"{agent.instance.name}b"), process_ref(web.pid)
    port = splice(other, process, "eth0", 7)
    try:
        wait_for(
            lambda: any(
                "eth0 is not the inspected one" in one for one in agent.messages()
            )
        )
        assert interfaces(agent) == ["eth0"]
    finally:
        unsplice(other, process, port)
        remove_enforcer(other)
    assert interfaces(agent) == ["eth0"]
    assert traffic.pings(web, packets.gateway_ip4) == 3


def test_interfaces_whose_ports_would_have_one_name_are_attached_both(lab, agent):
    """What a workload calls its interfaces is no way out."""
    host, (web, _client) = lab.pods()
    before = picture(web)
    given = (packets.pod_peer_ip4, packets.peer_ip4)
    for number, (name, ip4) in enumerate(zip(ALIKE, given, strict=True)):
        lab.veth(web, name, host, f"more{number}")
        web.run("ip", "addr", "add", f"{ip4}/32", "dev", name)
    ports = agent.attach(web, "web")["workload"]["ports"]
    assert [port["interface"] for port in ports] == ["eth0", *ALIKE]
    assert len({port["vex"] for port in ports}) == 3
    agent.client.detach(pid=web.pid)
    for name in ALIKE:
        web.run("ip", "link", "del", name)
    assert_same(before, picture(web))
