"""What a pod or its neighbours may not do, tried on real links (DESIGN §2a)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from pyctl import abi
from pyctl.datapath.events import EventReader
from pyctl.model.workload import Fail, Mode
from tests import packets
from tests.lab.datapath.wiring import Sniffer, Wiring, send
from tests.lab.net.traffic import Program, answered, ping, udp_echo, udp_try
from tests.lab.pace import wait_for

PORT = 7000
_LISTEN = """
ip, port = sys.argv[1], int(sys.argv[2])
server = socket.socket(family(ip), socket.SOCK_DGRAM); server.bind((ip, port)); say(ready=True)
while True: say(data=server.recv(100).decode())
"""


@pytest.fixture
def one_pod(wiring: Wiring) -> Wiring:
    """Name: one_pod. Scope: function. Depends: wiring. One attached pod in protect."""
    return wiring.start_pods(1)


def udp(way, text, **macs):
    """A datagram between pod one and the gateway, MACs as wished."""
    pod, gateway = packets.pod_one_ip4, packets.gateway_ip4
    src, dst = (gateway, pod) if way == "in" else (pod, gateway)
    known = {"src": packets.gateway_mac, "dst": packets.pod_one_mac}
    if way == "out":
        known = {"src": packets.pod_one_mac, "dst": packets.gateway_mac}
    return bytes(
        Ether(**{**known, **macs})
        / IP(src=src, dst=dst)
        / UDP(sport=9, dport=PORT)
        / Raw(text)
    )


def forged(**header):
    return bytes(
        Ether(src=packets.pod_one_mac, dst=packets.gateway_mac)
        / IP(**{"src": packets.pod_one_ip4, "dst": packets.gateway_ip4, **header})
        / UDP(sport=9, dport=PORT)
    )


UCMAC_ONE, UCMAC_TWO = abi.ucmac(0x0101).hex(":"), abi.ucmac(0x0202).hex(":")
TAGGED = bytes(
    Ether(src=packets.pod_one_mac, dst=packets.gateway_mac)
    / Dot1Q(vlan=7)
    / IP(src=packets.pod_one_ip4, dst=packets.gateway_ip4)
    / UDP(sport=9, dport=PORT)
    / Raw(b"x" * 30)
)
OUTWARD = [
    ("a foreign source mac", udp("out", b"x", src=packets.stranger_mac), "spoofed_mac"),
    ("a foreign source address", forged(src=packets.pod_two_ip4), "spoofed_ip"),
    ("a foreign ipv6 source", bytes(Ether(src=packets.pod_one_mac, dst=packets.gateway_mac) / IPv6(src=packets.pod_two_ip6, dst=packets.gateway_ip6) / UDP(sport=9, dport=PORT)), "spoofed_ip"),
    ("arp from a foreign mac", bytes(Ether(src=packets.stranger_mac, dst=packets.broadcast_mac) / ARP()), "spoofed_mac"),
    ("the other port's detour", udp("out", b"x", dst=UCMAC_TWO), "forged_ucmac"),
    ("its own detour as source", udp("out", b"x", src=UCMAC_ONE), "forged_ucmac"),
    ("unicast in a broadcast frame", udp("out", b"x", dst=packets.broadcast_mac), "l2_group_l3_unicast"),
    ("a vlan tag", TAGGED, "vlan_tagged"),
    ("another ethertype", bytes(Ether(src=packets.pod_one_mac, dst=packets.gateway_mac, type=0x88B5) / Raw(b"x" * 46)), "other_ethertype"),
    ("no ip header", bytes(Ether(src=packets.pod_one_mac, dst=packets.gateway_mac, type=0x0800) / Raw(b"Z")), "malformed"),
    ("half an ip header", forged()[: 14 + 19], "malformed"),
    ("half an ipv6 header", bytes(Ether(src=packets.pod_one_mac, dst=packets.gateway_mac, type=0x86DD) / Raw(b"\x60" + bytes(38))), "malformed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "frame", "reason"), OUTWARD, ids=[f"egress: {row[0]}" for row in OUTWARD]
)
def test_what_a_pod_may_not_send_is_dropped_and_counted(
    one_pod: Wiring, name, frame, reason
):
    """Behaviour 24: enforced, each with its reason, IPv6 and VLAN included."""
    outside = Sniffer(one_pod.host, "veth0")
    send(one_pod.pods[0], "eth0", frame)
    wait_for(lambda: one_pod.counted(0, reason) == 1)
    # What was sent later has arrived: so has whatever was let by before.
    assert answered(ping(one_pod.pods[0], packets.gateway_ip4, count=1)) == (1, 1)
    marks = (frame[14:], frame[18:]) if reason == "vlan_tagged" else (frame,)
    assert not [
        seen for seen in outside.frames() for mark in marks if mark and mark in seen
    ]


def test_the_tag_of_a_vlan_frame_is_seen_though_the_kernel_took_it_out(one_pod: Wiring):
    """skb->vlan_present: the ethertype in the frame already is IP's."""
    with EventReader(one_pod.instance) as reader:
        send(one_pod.pods[0], "eth0", TAGGED)
        [event] = wait_for(reader.read)
    assert (event.reason, event.ethertype) == ("vlan_tagged", 0x0800)


@pytest.mark.parametrize("tags", [1, 2])
@pytest.mark.parametrize("other", [True, False])
def test_ip_under_tags_of_vlan_0_is_inspected_as_ip(one_pod: Wiring, tags, other):
    """Its receiver takes them off, so no option lets it by."""
    one_pod.update(0, pass_other=other)
    packet = Ether(src=packets.pod_one_mac, dst=packets.gateway_mac)
    for _ in range(tags):
        packet /= Dot1Q(vlan=0, prio=5)
    body = IP(src=packets.pod_one_ip4, dst=packets.gateway_ip4) / UDP(dport=PORT)
    before = one_pod.counted(0, "to_engine")
    outside = Sniffer(one_pod.host, "veth0")
    send(one_pod.pods[0], "eth0", bytes(packet / body / Raw(b"tagged" * 8)))
    wait_for(lambda: one_pod.counted(0, "to_engine") > before)
    wait_for(lambda: any(b"tagged" * 8 in frame for frame in outside.frames()))
    send(one_pod.pods[0], "eth0", bytes(packet / Dot1Q(vlan=0) / Dot1Q(vlan=0) / body))
    wait_for(lambda: one_pod.counted(0, "vlan_tagged") == 1)


def test_a_vlan_frame_passes_with_its_tag_where_the_port_says_so(one_pod: Wiring):
    outside = Sniffer(one_pod.host, "veth0")
    one_pod.update(0, pass_other=True)
    send(one_pod.pods[0], "eth0", TAGGED)
    wait_for(lambda: one_pod.counted(0, "other_pass") == 1)
    # The sniffer shows the frame without the tag that the kernel keeps beside it.
    wait_for(lambda: outside.saw(TAGGED[:12] + TAGGED[16:]))
    assert one_pod.inspected() == []


@pytest.mark.parametrize("peer_to_host", [False, True])
@pytest.mark.parametrize("mode", [Mode.PROTECT, Mode.DISCOVER])
def test_a_frame_for_another_mac_is_never_accepted(wiring: Wiring, mode, peer_to_host):
    """bpf_redirect_peer would make it the container's: so it is not used for such frames."""
    pod = wiring.pod(peer_to_host=peer_to_host)
    wiring.attach_all(mode=mode)
    wiring.start_engine()
    server = Program(pod, _LISTEN, packets.pod_one_ip4, str(PORT))
    server.heard()
    send(
        wiring.host,
        "veth0",
        udp("in", b"bad", dst=packets.stranger_mac),
        udp("in", b"good"),
    )
    assert server.heard()["data"] == "good"
    assert wiring.counted(0, "not_mine") == 1


def test_towards_the_host_a_foreign_mac_is_not_accepted_either(wiring: Wiring):
    """host_mac: redirect_peer only for frames to the host peer itself."""
    pod = wiring.pod(peer_to_host=False)
    host = wiring.host
    # Routed, as Calico does it: the host's end has the address, no bridge between.
    host.run("ip", "link", "set", "veth0", "nomaster")
    host.run("ip", "link", "set", "br0", "down")
    host.run(
        "ip",
        "addr",
        "add",
        f"{packets.gateway_ip4}/{packets.prefix_ip4}",
        "dev",
        "veth0",
    )
    host_mac = host.ip("link", "show", "veth0")[0]["address"]
    wiring.attach_all(host_mac=host_mac)
    wiring.start_engine()
    server = Program(host, _LISTEN, packets.gateway_ip4, str(PORT))
    server.heard()
    send(
        pod,
        "eth0",
        udp("out", b"bad", dst=packets.stranger_mac),
        udp("out", b"good", dst=host_mac),
    )
    assert server.heard()["data"] == "good"
    assert answered(ping(pod, packets.gateway_ip4)) == (3, 3)


def test_a_dead_engine_fails_as_each_port_says(wiring: Wiring):
    """Behaviour 10, per workload: one open, one closed, side by side."""
    wiring.start_pods(2)
    wiring.update(0, fail=Fail.OPEN)
    for pod in wiring.pods:
        assert answered(ping(pod, packets.gateway_ip4)) == (3, 3)
    wiring.report()
    wiring.heartbeat(1)
    assert answered(ping(wiring.pods[0], packets.gateway_ip4)) == (3, 3)
    assert answered(ping(wiring.pods[1], packets.gateway_ip4, wait=0.2)) == (3, 0)
    assert wiring.counted(0, "fail_open") == 6
    assert wiring.counted(1, "engine_down") == 3
    assert wiring.inspected() == []


def test_an_address_that_comes_later_is_the_workloads_too(one_pod: Wiring):
    pod = one_pod.pods[0]
    extra = packets.pod_one_extra_ip4
    pod.run("ip", "addr", "add", f"{extra}/{packets.prefix_ip4}", "dev", "eth0")
    server = udp_echo(one_pod.host, packets.gateway_ip4, PORT)
    assert pod.run(
        "ping", "-c1", "-W0.2", "-I", extra, packets.gateway_ip4, check=False
    ).returncode
    one_pod.update(0, addresses=(*one_pod.pairs[0].addresses, extra))
    pod.run("ping", "-c1", "-W2", "-I", extra, packets.gateway_ip4)
    one_pod.update(0, addresses=(packets.pod_one_ip4, packets.pod_one_ip6))
    assert pod.run(
        "ping", "-c1", "-W0.2", "-I", extra, packets.gateway_ip4, check=False
    ).returncode
    assert udp_try(pod, packets.gateway_ip4, PORT) == "open"
    assert server.process.poll() is None


def test_frames_of_a_port_that_is_gone_end_on_vbr(one_pod: Wiring):
    """A stale detour: nothing stands behind the filter here, so the mute stack ends it."""
    frame = udp("in", b"late", dst=UCMAC_TWO)
    inside = Sniffer(one_pod.pods[0], "eth0")
    outside = Sniffer(one_pod.host, "veth0")
    one_pod.engine.said(f"send {frame.hex()}")
    wait_for(lambda: "detour_unknown" in one_pod.driver.counters(0))
    assert answered(ping(one_pod.pods[0], packets.gateway_ip4, count=1)) == (1, 1)
    assert not [seen for seen in inside.frames() + outside.frames() if b"late" in seen]
