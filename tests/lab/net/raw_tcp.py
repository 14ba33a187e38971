"""A TCP client that sends any segment: against it stands the kernel of a namespace, at the other end of a tun device.

In: a namespace, segments by offset. Out: packets written; what the kernel answered. The device goes with the namespace.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from tests.lab.net.netns import Netns
from tests.lab.pace import LabError

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
TCP = 6
ENDS = {4: ("192.0.2.2", "192.0.2.1"), 6: ("fd00:77::2", "fd00:77::1")}
"""IP version → the client, and the kernel's end."""
PATIENCE_MS, AGAIN_MS = 5000, 100
"""A new IPv6 address is not reachable at once, so a SYN is sent again."""


@dataclass(frozen=True)
class Answer:
    """A segment of the kernel's."""

    seq: int
    ack: int
    flags: int
    stamps: tuple[int, int] | None
    """TSval and TSecr."""
    data: bytes


def _sum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def internet_checksum(data: bytes) -> int:
    """Return the checksum of IP, TCP and UDP over these bytes."""
    return ~_sum(data) & 0xFFFF


def _stamps(options: bytes) -> tuple[int, int] | None:
    """Return TSval and TSecr of the kernel's options, which are well formed."""
    while options and options[0]:
        if options[0] == 8:
            value, echo = struct.unpack_from("!II", options, 2)
            return value, echo
        options = options[1 if options[0] == 1 else options[1] :]
    return None


class Tun:
    """The device, and who listens behind it."""

    def __init__(self, ns: Netns, family: int) -> None:
        self.family = family
        self.client, self.kernel = ENDS[family]
        with ns.inside():
            self._fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            asked = struct.pack("16sH22x", b"tun0", IFF_TUN | IFF_NO_PI)
            fcntl.ioctl(self._fd, TUNSETIFF, asked)
            ns.batch(
                "link set tun0 up",
                f"addr add {self.kernel}/{24 if family == 4 else 64} dev tun0"
                + (" nodad" if family == 6 else ""),
            )
            inet = socket.AF_INET if family == 4 else socket.AF_INET6
            self.listener = socket.socket(inet)
        self.listener.bind((self.kernel, 0))
        self.listener.listen(64)
        self.listener.settimeout(PATIENCE_MS / 1000)
        self.port = self.listener.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.listener.close()
        os.close(self._fd)

    def write(self, segment: bytes) -> None:
        """Send a TCP segment without a checksum to the kernel."""
        source, target = (ip_address(one).packed for one in (self.client, self.kernel))
        pseudo = source + target + struct.pack("!II", len(segment), TCP)
        checksum = internet_checksum(pseudo + segment)
        segment = segment[:16] + struct.pack("!H", checksum) + segment[18:]
        if self.family == 6:
            head = struct.pack("!IHBB", 0x60000000, len(segment), TCP, 64)
            os.write(self._fd, head + source + target + segment)
            return
        head = struct.pack("!BBHIBBH", 0x45, 0, 20 + len(segment), 0, 64, TCP, 0)
        checksum = internet_checksum(head + source + target)
        head = head[:10] + struct.pack("!H", checksum)
        os.write(self._fd, head + source + target + segment)

    def write_packet(self, packet: bytes) -> None:
        """Send an IP packet as it is to the kernel."""
        os.write(self._fd, packet)

    def read(self, port: int, wait_ms: int = 0) -> list[Answer]:
        """Return what the kernel sent to a port since; wait for the first so long."""
        found: list[Answer] = []
        while select.select([self._fd], [], [], 0 if found else wait_ms / 1000)[0]:
            packet = os.read(self._fd, 65536)
            at = 40 if packet[0] >> 4 == 6 else (packet[0] & 15) * 4
            if packet[6 if at == 40 else 9] != TCP or self.family != packet[0] >> 4:
                continue
            to, seq, ack, words, flags = struct.unpack_from("!2xHIIBB", packet, at)
            data = at + (words >> 4) * 4
            if to == port:
                stamps = _stamps(packet[at + 20 : data])
                found.append(Answer(seq, ack, flags, stamps, packet[data:]))
        return found


class RawClient:
    """A connection of a client's that decides each segment. Offsets count from the first byte of each side."""

    def __init__(self, tun: Tun, port: int, first: int, stamp: int | None) -> None:
        self._tun, self._port = tun, port
        self.first = (first, 0)
        """Sequence number of the first byte of the client, and of the server."""
        self.stamp = stamp
        """TSval of the handshake; None: without timestamps."""
        self.server: socket.socket

    def open(self, data: bytes = b"") -> list[Answer]:
        """Shake hands, with data in the SYN; return the SYN-ACK and what else came."""
        answers: list[Answer] = []
        for _ in range(PATIENCE_MS // AGAIN_MS):
            self.send(-1, data, SYN, None, self.stamp)
            answers = self._tun.read(self._port, AGAIN_MS)
            if answers:
                break
        if not answers or answers[0].flags & SYN == 0:
            raise LabError(f"no SYN-ACK: {answers}")
        self.first = (self.first[0], (answers[0].seq + 1) % 2**32)
        self.send(0, b"", ACK, 0, self.stamp)
        self.server, _ = self._tun.listener.accept()
        self.server.settimeout(PATIENCE_MS / 1000)
        return answers

    def send(
        self, at: int, data: bytes, flags: int, ack: int | None, stamp: int | None
    ) -> None:
        """Send a segment from an offset on."""
        fast_open = b"\x22\x02\x01\x01" if flags & SYN and data else b""
        options = fast_open
        if stamp is not None:
            options += struct.pack("!BBBBII", 1, 1, 8, 10, stamp % 2**32, 0)
        acked = 0 if ack is None else (self.first[1] + ack) % 2**32
        words = 5 + len(options) // 4
        head = struct.pack(
            "!HHIIBBHHH",
            *(self._port, self._tun.port, (self.first[0] + at) % 2**32, acked),
            *(words << 4, flags, 65535, 0, 0),
        )
        self._tun.write(head + options + data)

    def answers(self) -> list[Answer]:
        """Return what the server's kernel sent since."""
        return self._tun.read(self._port)

    def received(self, length: int) -> bytes:
        """Return so many bytes that the server's program reads, or what there is after a moment."""
        got = b""
        while len(got) < length:
            try:
                more = self.server.recv(length - len(got))
            except TimeoutError:
                break
            if not more:
                break
            got += more
        return got

    def ready(self) -> bytes:
        """Return what the server's program can read now."""
        is_there = select.select([self.server], [], [], 0)[0]
        return self.server.recv(1 << 20) if is_there else b""

    def close(self) -> None:
        """Forget the connection on both sides."""
        self.server.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.server.close()
        self._tun.read(self._port)
