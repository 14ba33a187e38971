"""What a workload may say to its link without a rule: ARP, neighbour discovery, IGMP and MLD, and how much."""

from __future__ import annotations

import struct
import time

import pytest
from scapy.layers.inet import ICMP, IP, UDP, IPOption
from scapy.layers.inet6 import (
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from pyctl import abi
from pyctl.datapath.pins import open_map
from tests import packets
from tests.kernel.conftest import LOOPBACK, OTHER_PORT, PORT, SEGMENT, Lab

CLOCK_MONOTONIC_COARSE = 6
SHOT, REDIRECT = 2, 7
OWN, OTHER = packets.pod_one_ip4, packets.pod_two_ip4
OWN6, OTHER6 = packets.pod_one_ip6, packets.pod_two_ip6
MAC, FOREIGN = packets.pod_one_mac, packets.stranger_mac


def arp(**said: object) -> bytes:
    """A request of the workload for the gateway, but for what is said."""
    body = {"op": 1, "hwsrc": MAC, "psrc": OWN, "pdst": packets.gateway_ip4, **said}
    return bytes(Ether(src=MAC, dst=packets.broadcast_mac) / ARP(**body))


def nd(message, *options, src=OWN6, hlim=255, between=None) -> bytes:
    header = {"src": src, "dst": packets.group_ip6, "hlim": hlim}
    packet = Ether(src=MAC, dst=packets.group6_mac)
    if between is None:
        packet /= IPv6(**header, nh=58)
    else:
        packet /= IPv6(**header) / between
    for layer in (message, *options):
        packet /= layer
    return bytes(packet)


def source(mac: str = MAC):
    return ICMPv6NDOptSrcLLAddr(lladdr=mac)


def target(mac: str = MAC):
    return ICMPv6NDOptDstLLAddr(lladdr=mac)


ADVERTISED = ICMPv6ND_NA(tgt=OWN6, R=0, S=0, O=1)
NONCE = Raw(b"\x0e\x01abcdef")
RIGHT = {
    "a request": (arp(), "arp"),
    "a reply": (arp(op=2), "arp"),
    "a gratuitous one": (arp(pdst=OWN), "arp"),
    "a probe": (arp(psrc=packets.unspecified_ip4), "arp"),
    "a padded one": (arp() + bytes(18), "arp"),
    "a solicitation": (nd(ICMPv6ND_NS(tgt=OTHER6), source()), "neighbour_discovery"),
    "with a nonce": (nd(ICMPv6ND_NS(tgt=OTHER6), source(), NONCE), "neighbour_discovery"),
    "dad": (nd(ICMPv6ND_NS(tgt=OWN6), src=packets.unspecified_ip6), "neighbour_discovery"),
    "an advertisement": (nd(ADVERTISED, target()), "neighbour_discovery"),
    "a router solicitation": (nd(ICMPv6ND_RS(), source()), "neighbour_discovery"),
}  # fmt: skip
WRONG = {
    "another's address": (arp(psrc=OTHER), "arp_spoofed"),
    "another's address in a reply": (arp(op=2, psrc=OTHER), "arp_spoofed"),
    "another's mac": (arp(hwsrc=FOREIGN), "arp_spoofed"),
    "another's mac in a probe": (arp(psrc=packets.unspecified_ip4, hwsrc=FOREIGN), "arp_spoofed"),
    "rarp's operation": (arp(op=3), "malformed"),
    "another hardware": (arp(hwtype=6), "malformed"),
    "addresses of ipv6": (arp(ptype=0x86DD), "malformed"),
    "a long one": (arp() + bytes(19), "malformed"),
    "a cut one": (arp()[:-1], "malformed"),
    "an advertisement of another": (nd(ICMPv6ND_NA(tgt=OTHER6), target()), "nd_spoofed"),
    "an advertisement of another's mac": (nd(ADVERTISED, target(FOREIGN)), "nd_spoofed"),
    "behind other options": (nd(ADVERTISED, NONCE, NONCE, target(FOREIGN)), "nd_spoofed"),
    "a solicitation with another's mac": (nd(ICMPv6ND_NS(tgt=OTHER6), source(FOREIGN)), "nd_spoofed"),
    "a router solicitation likewise": (nd(ICMPv6ND_RS(), source(FOREIGN)), "nd_spoofed"),
    "more options": (nd(ADVERTISED, *[NONCE] * 4), "malformed"),
    "an option without length": (nd(ADVERTISED, Raw(bytes(8))), "malformed"),
    "half an option": (nd(ADVERTISED, Raw(b"\x0e\x01ab")), "malformed"),
    "something behind the packet": (nd(ADVERTISED, target()) + bytes(40), "malformed"),
    "half an advertisement": (nd(Raw(b"\x88\0\0\0\0\0\0\0")), "malformed"),
    "behind an extension header": (nd(ADVERTISED, target(), between=IPv6ExtHdrDestOpt()), "malformed"),
    "a router advertisement": (nd(ICMPv6ND_RA(), source()), "not_served"),
    "a redirect": (nd(ICMPv6ND_Redirect(tgt=OWN6, dst=OTHER6)), "not_served"),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_speaks_for_the_workload_passes(kernel: Lab, name):
    kernel.port("vin")
    frame, reason = RIGHT[name]
    got = kernel.run("vin", frame)
    assert (got.verdict, got.reason, got.frame) == (REDIRECT, reason, frame)


@pytest.mark.parametrize("name", WRONG)
def test_what_speaks_for_another_or_beyond_measure_is_dropped(kernel: Lab, name):
    frame, reason = WRONG[name]
    kernel.port("vin")
    got = kernel.run("vin", frame)
    assert (got.verdict, got.reason) == (SHOT, reason)
    kernel.port("vin", "monitor")
    got = kernel.run("vin", frame)
    assert (got.verdict, got.reason) == (REDIRECT, reason)
    assert got.reasons[reason].passed == 1


def test_a_gateway_answers_for_others_under_its_own_mac(kernel: Lab):
    kernel.port("vin", "protect", "ANY_SOURCE")
    for frame in (arp(op=2, psrc=OTHER), nd(ICMPv6ND_NA(tgt=OTHER6), target())):
        assert kernel.run("vin", frame).verdict == REDIRECT
    for frame in (arp(op=2, hwsrc=FOREIGN), nd(ADVERTISED, target(FOREIGN))):
        assert kernel.run("vin", frame).verdict == SHOT


def test_a_router_that_is_declared_advertises(kernel: Lab):
    kernel.port("vin", "protect", "SERVES_ROUTER")
    for message in (
        nd(ICMPv6ND_RA(), source(), ICMPv6NDOptPrefixInfo(prefix=OWN6), Raw(bytes(64))),
        nd(ICMPv6ND_Redirect(tgt=OWN6, dst=OTHER6)),
    ):
        got = kernel.run("vin", message)
        assert (got.verdict, got.reason) == (REDIRECT, "neighbour_discovery")


def igmp(mac: str = packets.group_mac, **ip: object) -> bytes:
    header = {"src": OWN, "dst": packets.group_ip4, "ttl": 1, "proto": 2, **ip}
    return bytes(Ether(src=MAC, dst=mac) / IP(**header) / Raw(bytes(8)))


LOOSE_ROUTE = b"\x83\x03\x04\0"


def mld(hlim: int = 1) -> bytes:
    alert = IPv6ExtHdrHopByHop(options=[RouterAlert()])
    return nd(
        ICMPv6MLReport2(), src=packets.pod_one_link_local_ip6, hlim=hlim, between=alert
    )


@pytest.mark.parametrize("hook", ["vex", "vin"])
@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (igmp(), "group"),
        (igmp(options=b"\x94\x04\0\0"), "group"),
        (mld(), "group"),
        (igmp(ttl=2), "to_engine"),
        (igmp(options=b"\x94\x04\0\0" + b"\x01" * 4), "to_engine"),
        (igmp(flags="MF"), "to_engine"),
        (igmp(options=LOOSE_ROUTE), "to_engine"),
        (mld()[:18] + bytes(2) + mld()[20:], "to_engine"),
        (mld(2), "to_engine"),
        (igmp(MAC), "to_engine"),
        (igmp(MAC, dst=OWN), "to_engine"),
        (igmp(packets.broadcast_mac, dst="255.255.255.255"), "to_engine"),
    ],
    ids=[
        *("igmp", "with its option", "mld"),
        *("igmp from afar", "with more options", "a part of igmp"),
        *("igmp by a route", "mld without a length", "mld from afar"),
        *("igmp to one", "to one's address", "to all"),
    ],
)
def test_membership_passes_where_it_is_of_the_link(kernel: Lab, hook, frame, reason):
    kernel.port(hook)
    if hook == "vex":
        frame = (
            frame[:6] + bytes.fromhex(packets.gateway_mac.replace(":", "")) + frame[12:]
        )
    assert kernel.run(hook, frame).reason == reason


BURST_NS, NS_PER_BYTE = 2_000_000_000, 61035


def ahead(kernel: Lab, nanoseconds: int) -> int:
    """Let the workload have sent so much more than its pace by now; the time of that."""
    due = time.clock_gettime_ns(CLOCK_MONOTONIC_COARSE) + nanoseconds
    with open_map(kernel.instance, "seg_ports") as ports:
        value = bytearray(ports.lookup(struct.pack("=I", LOOPBACK)))
        at = abi.ffi.offsetof("struct seg_port", "paced_ns")
        struct.pack_into("=Q", value, at, due)
        ports.update(struct.pack("=I", LOOPBACK), bytes(value))
    return due


def paced(kernel: Lab) -> int:
    with open_map(kernel.instance, "seg_ports") as ports:
        value = ports.lookup(struct.pack("=I", LOOPBACK))
        return abi.unpack("seg_port", value).paced_ns


@pytest.mark.parametrize(
    "frame",
    [arp(), RIGHT["a solicitation"][0], igmp(), mld()],
    ids=["arp", "nd", "igmp", "mld"],
)
def test_it_is_kept_to_a_pace_by_its_bytes(kernel: Lab, frame):
    """ARP, ND and membership draw on one budget, of which two seconds may be spent at once."""
    kernel.port("vin")
    due = ahead(kernel, BURST_NS // 2)
    assert kernel.run("vin", frame).verdict == REDIRECT
    assert paced(kernel) == due + len(frame) * NS_PER_BYTE
    due = ahead(kernel, BURST_NS * 2)
    got = kernel.run("vin", frame)
    assert (got.verdict, got.reason) == (SHOT, "arp_nd_rate")
    assert paced(kernel) == due, "what is dropped costs nothing"
    kernel.port("vin", "discover")
    ahead(kernel, BURST_NS * 2)
    assert kernel.run("vin", frame).verdict == REDIRECT


def test_what_was_saved_up_is_not_paid_out_later(kernel: Lab):
    kernel.port("vin")
    before = time.clock_gettime_ns(CLOCK_MONOTONIC_COARSE)
    kernel.run("vin", arp())
    assert paced(kernel) >= before + len(arp()) * NS_PER_BYTE


def attached(kernel: Lab, serves: int = 0) -> None:
    """Pod two is attached too, on the same segment."""
    mac = kernel.mac_entry(packets.pod_two_mac, owner=OTHER_PORT, serves=serves)
    kernel.write("seg_macs", *mac)
    for text in (OTHER, OTHER6):
        for segment in (0, SEGMENT):
            held = kernel.owner_entry(text, segment, owner=OTHER_PORT)
            kernel.write("seg_owners", *held)
        kernel.write("seg_addrs", *kernel.address_entry(text, OTHER_PORT))


@pytest.mark.parametrize("mode", ["discover", "monitor", "protect"])
@pytest.mark.parametrize(
    "frame",
    [
        arp(psrc=OTHER),
        arp(op=2, psrc=OTHER),
        nd(ICMPv6ND_NA(tgt=OTHER6), target()),
        arp(psrc=packets.unspecified_ip4, pdst=OTHER),
        nd(ICMPv6ND_NS(tgt=OTHER6), src=packets.unspecified_ip6),
    ],
    ids=["a request", "a reply", "an advertisement", "a probe", "dad"],
)
def test_an_attached_workloads_name_is_taken_in_no_mode(kernel: Lab, frame, mode):
    kernel.port("vin", mode)
    attached(kernel)
    got = kernel.run("vin", frame)
    assert (got.verdict, got.reason) == (SHOT, "taken_ip")
    # A MAC of its own making hides nothing.
    own, foreign = (bytes.fromhex(mac.replace(":", "")) for mac in (MAC, FOREIGN))
    got = kernel.run("vin", frame.replace(own, foreign, 1))
    expected = "spoofed_mac" if mode == "protect" else "taken_ip"
    assert (got.verdict, got.reason) == (SHOT, expected)


def test_what_its_owner_may_have_again_is_anybodys_but_not_to_be_asked_for(kernel: Lab):
    """An address on its way back is on no interface until it was asked for."""
    kernel.port("vin", "discover")
    attached(kernel)
    for text in (OTHER, OTHER6):
        held = kernel.owner_entry(text, owner=OTHER_PORT, spare=1)
        kernel.write("seg_owners", *held)
    for frame in (probe(MAC), dad(MAC)):
        got = kernel.run("vin", frame)
        assert (got.verdict, got.reason) == (SHOT, "taken_ip")
    assert kernel.run("vin", arp(psrc=OTHER)).verdict == REDIRECT


def test_one_of_several_owners_may_ask_whether_it_is_free(kernel: Lab):
    kernel.port("vin")
    attached(kernel)
    for text in (OTHER, OTHER6):
        kernel.write("seg_owners", *kernel.owner_entry(text, owner=0))
        kernel.write("seg_addrs", *kernel.address_entry(text))
    for frame in (probe(MAC), dad(MAC)):
        assert kernel.run("vin", frame).verdict == REDIRECT


def probe(mac: str, of: str = OTHER) -> bytes:
    """Whether an address is free."""
    body = ARP(op=1, hwsrc=mac, psrc=packets.unspecified_ip4, pdst=of)
    return bytes(Ether(src=mac, dst=packets.broadcast_mac) / body)


def dad(mac: str, of: str = OTHER6) -> bytes:
    packet = Ether(src=mac, dst=packets.group6_mac)
    packet /= IPv6(src=packets.unspecified_ip6, dst=packets.group_ip6, hlim=255)
    return bytes(packet / ICMPv6ND_NS(tgt=of))


@pytest.mark.parametrize("mode", ["discover", "protect"])
@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (probe(packets.pod_two_mac, OWN), "peer_mac"),
        (probe(packets.pod_two_mac), "arp"),
        (probe(packets.pod_two_mac, packets.gateway_ip4), "arp"),
        (probe(FOREIGN, OWN), "arp"),
        (dad(packets.pod_two_mac, OWN6), "peer_mac"),
        (dad(packets.pod_two_mac), "neighbour_discovery"),
        (dad(packets.pod_two_mac, packets.gateway_ip6), "neighbour_discovery"),
        (dad(FOREIGN, OWN6), "neighbour_discovery"),
    ],
)
def test_an_attached_workload_asks_for_no_others_address(
    kernel: Lab, frame, reason, mode
):
    """It would have the owner give it up. A stranger may have come to it honestly."""
    kernel.port("vex", mode)
    attached(kernel)
    for text in (OWN, OWN6):
        kernel.write("seg_owners", *kernel.owner_entry(text, owner=PORT))
    got = kernel.run("vex", frame)
    assert got.reason == reason
    assert got.verdict == (SHOT if reason == "peer_mac" else REDIRECT)


def routed(mac: str, message: object) -> bytes:
    packet = Ether(src=mac, dst=packets.group6_mac)
    packet /= IPv6(src=packets.link_local_ip6, dst=packets.group_ip6, hlim=255)
    return bytes(packet / message)


def leased(mac: str, version: int = 4) -> bytes:
    """A DHCP server's answer."""
    own = OTHER if mac == packets.pod_two_mac else packets.gateway_ip4
    source = {4: own, 6: packets.link_local_ip6}[version]
    header = {4: IP, 6: IPv6}[version](src=source, dst={4: OWN, 6: OWN6}[version])
    sport, dport = {4: (67, 68), 6: (547, 546)}[version]
    return bytes(Ether(src=mac, dst=MAC) / header / UDP(sport=sport, dport=dport))


ROUTER, DHCP = abi.constant("SEG_SERVES_ROUTER"), abi.constant("SEG_SERVES_DHCP")


@pytest.mark.parametrize(
    ("message", "needs", "passes"),
    [
        (lambda mac: routed(mac, ICMPv6ND_RA()), ROUTER, "neighbour_discovery"),
        (leased, DHCP, "to_engine"),
        (lambda mac: leased(mac, 6), DHCP, "to_engine"),
    ],
    ids=["an advertisement", "a lease", "a lease of ipv6"],
)
def test_a_service_of_the_link_comes_from_an_attached_workload_that_serves_it(
    kernel: Lab, message, needs, passes
):
    """Whatever the sender's mode. Of others nobody knows what they serve."""
    for mode, verdict in (("protect", SHOT), ("discover", REDIRECT)):
        kernel.port("vex", mode)
        attached(kernel, serves=(ROUTER | DHCP) - needs)
        got = kernel.run("vex", message(packets.pod_two_mac))
        assert (got.verdict, got.reason) == (verdict, "not_served")
        assert kernel.run("vex", message(packets.gateway_mac)).reason == passes
        attached(kernel, serves=needs)
        assert kernel.run("vex", message(packets.pod_two_mac)).reason == passes


def redirect(version: int, mac: str) -> bytes:
    """The workload is told that the way to the world is by OTHER."""
    if version == 6:
        return routed(mac, ICMPv6ND_Redirect(tgt=OTHER6, dst=packets.world_ip6))
    told = IP(src=OWN, dst=packets.world_ip4) / UDP()
    said = IP(src=packets.gateway_ip4, dst=OWN) / ICMP(type=5, code=1, gw=OTHER) / told
    return bytes(Ether(src=mac, dst=MAC) / said)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("mode", "verdict"), [("protect", SHOT), ("discover", REDIRECT)]
)
def test_a_redirect_comes_from_an_attached_workload_that_serves_as_router(
    kernel: Lab, mode, verdict, version
):
    """Of nobody else, whose word would take the workload's routes."""
    kernel.port("vex", mode)
    attached(kernel, serves=DHCP)
    for mac in (packets.pod_two_mac, packets.gateway_mac, packets.stranger_mac):
        got = kernel.run("vex", redirect(version, mac))
        assert (got.verdict, got.reason) == (verdict, "not_served")
    attached(kernel, serves=ROUTER)
    got = kernel.run("vex", redirect(version, packets.pod_two_mac))
    assert (got.verdict, got.reason) == (REDIRECT, "neighbour_discovery")


def test_a_redirect_of_ipv4_leaves_who_serves_as_router(kernel: Lab):
    told = IP(src=OTHER, dst=packets.world_ip4) / UDP()
    said = IP(src=OWN, dst=OTHER) / ICMP(type=5, code=1, gw=OTHER) / told
    frame = bytes(Ether(src=MAC, dst=packets.pod_two_mac) / said)
    kernel.port("vin", "protect")
    assert kernel.run("vin", frame).reason == "not_served"
    kernel.port("vin", "protect", "SERVES_ROUTER")
    assert kernel.run("vin", frame).reason == "neighbour_discovery"
    said.options = [IPOption(LOOSE_ROUTE)]
    frame = bytes(Ether(src=MAC, dst=packets.pod_two_mac) / said)
    assert kernel.run("vin", frame).reason == "to_engine"


def told(mac: str, *, link: str = "", op: int = 2, psrc: str = OTHER) -> bytes:
    """ARP that comes to the workload: `psrc` is at `mac`."""
    body = ARP(op=op, hwsrc=mac, psrc=psrc, hwdst=MAC, pdst=OWN)
    return bytes(Ether(src=link or mac, dst=MAC) / body)


def advertised(mac: str, of: str = OTHER6) -> bytes:
    packet = Ether(src=mac, dst=MAC) / IPv6(
        src=packets.link_local_ip6, dst=OWN6, hlim=255
    )
    return bytes(packet / ICMPv6ND_NA(tgt=of) / target(mac))


@pytest.mark.parametrize("mode", ["discover", "protect"])
@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (told(packets.pod_two_mac), "arp"),
        (told(FOREIGN), "peer_mac"),
        (told(FOREIGN, op=1), "peer_mac"),
        (told(FOREIGN, link=packets.pod_two_mac), "peer_mac"),
        (told(packets.pod_two_mac, psrc=packets.gateway_ip4), "arp"),
        (told(FOREIGN, psrc=packets.gateway_ip4), "arp"),
        (advertised(packets.pod_two_mac), "neighbour_discovery"),
        (advertised(FOREIGN), "peer_mac"),
        (advertised(FOREIGN, packets.gateway_ip6), "neighbour_discovery"),
    ],
)
def test_what_comes_in_an_attached_workloads_name_comes_from_it(
    kernel: Lab, frame, reason, mode
):
    """Of others nobody knows who they are."""
    kernel.port("vex", mode)
    attached(kernel)
    got = kernel.run("vex", frame)
    assert got.reason == reason
    assert got.verdict == (SHOT if reason == "peer_mac" else REDIRECT)
    assert got.frame == frame


@pytest.mark.parametrize(
    "frame",
    [told(FOREIGN)[:-1], told(FOREIGN).replace(b"\x08\x00\x06", b"\x86\xdd\x06")],
    ids=["cut", "of ipv6"],
)
def test_what_is_no_arp_does_not_come_as_it(kernel: Lab, frame):
    kernel.port("vex")
    assert kernel.run("vex", frame).reason == "malformed"
