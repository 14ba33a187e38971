"""What runs inside a workload does not notice that it is spliced."""

from __future__ import annotations

import json
import time

from pyctl.intercept import detach, enforcer, recover
from pyctl.model.workload import Port
from pyctl.platform.process import process_ref
from tests import packets
from tests.lab.datapath.splice import Rig, splice
from tests.lab.net.netns import Netns
from tests.lab.net.pulse import Echo, Pulse
from tests.lab.net.snapshot import assert_same, picture
from tests.lab.net.traffic import Program, tcp_echo, tcp_talk
from tests.lab.pace import wait_for

PORT = 7777
GAP_LIMIT_MS = 150
"""Generous: the machine runs other things. The benchmark holds the real figure."""

# The frames that come in on an interface, by name: it may be replaced meanwhile.
_SNIFF = """
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); tap.settimeout(0.1)
say(ready=True)
frames, end = [], time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    try: data, (name, proto, kind, _, _) = tap.recvfrom(2000)
    except TimeoutError: continue
    if name == sys.argv[1] and kind != socket.PACKET_OUTGOING:
        frames.append([hex(proto), data[:60].hex()])
say(frames=frames)
"""


def test_no_sender_sees_an_error_while_spliced_and_unspliced(rig: Rig) -> None:
    """IPv4 and IPv6, connected or not, bound or not, on-link and through the gateway."""
    targets = [
        (kind, bound, address)
        for kind in ("connected", "plain")
        for own, address in (
            (packets.pod_one_ip4, packets.gateway_ip4),
            (packets.pod_one_ip4, packets.world_ip4),
            (packets.pod_one_ip6, packets.gateway_ip6),
            (packets.pod_one_ip6, packets.world_ip6),
        )
        for bound in ("", own)
    ]
    Echo(rig.host, PORT)
    sender = Pulse(rig.pod, PORT, targets)
    for _ in range(5):
        port = rig.splice()
        rig.unsplice(port)
    seen = sender.stop()
    assert seen.errors == []
    assert seen.sent > 1000


def test_an_established_connection_survives_splice_and_unsplice(rig: Rig) -> None:
    for address in (packets.gateway_ip4, packets.gateway_ip6):
        tcp_echo(rig.host, address, PORT)
        client = tcp_talk(rig.pod, address, PORT)
        assert client.said("before") == {"back": "before\n"}
        port = rig.splice()
        assert client.said("spliced") == {"back": "spliced\n"}
        rig.unsplice(port)
        assert client.said("after") == {"back": "after\n"}


def test_the_gap_is_short(rig: Rig) -> None:
    echo = Echo(rig.host, PORT)
    sender = Pulse(rig.pod, PORT, [("plain", "", packets.gateway_ip4)])
    began = time.monotonic()
    port = rig.splice()
    time.sleep(0.2)  # What belongs to the splice shows within it.
    window = (began, time.monotonic())
    seen = sender.stop()
    assert seen.longest_gap_ms(window) < GAP_LIMIT_MS
    assert seen.errors == echo.stop() == []
    rig.unsplice(port)


def macvlan_pod(rig: Rig) -> Netns:
    """A pod whose eth0 is a macvlan on one end of a veth of the host."""
    pod = rig.lab.netns("mv")
    rig.host.run(
        *("ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1"),
    )
    rig.host.run("ip", "link", "set", "up1", "master", "br0")
    for name in ("up0", "up1"):
        rig.host.run("ip", "link", "set", name, "up")
    rig.host.run(
        *("ip", "link", "add", "mv0", "link", "up0", "type", "macvlan"),
        *("mode", "bridge"),
    )
    rig.host.run("ip", "link", "set", "mv0", "netns", pod.name, "name", "eth0")
    pod.run("ip", "link", "set", "eth0", "up")
    for address in (
        f"{packets.pod_one_extra_ip4}/{packets.prefix_ip4}",
        f"{packets.leased_ip6}/{packets.prefix_ip6}",
    ):
        pod.run("ip", "addr", "add", address, "dev", "eth0")
    pod.run("ip", "route", "add", "default", "via", packets.gateway_ip4)
    return pod


def test_a_macvlan_is_spliced_with_its_mac_on_vex(rig: Rig) -> None:
    """allmulti lets solicitations in, so that IPv6 works from the outside too."""
    pod = macvlan_pod(rig)
    process = process_ref(pod.pid)
    inside, full = picture(pod, inside=True), picture(pod)
    port = splice(rig.instance, process, "eth0", 9, rig.wire)
    assert port.kind == "macvlan"
    assert port.host_mac is None
    vex = json.loads(rig.enforcer("ip", "-j", "link", "show", port.vex))[0]
    assert vex["address"] == port.mac
    assert "ALLMULTI" in vex["flags"]
    assert_same(inside, picture(pod, inside=True))
    rig.host.run("ip", "neigh", "flush", "dev", "br0")
    for target in (packets.pod_one_extra_ip4, packets.leased_ip6):
        rig.host.run("ping", "-c1", "-W2", target)
    detach.unsplice(rig.instance, process, port)
    assert_same(full, picture(pod))
    rig.host.run("ping", "-c1", "-W2", packets.leased_ip6)


def test_the_host_peers_mac_is_known_only_where_it_stands_alone(rig: Rig) -> None:
    """A bridge's port passes frames for many; a routed peer takes its own only."""
    port = rig.splice()
    assert port.host_mac is None
    rig.unsplice(port)
    rig.host.run("ip", "link", "set", "veth0", "nomaster")
    peer = next(e for e in rig.host.ip("link") if e["ifname"] == "veth0")
    port = rig.splice()
    assert port.host_mac == peer["address"]
    rig.unsplice(port)


def test_two_workloads_with_equal_interfaces_stand_side_by_side(rig: Rig) -> None:
    for pod in (rig.pod, rig.other):
        pod.run("ip", "link", "property", "add", "dev", "eth0", "altname", "uplink0")
    rig.pod.run("ip", "token", "set", "::77", "dev", "eth0")
    token = rig.pod.run("ip", "token").stdout
    pictures = picture(rig.pod), picture(rig.other)
    one = rig.splice()
    assert rig.pod.run("ip", "token").stdout == token
    other = process_ref(rig.other.pid)
    two = splice(rig.instance, other, "eth0", 8, rig.wire)
    rig.pod.run("ping", "-c1", "-W2", packets.pod_two_ip6)
    detach.unsplice(rig.instance, other, two)
    rig.unsplice(one)
    assert_same(pictures[0], picture(rig.pod))
    assert_same(pictures[1], picture(rig.other))
    assert rig.pod.run("ip", "token").stdout == token


def test_a_workload_that_ends_while_attached_is_cleaned_up_whole(rig: Rig) -> None:
    port = rig.splice()
    rig.pod.destroy()
    wait_for(lambda: port.vin not in rig.ports())
    orphans = recover.find_orphans(rig.instance, [])
    assert [(o.vex, o.port) for o in orphans] == [(port.vex, None)]
    detach.cleanup(rig.instance, port.vex, port.vin)
    detach.cleanup(rig.instance, port.vex, port.vin)
    assert rig.ports() == []
    assert "veth0" not in {link["ifname"] for link in rig.host.ip("link", "show")}


def test_ports_that_the_agent_forgot_are_found_with_their_port(rig: Rig) -> None:
    port = rig.splice()
    (orphan,) = recover.find_orphans(rig.instance, [])
    assert orphan.port == port
    assert orphan.process == rig.process
    assert recover.find_orphans(rig.instance, [port]) == []
    rig.unsplice(port)


def test_ports_of_an_ended_workload_make_room_for_a_reused_pid(rig: Rig) -> None:
    port = rig.splice()
    rig.pod.destroy()
    wait_for(lambda: port.vin not in rig.ports())
    # The next pod has the same port names: the test renames the leftover instead.
    follower = process_ref(rig.other.pid)
    vex = f"vex{rig.other.pid:x}-eth0"
    rig.enforcer("ip", "link", "set", port.vex, "down")
    rig.enforcer("ip", "link", "set", port.vex, "name", vex)
    again = splice(rig.instance, follower, "eth0", 8, rig.wire)
    assert rig.ports() == [again.vex, again.vin]
    detach.unsplice(rig.instance, follower, again)


def test_the_enforcer_is_mute(rig: Rig) -> None:
    """Nothing but the workload's own frames may leave: no ARP, MLD, DAD, solicitation."""
    port = rig.splice()
    for name in ("all", "default", port.vex, port.vin, "vbr-neuv", "vth-neuv"):
        path = f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6"
        assert rig.enforcer("cat", path).strip() == "1", name
    shown = json.loads(rig.enforcer("ip", "-j", "link"))
    devices = {entry["ifname"]: entry for entry in shown if entry["ifname"] != "lo"}
    assert set(devices) == {port.vex, port.vin, "vbr-neuv", "vth-neuv"}
    assert all("NOARP" in entry["flags"] for entry in devices.values())
    rig.unsplice(port)


def test_nothing_but_the_workloads_frames_leaves_the_enforcer(rig: Rig) -> None:
    """Without a datapath nothing is passed on, so what comes out is our own stack's."""
    taps: list[Program] = []

    def listen(_port: Port) -> None:
        """Both ports are down yet: from here on no frame is the pod's or the host's."""
        for ns, interface in ((rig.host, "veth0"), (rig.pod, "eth0")):
            taps.append(Program(ns, _SNIFF, interface, "2"))
            taps[-1].heard()

    port = splice(rig.instance, rig.process, "eth0", 7, listen)
    for address in (packets.pod_one_ip4, packets.pod_one_ip6):
        rig.host.run("ping", "-c1", "-W1", address, check=False)
    rig.pod.run("ping", "-c1", "-W1", packets.gateway_ip6, check=False)
    assert [tap.heard() for tap in taps] == [{"frames": []}] * 2
    rig.unsplice(port)


def test_the_bridge_pair_has_its_names_indexes_and_follows_the_largest_mtu(
    rig: Rig,
) -> None:
    def pair() -> dict[str, tuple[int, int]]:
        shown = json.loads(rig.enforcer("ip", "-j", "link"))
        return {
            entry["ifname"]: (entry["ifindex"], entry["mtu"])
            for entry in shown
            if entry["ifname"].endswith("neuv")
        }

    enforcer.ensure_enforcer(rig.instance)
    enforcer.ensure_enforcer(rig.instance)
    small = {"vbr-neuv": (10000000, 2048), "vth-neuv": (10000001, 2048)}
    assert pair() == small
    rig.pod.run("ip", "link", "set", "eth0", "mtu", "9000")
    port = rig.splice()
    assert pair() == {"vbr-neuv": (10000000, 9000), "vth-neuv": (10000001, 9000)}
    rig.unsplice(port)
    assert pair() == small
    enforcer.remove_enforcer(rig.instance)
    enforcer.remove_enforcer(rig.instance)
    assert not rig.instance.netns.exists()
