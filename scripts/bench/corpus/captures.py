"""Packets of a capture, as payload of TCP and UDP with the two ends.

In: a pcap or pcapng file. Out: Packets. I/O: reads the file. A packet of anything else is passed over, and so is a fragment
but the first; of tunnels only tags, PPPoE and MPLS are taken off.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

TCP, UDP = 6, 17
FIN, SYN, RST, ACK = 1, 2, 4, 16
End = tuple[str, int]
"""An address as text, and a port."""
IPV4, IPV6 = 0x0800, 0x86DD
TAGS = {0x8100, 0x88A8, 0x9100}
EXTENSIONS = {0, 43, 60}
DAMAGED = "fuzz-"
"""How the names of captures begin whose frames were damaged on purpose."""


@dataclass(frozen=True)
class Packet:
    """One segment or datagram, as much of it as was captured."""

    proto: int
    source: End
    target: End
    data: bytes
    seq: int = 0
    ack: int = 0
    flags: int = 0


RAW = {12, 14, 101, 228, 229}
HEADS = {1: (12, 14), 9: (2, 4), 113: (14, 16), 276: (0, 20)}
"""Link type → where the kind of what is inside stands, and where that begins."""


def _network(link: int, frame: bytes) -> bytes:
    """The packet inside a frame of this link type; empty if it holds no IP."""
    if link in RAW:
        return frame
    if link in (0, 108):
        return frame[4:]
    kind, head = HEADS.get(link, (0, len(frame)))
    return _inside(int.from_bytes(frame[kind : kind + 2], "big"), frame[head:])


def _inside(kind: int, rest: bytes) -> bytes:
    while kind in TAGS:
        kind, rest = int.from_bytes(rest[2:4], "big"), rest[4:]
    if kind == 0x8864:
        kind, rest = {0x21: IPV4, 0x57: IPV6}.get(rest[7] if len(rest) > 7 else 0, 0), rest[8:]  # fmt: skip
    if kind == 0x8847:
        while len(rest) > 4 and not rest[2] & 1:
            rest = rest[4:]
        kind, rest = IPV4, rest[4:]
    return rest if kind in (IPV4, IPV6, 0x21, 0x57) else b""


def _transport(packet: bytes) -> tuple[int, str, str, bytes] | None:
    """Protocol, addresses, and what is behind the IP headers."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        head, total = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
        if int.from_bytes(packet[6:8], "big") & 0x1FFF:
            return None
        source, target = (str(ip_address(packet[at : at + 4])) for at in (12, 16))
        total = total or len(packet)
        return packet[9], source, target, packet[head:total]
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        proto, at = packet[6], 40
        total = 40 + int.from_bytes(packet[4:6], "big")
        source, target = (str(ip_address(packet[a : a + 16])) for a in (8, 24))
        while proto in EXTENSIONS and len(packet) >= at + 8:
            proto, at = packet[at], at + 8 + packet[at + 1] * 8
        if proto == 44 and len(packet) >= at + 8:
            if int.from_bytes(packet[at + 2 : at + 4], "big") & 0xFFF8:
                return None
            proto, at = packet[at], at + 8
        return proto, source, target, packet[at:total]
    return None


def _is_sound(proto: int, source: str, target: str, rest: bytes) -> bool:
    """Whether the checksum of TCP or UDP is right; UDP over IPv4 may have none."""
    ends = ip_address(source).packed + ip_address(target).packed
    if proto == UDP and rest[6:8] == b"\0\0":
        return True
    whole = ends + struct.pack(">IHH", len(rest), 0, proto) + rest
    whole += b"\0" * (len(whole) % 2)
    words = struct.unpack(f">{len(whole) // 2}H", whole)
    return bool(sum(words) % 0xFFFF == 0)


def _payload(packet: bytes, *, sound: bool) -> Packet | None:
    found = _transport(packet)
    if found is None or (sound and not _is_sound(*found)):
        return None
    proto, source, target, rest = found
    if proto == TCP and len(rest) >= 20:
        sport, dport, seq, ack = struct.unpack(">HHII", rest[:12])
        head, ends = (rest[12] >> 4) * 4, ((source, sport), (target, dport))
        return Packet(TCP, *ends, rest[head:], seq, ack, rest[13])
    if proto == UDP and len(rest) >= 8:
        sport, dport, size = struct.unpack(">HHH", rest[:6])
        return Packet(UDP, (source, sport), (target, dport), rest[8 : size or None])
    return None


def payload_of(packet: bytes) -> Packet | None:
    """Return the segment or datagram of an IP packet, whatever its checksum says; None: it is neither."""
    return _payload(packet, sound=False)


def ip_packets(capture: Path) -> Iterator[bytes]:
    """Yield the IP packets of a capture in its order; ValueError: it is no capture."""
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    from scapy.error import Scapy_Exception  # noqa: PLC0415  it is slow to load
    from scapy.utils import RawPcapReader  # noqa: PLC0415

    try:
        reader = RawPcapReader(str(capture))
    except (Scapy_Exception, EOFError) as error:
        raise ValueError(str(error)) from error
    with reader:
        for frame, about in reader:
            link = getattr(about, "linktype", None)
            yield _network(reader.linktype if link is None else link, frame)


def packets(capture: Path) -> Iterator[Packet]:
    """Yield the packets of a capture in its order; ValueError: it is no capture.

    Of captures whose frames were damaged on purpose, only what a receiver takes; others often have no checksums yet.
    """
    for inside in ip_packets(capture):
        found = _payload(inside, sound=capture.name.startswith(DAMAGED))
        if found is not None:
            yield found
