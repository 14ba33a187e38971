"""A TCP client that writes its frames itself, on a link on which another host answers.

In: a namespace on the link, both ends' addresses. Out: frames written; what came back. I/O: packet sockets.
The client's address is nobody's, so that no kernel answers for it; the other host must know its MAC.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.lab.net.netns import Netns
from tests.lab.pace import LabError

ETH_P_IP, SOL_PACKET, PACKET_VNET_HDR = 0x0800, 263, 15
PATIENCE_S = 5.0


@dataclass(frozen=True)
class Link:
    """Where the client is, and whom it talks to."""

    ns: Netns
    device: str
    mac: str
    address: str
    server_mac: str
    server: str


@dataclass
class LinkClient:
    """A connection whose segments the test writes. Offsets count from the client's first byte."""

    link: Link
    port: int
    server_port: int
    first: int = field(default_factory=lambda: random.randrange(2**32))
    """The sequence number of offset 0."""
    ack: int = 0
    _sockets: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> Self:
        with self.link.ns.inside():
            for wants_vnet in (False, True):
                made = socket.socket(
                    socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP)
                )
                if wants_vnet:
                    made.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
                made.bind((self.link.device, 0 if wants_vnet else ETH_P_IP))
                self._sockets.append(made)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in self._sockets:
            one.close()

    def frame(self, at: int, data: bytes, flags: str = "PA", **tcp: Any) -> Packet:
        """Return a segment whose first byte has offset `at`."""
        head = Ether(src=self.link.mac, dst=self.link.server_mac)
        ip = IP(src=self.link.address, dst=self.link.server)
        said = {
            "seq": (self.first + at) % 2**32,
            "ack": self.ack if "A" in flags else 0,
            "window": 65535,
        } | tcp
        segment = TCP(sport=self.port, dport=self.server_port, flags=flags, **said)
        return head / ip / segment / data if data else head / ip / segment

    def send(self, at: int, data: bytes, flags: str = "PA", **tcp: Any) -> None:
        """Send one segment; with chksum as it is given."""
        self.write([bytes(self.frame(at, data, flags, **tcp))])

    def write(self, frames: Iterable[bytes], vnet: bytes = b"") -> None:
        """Send frames, each after a struct virtio_net_hdr if there is one."""
        for one in frames:
            self._sockets[bool(vnet)].send(vnet + one)

    def heard(self, seconds: float) -> list[TCP]:
        """Return the segments that come to the client's port for so long."""
        found, until = [], time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._sockets[0].settimeout(left)
            try:
                frame = Ether(self._sockets[0].recv(65536))
            except TimeoutError:
                break
            if frame.haslayer(TCP) and frame[TCP].dport == self.port:
                found.append(frame[TCP])
        return found

    def open(self, data: bytes = b"") -> None:
        """Shake hands, with data in the SYN if there is some: it is sent again without."""
        for payload in (data, b""):
            self.send(-1, payload, "S")
            until = time.monotonic() + PATIENCE_S
            while time.monotonic() < until:
                for one in self.heard(0.2):
                    if str(one.flags) == "SA":
                        self.ack = (one.seq + 1) % 2**32
                        self.send(0, b"", "A")
                        return
                if payload:
                    break
        raise LabError("no SYN-ACK")
