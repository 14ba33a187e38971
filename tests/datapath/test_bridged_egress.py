"""What a workload sends onto the host's bridge arrives once, whoever listens there, and by way of everything that
stands on the host's end of the cable. bpf_redirect_peer, which saves a queue, would break both: it marks each frame as
addressed to its receiver, which a promiscuous bridge believes, and passes a native XDP program by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from tests import packets
from tests.lab.datapath.verdict_programs import XDP, XDP_DROP, pinned
from tests.lab.net.netns import Lab, Netns
from tests.lab.net.traffic import numbers_heard, numbers_sent, pings
from tests.lab.pace import wait_for
from tests.lab.processes import end
from tests.lab.segctl.agent import AgentProcess

PORT = 7000


@dataclass
class Bridged:
    """A host that routes, a workload and another container on its bridge, and a world behind it."""

    host: Netns
    web: Netns
    receivers: tuple[tuple[Netns, str, str], ...]
    """Where each is, and its addresses: the host, another container, the world."""

    def listen(self, *options: str) -> Callable[[], None]:
        """Start tcpdump on the bridge; the call that is returned ends it."""
        argv = ("tcpdump", "--immediate-mode", *options, "-i", "br0", "-w", "/dev/null")
        process = self.host.spawn(*argv)
        promiscuous = "-p" not in options
        wait_for(lambda: not promiscuous or self.promiscuity())
        return lambda: end(process)

    def promiscuity(self) -> int:
        (bridge,) = self.host.ip("-d", "link", "show", "br0")
        return int(bridge["promiscuity"])


@pytest.fixture
def bridged(lab: Lab, agent: AgentProcess) -> Bridged:
    """Name: bridged. Scope: function. Depends: lab, agent. The workload is attached, in discover."""
    host, (web, other) = lab.pods()
    world = lab.netns("world")
    lab.veth(world, "eth0", host, "up0")
    for version, address in ((4, packets.world_ip4), (6, packets.world_ip6)):
        gateway = address[:-1] + "1"
        length = packets.prefix_ip4 if version == 4 else packets.prefix_ip6
        host.run("ip", "addr", "add", f"{gateway}/{length}", "dev", "up0")
        world.run("ip", "addr", "add", f"{address}/{length}", "dev", "eth0")
        world.run("ip", "route", "add", "default", "via", gateway)
    # Without a router, what the bridge takes by mistake would go nowhere.
    host.sysctl("ipv4/ip_forward", 1)
    host.sysctl("ipv6/conf/all/forwarding", 1)
    agent.attach(web, "web")
    return Bridged(
        *(host, web),
        (
            (host, packets.gateway_ip4, packets.gateway_ip6),
            (other, packets.pod_two_ip4, packets.pod_two_ip6),
            (world, packets.world_ip4, packets.world_ip6),
        ),
    )


@pytest.mark.parametrize("version", [4, 6])
def test_each_datagram_arrives_once_while_listeners_come_and_go(
    bridged: Bridged, version
):
    """The first ones wait for ARP or neighbour discovery, which pass a promiscuous bridge, too."""
    to = [(at, six if version == 6 else four) for at, four, six in bridged.receivers]
    stop = bridged.listen()
    servers = [numbers_heard(at, address, PORT) for at, address in to]
    clients = [numbers_sent(bridged.web, address, PORT) for _, address in to]

    def heard_from(numbers: list[int]) -> bool:
        said = [one.said("?")["received"] for one in servers]
        return all(one >= number for one, number in zip(said, numbers, strict=True))

    for round_, (options, hairpin) in enumerate(
        (((), "off"), (("-p",), "off"), ((), "on"), (("-p",), "on"), ((), "on")), 1
    ):
        wait_for(partial(heard_from, [round_ * 50] * len(servers)))
        stop()
        bridged.host.run("bridge", "link", "set", "dev", "veth0", "hairpin", hairpin)
        stop = bridged.listen(*options)
    sent = [client.said("stop")["sent"] for client in clients]
    wait_for(partial(heard_from, sent))
    stop()
    # One that came twice may be on its way.
    assert [pings(bridged.web, address) for _, address in to] == [3, 3, 3]
    assert [server.said("?") for server in servers] == [
        {"received": number, "different": number} for number in sent
    ]


def test_an_xdp_program_on_a_bridges_port_has_its_frames_at_once(
    bridged: Bridged, agent: AgentProcess
):
    """No agent has to notice it."""
    assert pings(bridged.web, packets.pod_two_ip4) == 3
    agent.stop()
    with pinned(XDP, XDP_DROP, f"{agent.instance.name}-drop") as pin:
        bridged.host.run("ip", "link", "set", "veth0", "xdpdrv", "pinned", pin)
    assert pings(bridged.web, packets.pod_two_ip4) == 0
    bridged.host.run("ip", "link", "set", "veth0", "xdpdrv", "off")
    assert pings(bridged.web, packets.pod_two_ip4) == 3
