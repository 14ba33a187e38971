"""Who is given CAP_NET_ADMIN in the host's user namespace reaches the enforcer's devices by their nsid: what it hangs
there carries nothing, and what it takes away comes back."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from pyctl import abi
from tests import packets
from tests.lab.datapath.wiring import Sniffer, u32_missing
from tests.lab.net import traffic
from tests.lab.pace import wait_for

GATEWAY = packets.gateway_ip4
BRIDGE = "link add vbr-neuv index 10000000 mtu 2048 arp off type veth peer vth-neuv index 10000001"
POLICY = (
    "groups: {web: {selector: {name: web}}}\n"
    "modes: {web: protect}\n"
    "rules: [{id: 1, from: any, to: any, ports: [icmp, tcp/8080], action: allow}]\n"
)


def told_drop(agent) -> bool:
    """Whether what nobody's port sent was dropped."""
    found = agent.cli("dump-maps", "seg_counters", "-o", "json").stdout
    return any(
        row["port_id"] == 0 and row["reason"] == "not_inspected"
        for row in json.loads(found)["seg_counters"]
    )


def leak(ns, device: str, frame: bytes) -> None:
    """Send it there. A drop on the way out of the lower device is told to who sends."""
    with ns.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((device, 0))
        with contextlib.suppress(OSError):
            out.send(frame)


def test_a_device_on_anothers_port_carries_nothing(lab, agent):
    """Made in its own namespace, on a device in the enforcer's: a macvlan on what leads into the other."""
    _host, (web, thief) = lab.pods()
    assert agent.attach(web, "web")["warnings"] == []
    argv = ("setpriv", "--bounding-set=-all,+net_admin", "sleep", "infinity")
    pid = thief.spawn(*argv).pid
    wait_for(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    (warning,) = agent.client.attach(pid=pid, name="thief")["warnings"]
    assert "CAP_NET_ADMIN" in warning
    vin = web.ip("link", "show", "eth0")[0]["link_index"]
    nsid = thief.ip("link", "show", "eth0")[0]["link_netnsid"]
    thief.batch(
        f"link add mv0 link-netnsid {nsid} link if{vin} type macvlan mode bridge",
        "link set mv0 up",
    )
    seen = Sniffer(web, "eth0")
    frame = Ether(dst=packets.pod_one_mac, src=packets.pod_two_mac)
    frame = bytes(
        frame / IP(src="10.9.9.1", dst=packets.pod_one_ip4) / UDP(dport=9999) / b"leak"
    )
    leak(thief, "mv0", frame)
    assert wait_for(lambda: agent.counts("web").get("not_inspected"))
    thief.batch(
        f"link add mv1 link-netnsid {nsid} link if10000001 type macvlan mode bridge",
        "link set mv1 up",
    )
    # As if the engine had let it pass, to web.
    port = agent.client.workload("web")["ports"][0]["port_id"]
    detoured = abi.ucmac(port) + frame[6:]
    leak(thief, "mv1", detoured)
    wait_for(lambda: told_drop(agent))
    assert not seen.saw(frame)


def test_nobody_listens_to_what_goes_to_the_engine(lab, agent):
    _host, (web, thief) = lab.pods()
    agent.attach(web, "web", mode="protect")
    agent.attach(thief, "thief")
    nsid = thief.ip("link", "show", "eth0")[0]["link_netnsid"]
    thief.batch(
        f"link add mv0 link-netnsid {nsid} link if10000001 type macvlan mode passthru",
        "link set mv0 up",
    )
    seen = Sniffer(thief, "mv0")
    assert traffic.pings(web, GATEWAY) == 0
    assert agent.counts("web")["to_engine"]
    ours = abi.ucmac(0)[:4]
    assert not [one for one in seen.frames() if ours in (one[:4], one[6:10])]


@pytest.mark.parametrize("kind", ["ebpf", "u32"])
def test_the_way_through_the_engine_comes_back(lab, agent, kind):
    """Deleted, down, renamed, moved away or replaced; a connection that was open goes on."""
    if kind == "u32" and (lacks := u32_missing()):
        pytest.skip(f"no u32 datapath on this kernel: {lacks}")
    _host, (web, client) = lab.pods()
    agent.policy(POLICY)
    agent.attach(web, "web", datapath=kind)
    traffic.tcp_echo(web, packets.pod_one_ip4, 8080)
    talk = traffic.tcp_talk(client, packets.pod_one_ip4, 8080)
    agent.enforcer("ip", "link", "add", "mine", "type", "bridge")
    wait_for(lambda: agent.messages("not segctl's: mine"))
    for number, lines in enumerate(
        (
            ["link del vbr-neuv"],
            ["link set vbr-neuv down"],
            ["link set vth-neuv down", "link set vth-neuv name other up"],
            [f"link set vbr-neuv netns {client.name}"],
            ["link del vth-neuv", BRIDGE, "link set vbr-neuv up"],
        ),
        1,
    ):
        # The agent may be quicker than the second line.
        batch = "; ".join(f"ip {line}" for line in lines)
        agent.enforcer("sh", "-c", f"{batch}; true")
        traffic.reaches(web, GATEWAY)
        wait_for(lambda wanted=number: len(agent.messages("was cut")) >= wanted)
        wait_for(lambda: agent.client.status()["engine"]["state"] == "running")
        assert talk.said("go")
    assert "held as intended" in agent.cli("rules", "web").stdout
    assert agent.client.status()["engine"]["restarts"] == 0
