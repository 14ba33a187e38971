"""An interface that cannot be spliced is named by whoever shows the workload, and quarantine cuts it off."""

from __future__ import annotations

from tests import packets
from tests.datapath.test_newcomers import HOST, IP, LENGTH, interfaces
from tests.lab.net import traffic
from tests.lab.pace import wait_for


def test_quarantine_cuts_what_it_cannot_cover_and_says_so(lab, agent):
    """A macvtap on a device of the host: it has no end there that could be spliced."""
    host, (web, _client) = lab.pods()
    lab.veth(host, "lower", lab.netns("wire"), "far")
    host.run("ip", "link", "add", "link", "lower", "name", "tap0", "type", "macvtap")
    host.run("ip", "link", "set", "tap0", "netns", web.name, "up")
    attached = agent.attach(web, "web")
    assert attached["warnings"] == ["not inspected: tap0: it is of kind macvtap"]
    assert "tap0 NOT INSPECTED" in agent.cli("list").stdout
    assert "tap0: it is of kind macvtap" in agent.cli("show", "web").stdout
    done = agent.cli("mode", "web", "quarantine", check=False)
    assert done.returncode == 1
    assert "tap0 has no end at the host" in done.stderr
    assert agent.client.workload("web")["mode"] == "quarantine"
    (link,) = web.ip("link", "show", "tap0")
    assert "UP" not in link["flags"]
    web.run("ip", "link", "set", "tap0", "up")
    wait_for(lambda: "UP" not in web.ip("link", "show", "tap0")[0]["flags"])
    agent.cli("mode", "web", "auto")
    wait_for(lambda: "UP" in web.ip("link", "show", "tap0")[0]["flags"])


def test_an_interface_without_an_address_is_inspected_too(lab, agent):
    """As a port of a bridge that has the address, it would be a way out."""
    host, (web, _client) = lab.pods()
    agent.policy("groups: {web: {selector: {name: web}}}\nmodes: {web: protect}\n")
    agent.attach(web, "web")
    web.run("ip", "link", "add", "br1", "type", "bridge")
    web.run("ip", "link", "set", "br1", "up")
    lab.veth(web, "eth1", host, "host-eth1")
    web.run("ip", "link", "set", "eth1", "master", "br1")
    host.run("ip", "addr", "add", f"{HOST}/{LENGTH}", "dev", "host-eth1")
    web.run("ip", "addr", "add", f"{IP}/{LENGTH}", "dev", "br1")
    wait_for(lambda: interfaces(agent) == ["eth0", "eth1"])
    wait_for(lambda: web.ip("link", "show", "eth1")[0].get("master") == "br1")
    wait_for(lambda: agent.client.workload("web")["uninspected"] == [])
    assert traffic.pings(web, HOST) == 0


def test_pairs_inside_a_workload_take_no_place(lab, agent):
    """It may make as many as it likes, and none of them leads out."""
    host, (web, _client) = lab.pods()
    agent.attach(web, "web")
    for number in range(20):
        web.batch(
            f"link add in{number} type veth peer name out{number}",
            f"addr add 198.18.{number}.1/24 dev in{number}",
            f"link set in{number} up",
        )
    lab.veth(web, "eth1", host, "host-eth1")
    web.run("ip", "addr", "add", f"{IP}/{LENGTH}", "dev", "eth1")
    wait_for(lambda: interfaces(agent) == ["eth0", "eth1"])


def test_a_device_that_moved_away_from_the_interface_is_no_way_out(lab, agent):
    """A macvlan that was down, and nowhere to be seen, when its lower interface was attached."""
    _host, (web, other) = lab.pods()
    web.run("ip", "link", "add", "mv0", "link", "eth0", "type", "macvlan")
    web.run("ip", "link", "set", "mv0", "netns", other.name)
    agent.attach(web, "web")
    other.batch(
        f"addr add {IP}/{LENGTH} dev mv0",
        "link set mv0 up",
        f"neigh replace {HOST} lladdr {packets.gateway_mac} dev mv0 nud permanent",
    )
    assert traffic.pings(other, HOST) == 0
    assert agent.counts("web")["not_inspected"] >= 3
    assert traffic.pings(web, packets.gateway_ip4) == 3
