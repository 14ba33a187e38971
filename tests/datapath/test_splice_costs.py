"""What a splice costs a workload: it is kept where it can be, and no splice ends halfway for it."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from pyctl.errors import RefusedError
from pyctl.intercept.enforcer import ensure_enforcer
from pyctl.intercept.host_side import follow_host
from pyctl.intercept.live_state import follow
from pyctl.intercept.restore.snapshot import ROUTES_ALL
from tests import packets
from tests.datapath.test_splice_traffic import macvlan_pod
from tests.lab.datapath.splice import Rig, killed_at
from tests.lab.net.netns import Lab, Netns
from tests.lab.net.snapshot import assert_same, picture
from tests.lab.pace import wait_for
from tests.lab.segctl.agent import AgentProcess

ROUTE_MULTICAST = """
import socket, struct, sys, time
one = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
MRT_INIT, MRT_ADD_VIF, VIFF_USE_IFINDEX = 200, 202, 8
one.setsockopt(socket.IPPROTO_IP, MRT_INIT, 1)
index = socket.if_nametoindex("eth0")
vif = struct.pack("=HBBIiI", 0, VIFF_USE_IFINDEX, 1, 0, index, 0)
one.setsockopt(socket.IPPROTO_IP, MRT_ADD_VIF, vif)
print("up", flush=True)
time.sleep(999)
"""


def started(pod: Netns, script: str, *argv: str) -> subprocess.Popen[str]:
    """A Python script that lives in the pod and has said its first line."""
    child = pod.spawn(
        sys.executable, "-c", script, *argv, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child


@pytest.mark.parametrize("killed", [False, True])
def test_a_macvlan_comes_home_whatever_its_parent_s_mtu_is_by_then(
    rig: Rig, killed: bool
) -> None:
    pod = rig.pod = macvlan_pod(rig)
    port = rig.splice()
    rig.host.run("ip", "link", "set", "up0", "mtu", "1400")
    if killed:
        assert killed_at("after move", lambda fault: rig.unsplice(port, fault=fault))
        rig.recover()
    rig.unsplice(port)
    (link,) = pod.ip("link", "show", "eth0")
    assert (link["mtu"], link["linkinfo"]["info_kind"]) == (1400, "macvlan")
    assert "ifalias" not in link
    pod.run("ping", "-c1", "-W2", rig.gateway)
    assert (rig.ports(), rig.journals()) == ([], [])


def test_a_multicast_router_s_interface_is_refused_and_forced_away(rig: Rig) -> None:
    started(rig.pod, ROUTE_MULTICAST)
    rig.pod.sysctl("ipv4/conf/eth0/rp_filter", 2)
    before = picture(rig.pod)
    with pytest.raises(RefusedError, match="multicast router"):
        rig.splice()
    assert_same(before, picture(rig.pod))
    told: list[str] = []
    rig.unsplice(rig.splice(force=True, tell=told.append))
    assert "multicast router" in told[0]
    assert rig.pod.sysctl("ipv4/conf/eth0/rp_filter") == "2"


def eth0(pod: Netns) -> dict[str, Any]:
    (link,) = pod.ip("link", "show", "eth0")
    return dict(link)


def test_the_interface_names_the_peer_on_the_host_still(rig: Rig) -> None:
    """A CNI plugin's CHECK goes by it; each workload's peer has another number."""
    other = Rig(rig.instance, rig.lab, rig.host, rig.other, rig.pod)
    before = [eth0(pod)["link_index"] for pod in (rig.pod, rig.other)]
    ports = rig.splice(), other.splice()
    assert [eth0(pod)["link_index"] for pod in (rig.pod, rig.other)] == before
    for one, port in zip((rig, other), ports, strict=True):
        one.unsplice(port)


def test_a_peer_s_number_that_a_port_has_already_is_left_to_it(rig: Rig) -> None:
    number = eth0(rig.pod)["link_index"]
    ensure_enforcer(rig.instance)
    rig.enforcer("ip", "link", "add", "taken", "index", str(number), "type", "veth")
    port = rig.splice()
    assert eth0(rig.pod)["link_index"] != number
    rig.pod.run("ping", "-c1", "-W2", rig.gateway)
    rig.unsplice(port)


def test_the_carrier_of_the_host_s_side_is_the_workload_s(rig: Rig) -> None:
    port = rig.splice()
    assert follow_host(rig.instance, port) == ()
    for state, flag in (("down", "NO-CARRIER"), ("up", "LOWER_UP")):
        rig.host.run("ip", "link", "set", "veth0", state)
        assert len(follow_host(rig.instance, port)) == 1
        assert flag in eth0(rig.pod)["flags"]
    rig.pod.run("ping", "-c1", "-W2", rig.gateway)
    rig.unsplice(port)


def test_without_a_carrier_before_there_is_none_after_an_attach(rig: Rig) -> None:
    rig.host.run("ip", "link", "set", "veth0", "down")
    port = rig.splice()
    assert "NO-CARRIER" in eth0(rig.pod)["flags"]
    rig.unsplice(port)


def test_a_macvlan_has_no_larger_mtu_than_its_parent(rig: Rig) -> None:
    pod = rig.pod = macvlan_pod(rig)
    port = rig.splice()
    rig.host.run("ip", "link", "set", "up0", "mtu", "1400")
    (told,) = follow_host(rig.instance, port)
    assert "MTU 1400" in told
    assert eth0(pod)["mtu"] == 1400
    # As without us, where the kernel would have refused it.
    pod.run("ip", "link", "set", "eth0", "mtu", "1450")
    follow(rig.instance, replace(port, mtu=1400), replace(port, mtu=1450))
    assert eth0(pod)["mtu"] == 1400
    rig.unsplice(port)


def test_the_agent_passes_on_what_the_host_does(lab: Lab, agent: AgentProcess) -> None:
    host, (pod, _) = lab.pods()
    agent.attach(pod, "pod")
    for state, flag in (("down", "NO-CARRIER"), ("up", "LOWER_UP")):
        host.run("ip", "link", "set", "veth0", state)
        wait_for(lambda flag=flag: flag in eth0(pod)["flags"])


def test_a_spanning_tree_s_silence_is_borne_only_by_who_says_so(rig: Rig) -> None:
    rig.host.run(
        *[
            "ip",
            "link",
            "set",
            "br0",
            "type",
            "bridge",
            "forward_delay",
            "200",
            "stp_state",
            "1",
        ]
    )

    def state() -> str:
        return rig.host.run("bridge", "link", "show", "dev", "veth0").stdout

    wait_for(lambda: "state forwarding" in state(), 10)
    with pytest.raises(RefusedError, match=r"spanning tree.*4 s"):
        rig.splice()
    assert "state forwarding" in state()
    told: list[str] = []
    port = rig.splice(force=True, tell=told.append)
    assert "spanning tree" in told[0]
    rig.unsplice(port)


def test_thousands_of_routes_come_along_and_home_again(rig: Rig) -> None:
    """More than are kept of the whole namespace; some stand in one place with another interface's."""
    rig.pod.run(*["ip", "link", "add", "other", "type", "veth", "peer", "name", "far"])
    rig.pod.batch("link set other up", "link set far up")
    via = f"via {packets.gateway_ip4} dev eth0"
    rig.pod.batch(
        *(
            f"route add 100.64.{n // 256}.{n % 256}/32 {via}"
            for n in range(ROUTES_ALL + 1)
        ),
        f"route append 100.64.0.1/32 {via} metric 5",
        "route append 100.64.0.2/32 dev other metric 7",
    )

    def shown() -> set[str]:
        return set(
            rig.pod.run("ip", "route", "show", "table", "all").stdout.splitlines()
        )

    before = shown()
    port = rig.splice()
    assert shown() == before
    rig.unsplice(port)
    assert shown() == before


JOIN = """
import socket, struct, time
index = socket.if_nametoindex("eth0")
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.setsockopt(0, 35, socket.inet_aton("239.1.2.3") + struct.pack("=4xi", index))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
six.setsockopt(41, 20, socket.inet_pton(socket.AF_INET6, "ff0e::1234") + struct.pack("=i", index))
print("up", flush=True)
time.sleep(999)
"""


def test_sockets_stay_in_their_multicast_groups(rig: Rig) -> None:
    started(rig.pod, JOIN)

    def groups() -> list[str]:
        shown = rig.pod.run("ip", "maddr", "show", "dev", "eth0").stdout
        own = ("239.", "ff0e::")
        return sorted(
            line for line in shown.splitlines() if any(g in line for g in own)
        )

    before = groups()
    assert len(before) == 2
    told: list[str] = []
    port = rig.splice(tell=told.append)
    assert groups() == before
    rig.unsplice(port)
    assert groups() == before
    assert told == []


def test_a_connection_that_a_workload_masquerades_outlives_the_splice(
    rig: Rig,
) -> None:
    """The server speaks first, and finds no reset for an answer."""
    inner = rig.lab.netns("inner")
    rig.lab.veth(inner, "eth0", rig.pod, "inside")
    rig.pod.run("ip", "addr", "add", f"{packets.blackhole_net_ip4}", "dev", "inside")
    gateway = packets.blackhole_net_ip4.split("/")[0]
    base, length = ipaddress.ip_interface(packets.blackhole_net_ip4), "24"
    inner.batch(
        f"addr add {base.ip + 9}/{length} dev eth0",
        f"route add {gateway} dev eth0",
        f"route add default via {gateway}",
    )
    rig.pod.run("ip", "route", "add", f"{base.ip + 9}/32", "dev", "inside")
    rig.pod.sysctl("ipv4/ip_forward", 1)
    rig.pod.run(
        *[
            "iptables",
            "-t",
            "nat",
            "-A",
            "POSTROUTING",
            "-o",
            "eth0",
            "-j",
            "MASQUERADE",
        ]
    )
    with rig.host.inside():
        server = socket.create_server((packets.gateway_ip4, 7000))
    with inner.inside():
        client = socket.create_connection((packets.gateway_ip4, 7000), timeout=5)
    speaker, _ = server.accept()
    port = rig.splice()
    speaker.sendall(b"one")
    assert client.recv(9) == b"one"
    rig.unsplice(port)
    speaker.sendall(b"two")
    assert client.recv(9) == b"two"
    for each in (client, speaker, server):
        each.close()
