"""Sockets of a namespace that a change of its interfaces would hurt.

In: an interface's index. Out: names of routing protocols, how many packet sockets. I/O: sockets of the
namespace that the calling thread stands in (pyctl.platform.netns.entered).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pyctl.platform.sockets.tcp import OPEN, tcp_ports

NET = Path("/proc/thread-self/net")
_TCP = {179: "BGP", 646: "LDP"}
_PORTS = {
    "udp": {520: "RIP", 646: "LDP", 3784: "BFD", 4784: "BFD"},
    "udp6": {521: "RIPng", 6696: "Babel", 3784: "BFD", 4784: "BFD"},
    # A raw socket shows its protocol as its port.
    "raw": {89: "OSPF", 103: "PIM", 112: "VRRP"},
    "raw6": {89: "OSPF", 103: "PIM", 112: "VRRP"},
}


def routing_protocols() -> tuple[str, ...]:
    """Return the routing protocols that the namespace speaks, judged by its open sockets."""
    found = {_TCP[port] for ends in tcp_ports(OPEN) for port in ends if port in _TCP}
    for table, known in _PORTS.items():
        for words in _lines(table):
            ports = (int(end.rpartition(":")[2], 16) for end in words[1:3])
            found |= {known[port] for port in ports if port in known}
    return tuple(sorted(found))


def packet_sockets(index: int) -> int:
    """Return how many packet sockets are bound to that interface."""
    return sum(words[4] == str(index) for words in _lines("packet"))


def _lines(table: str) -> Iterator[list[str]]:
    with contextlib.suppress(OSError), (NET / table).open() as file:
        next(file, None)
        for line in file:
            yield line.split()
