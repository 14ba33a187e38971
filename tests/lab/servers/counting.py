"""Payload of TCP and UDP that reaches a namespace's interface, by the port of either end."""

from __future__ import annotations

from collections import Counter

from tests.lab.net.netns import Netns
from tests.lab.net.traffic import Program

# Counts by both ports; what this end sends itself (packet type 4) is left out. A line on stdin is answered with the counts so far.
_COUNTS = """
wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)); wire.setblocking(False)
wire.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
wire.bind((sys.argv[1], 3)); counts = {}; say(ready=True)
def take(packet):
    four = packet[0] >> 4 == 4
    at, proto = ((packet[0] & 15) * 4, packet[9]) if four else (40, packet[6])
    end = int.from_bytes(packet[2:4] if four else packet[4:6], "big") + (0 if four else 40)
    if proto not in (6, 17) or len(packet) < at + 8: return
    head = (packet[at + 12] >> 4) * 4 if proto == 6 else 8
    for port in (int.from_bytes(packet[at + n:at + n + 2], "big") for n in (0, 2)):
        counts[port] = counts.get(port, 0) + max(0, end - at - head)
while True:
    for ready in select.select([wire, sys.stdin], [], [])[0]:
        if ready is sys.stdin:
            if not sys.stdin.readline(): sys.exit()
        try:
            while True:
                packet, about = wire.recvfrom(65536)
                if about[2] != 4 and packet and packet[0] >> 4 in (4, 6): take(packet)
        except BlockingIOError: pass
        if ready is sys.stdin: say(counts=counts)
"""


class PayloadCount:
    """What reached a namespace since the last look."""

    def __init__(self, ns: Netns, device: str = "eth0") -> None:
        self._program = Program(ns, _COUNTS, device)
        self._program.heard()
        self._before: Counter[int] = Counter()

    def since(self) -> Counter[int]:
        """Return the bytes by port since this was last asked."""
        told = self._program.said("")["counts"]
        now = Counter({int(port): count for port, count in told.items()})
        found = now - self._before
        self._before = now
        return found
