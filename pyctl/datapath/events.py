"""Drops as the kernel tells them: the seg_events ring, decoded.

In: the pinned ring. Out: `DropEvent`. I/O: the ring's memory. There is one reader per instance
(the agent): a record read is gone.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Self

from pyctl import abi
from pyctl.datapath.maps import DIRECTIONS, address_text, mac_text
from pyctl.datapath.pins import open_map
from pyctl.model.instance import Instance
from pyctl.platform.bpf.ring import RingReader


@dataclass(frozen=True)
class DropEvent:
    """A reported drop: the first of its port, reason and CPU in a second."""

    time_ns: int
    """CLOCK_MONOTONIC"""
    packets: int
    """The count of this CPU, port and reason so far."""
    port_id: int
    reason: str
    passed: bool
    """The mode only records, so the frame was passed."""
    direction: str | None
    ifindex: int
    frame_len: int
    ethertype: int
    source_mac: str
    destination_mac: str
    protocol: int
    source: str | None
    """None where the frame was not parsed as IP."""
    destination: str | None
    source_port: int
    """ICMP: type << 8 | code."""
    destination_port: int
    """ICMP: identifier."""


def decode(record: bytes) -> DropEvent:
    """Decode a struct seg_event; SegctlError for another size."""
    event = abi.unpack("seg_event", record)
    family = event.family
    return DropEvent(
        time_ns=event.time_ns,
        packets=event.packets,
        port_id=event.port_id,
        reason=abi.REASONS[event.reason].name,
        passed=bool(event.passed),
        direction=DIRECTIONS.get(event.dir),
        ifindex=event.ifindex,
        frame_len=event.frame_len,
        ethertype=event.ethertype,
        source_mac=mac_text(event.smac),
        destination_mac=mac_text(event.dmac),
        protocol=event.proto,
        source=address_text(family, event.saddr) if family else None,
        destination=address_text(family, event.daddr) if family else None,
        source_port=socket.ntohs(event.sport),
        destination_port=socket.ntohs(event.dport),
    )


class EventReader:
    """The reader of one instance's event ring; readable (select, epoll, asyncio) if it has events."""

    def __init__(self, instance: Instance) -> None:
        """Open the ring; NotFoundError if the datapath is not loaded."""
        self._ring = RingReader(open_map(instance, "seg_events"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the descriptor for select and epoll."""
        return self._ring.fileno()

    def close(self) -> None:
        """Close the ring. Idempotent."""
        self._ring.close()

    def read(self, limit: int = 1024) -> list[DropEvent]:
        """Return the events that wait now, oldest first, without blocking."""
        return [decode(record) for record in self._ring.read(limit)]
