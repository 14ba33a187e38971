"""Frames for the kernel tests, made with scapy, named by what they are."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from tests import packets

CLIENT, SERVER = 40000, 443


def link(way: str, **macs: str) -> Packet:
    """Ethernet of a unicast frame on its way `in` (vex) or `out` (vin) of pod one."""
    if way == "in":
        known = {"src": packets.gateway_mac, "dst": packets.pod_one_mac}
    else:
        known = {"src": packets.pod_one_mac, "dst": packets.gateway_mac}
    return Ether(**{**known, **macs})


def ends(way: str, version: int, **addresses: str) -> dict[str, str]:
    """src and dst of the IP header."""
    pod = packets.pod_one_ip4 if version == 4 else packets.pod_one_ip6
    world = packets.world_ip4 if version == 4 else packets.world_ip6
    src, dst = (world, pod) if way == "in" else (pod, world)
    return {"src": src, "dst": dst, **addresses}


def ip(way: str, version: int = 4, /, **header: object) -> Packet:
    """The IP header; keyword arguments go to scapy."""
    layer = IP if version == 4 else IPv6
    return layer(**{**ends(way, version), **header})


def tcp(flags: str = "A", **header: object) -> Packet:
    return TCP(sport=CLIENT, dport=SERVER, flags=flags, **header)


def udp(**header: object) -> Packet:
    return UDP(**{"sport": CLIENT, "dport": SERVER, **header})


def echo(version: int = 4) -> Packet:
    return ICMP(type=8, id=0x1234) if version == 4 else ICMPv6EchoRequest(id=0x1234)


def sctp(chunk: int = 0) -> Packet:
    """The common header and the head of one chunk: DATA by default, 1 is INIT."""
    return SCTP(sport=CLIENT, dport=SERVER, tag=7) / Raw(bytes([chunk, 0, 0, 4]))


def routing() -> Packet:
    return IPv6ExtHdrRouting(addresses=[packets.world_ip6])


__all__ = [
    "ARP",
    "CLIENT",
    "SERVER",
    "Dot1Q",
    "Ether",
    "ICMPv6ND_NS",
    "IPv6ExtHdrDestOpt",
    "IPv6ExtHdrFragment",
    "IPv6ExtHdrHopByHop",
    "Raw",
    "echo",
    "ip",
    "link",
    "routing",
    "sctp",
    "tcp",
    "udp",
]
