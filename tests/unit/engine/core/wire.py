"""Frames as vth-neuv shows them, for one workload (pod_one) and one peer, in IPv4 and IPv6."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrFragment,
    fragment6,
)
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from pyctl import abi
from tests import packets
from tests.unit.engine.core.harness import INGRESS, PORT, Core

SERVICE, CLIENT = 8080, 40000


def ucmac(port: int = PORT) -> str:
    return abi.ucmac(port).hex(":")


def bcmac(port: int = PORT) -> str:
    return f"ff:ff:ff:00:{port >> 8:02x}:{port & 0xFF:02x}"


@dataclass(frozen=True)
class Net:
    """One IP version's words."""

    family: int
    pod: str
    peer: str
    other: str
    icmp: int
    """Protocol number of its ICMP."""

    def address(self, text: str) -> bytes:
        return socket.inet_pton(
            socket.AF_INET if self.family == 4 else socket.AF_INET6, text
        )

    def ip(self, src: str, dst: str, **options: Any) -> Packet:
        return (
            IP(src=src, dst=dst, **options)
            if self.family == 4
            else IPv6(src=src, dst=dst, **options)
        )

    def link(self, egress: bool, port: int = PORT) -> Packet:
        """The detour's Ethernet header."""
        if egress:
            return Ether(src=ucmac(port), dst=packets.gateway_mac)
        return Ether(src=packets.gateway_mac, dst=ucmac(port))

    def out(
        self, layer: Packet, *, peer: str = "", port: int = PORT, **ip: Any
    ) -> bytes:
        """From the workload."""
        return bytes(
            self.link(True, port) / self.ip(self.pod, peer or self.peer, **ip) / layer
        )

    def into(
        self, layer: Packet, *, peer: str = "", port: int = PORT, **ip: Any
    ) -> bytes:
        """To the workload."""
        return bytes(
            self.link(False, port) / self.ip(peer or self.peer, self.pod, **ip) / layer
        )

    def ping(self, ident: int = 7, seq: int = 1) -> Packet:
        if self.family == 4:
            return ICMP(type=8, id=ident, seq=seq) / b"ping"
        return ICMPv6EchoRequest(id=ident, seq=seq, data=b"ping")

    def pong(self, ident: int = 7, seq: int = 1) -> Packet:
        if self.family == 4:
            return ICMP(type=0, id=ident, seq=seq) / b"ping"
        return ICMPv6EchoReply(id=ident, seq=seq, data=b"ping")

    def unreachable(self, quoted: bytes) -> Packet:
        """An ICMP error about the IP packet in this frame."""
        cut = Raw(quoted[14 : 14 + (28 if self.family == 4 else 48)])
        return (
            ICMP(type=3, code=3) if self.family == 4 else ICMPv6DestUnreach(code=4)
        ) / cut

    def fragments(self, frame: bytes, size: int = 600, ident: int = 99) -> list[bytes]:
        """The frame's IP packet in pieces of at most about `size` bytes."""
        whole = Ether(frame)
        link = Ether(src=whole.src, dst=whole.dst, type=whole.type)
        if self.family == 4:
            ip = IP(bytes(whole.payload))
            ip.id = ident
            return [bytes(link / piece) for piece in fragment(ip, fragsize=size)]
        six = IPv6(bytes(whole.payload))
        split = (
            IPv6(src=six.src, dst=six.dst) / IPv6ExtHdrFragment(id=ident) / six.payload
        )
        return [bytes(link / piece) for piece in fragment6(split, size)]


NETS = (
    Net(4, packets.pod_one_ip4, packets.world_ip4, packets.pod_two_ip4, 1),
    Net(6, packets.pod_one_ip6, packets.world_ip6, packets.pod_two_ip6, 58),
)


@dataclass
class Connection:
    """A TCP connection with right sequence numbers; `initiator` egress: the workload is the client."""

    net: Net
    initiator: int
    sport: int = CLIENT
    dport: int = SERVICE
    seq: list[int] = field(default_factory=lambda: [1000, 5000])
    """Next of the client and of the server."""

    def segment(self, side: int, flags: str, payload: bytes = b"") -> bytes:
        """From the client (0) or the server (1); its sequence number moves on."""
        sport, dport = (
            (self.sport, self.dport) if side == 0 else (self.dport, self.sport)
        )
        ack = self.seq[1 - side] if "A" in flags else 0
        tcp = TCP(sport=sport, dport=dport, flags=flags, seq=self.seq[side], ack=ack)
        self.seq[side] += len(payload) + ("S" in flags) + ("F" in flags)
        egress = (side == 0) != (self.initiator == INGRESS)
        layer = tcp / payload if payload else tcp
        return self.net.out(layer) if egress else self.net.into(layer)

    def handshake(self, core: Core) -> None:
        for side, flags in ((0, "S"), (1, "SA"), (0, "A")):
            assert core.passes(self.segment(side, flags))

    def established(self, core: Core) -> Connection:
        self.handshake(core)
        assert core.passes(self.segment(0, "PA", b"hello"))
        return self


def udp(sport: int = CLIENT, dport: int = SERVICE, payload: bytes = b"x") -> Packet:
    return UDP(sport=sport, dport=dport) / payload


def sctp(chunk: int, sport: int = CLIENT, dport: int = SERVICE) -> Packet:
    """One chunk's head: 1 is INIT, 2 its answer, 0 data."""
    return SCTP(sport=sport, dport=dport) / Raw(bytes([chunk, 0, 0, 4]))


def parse(frame: bytes) -> Packet:
    return Ether(frame)


def checksums_hold(frame: bytes) -> bool:
    """As scapy computes them, when it builds the packet anew."""
    packet = Ether(frame)
    ip = packet.payload
    again = ip.copy()
    if again.version == 4:
        del again.chksum
    del again[TCP].chksum
    return bytes(type(ip)(bytes(again))) == bytes(ip)
