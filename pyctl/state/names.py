"""Who has which port and which address, or had it last.

In: workloads, as they are attached and as they go. Out: names. I/O: the clock. For several threads.
What a container said is told after it was said, and the container may have ended by then, or have lived for
less than the time between two looks: so a port keeps its last name, which no other port gets for long, and an
address keeps it for some seconds, unless somebody else has it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_interface

from pyctl.model.text import harmless
from pyctl.model.workload import Port, Workload

KEPT_S = 10.0
"""For an address that nobody has any more."""


class Names:
    """`note` tells of a port as soon as frames can come from it; `refresh` who is attached now."""

    def __init__(self) -> None:
        self._by_port: dict[int, str] = {}
        self._by_address: dict[str, str] = {}
        self._nearby: dict[tuple[int, str], str] = {}
        """By closed segment and address."""
        self._segments: dict[int, int] = {}
        """Closed one by port."""
        self._former: dict[str, tuple[str, float]] = {}
        """By address: the name, and until when it holds."""
        self._seen: list[Workload] = []

    def note(self, name: str, port: Port) -> None:
        """Know a port of a workload that need not be attached for long."""
        name = harmless(name)
        self._by_port[port.port_id] = name
        until = time.monotonic() + KEPT_S
        for address in _spelled(port.addresses):
            self._former[address] = name, until

    def refresh(self, workloads: list[Workload]) -> None:
        """Follow what is attached now."""
        if workloads == self._seen:
            return
        self._seen = workloads
        before, now = self._by_address, time.monotonic()
        found: dict[str, str] = {}
        segments: dict[int, int] = {}
        nearby: dict[tuple[int, str], str] = {}
        for workload in workloads:
            name = harmless(workload.name)
            for port in workload.ports:
                self._by_port[port.port_id] = name
                segments[port.port_id] = port.segment if port.closed else 0
            spelled = _spelled(workload.addresses)
            found.update(dict.fromkeys(spelled, name))
            for segment in workload.closed_segments:
                nearby.update(((segment, one), name) for one in spelled)
        gone = {one: (before[one], now + KEPT_S) for one in before.keys() - found}
        kept = {one: of for one, of in self._former.copy().items() if of[1] > now}
        self._by_address, self._former = found, kept | gone
        self._nearby, self._segments = nearby, segments

    def of_port(self, port_id: int) -> str | None:
        """Return the workload's name."""
        return self._by_port.get(port_id)

    def of_address(self, address: str, port_id: int = 0) -> str | None:
        """Return the name of who has it, or had it until just now: of several, of who is on the bridge of the
        port that met it.
        """
        near = self._nearby.get((self._segments.get(port_id, 0), address))
        name = near or self._by_address.get(address)
        if name is None and (former := self._former.get(address)) is not None:
            name = former[0] if former[1] > time.monotonic() else None
        return name

    def ends(
        self, port_id: int, direction: str | None, source: str, destination: str
    ) -> tuple[str | None, str | None]:
        """Return names of opener and answerer: the port's own workload at its end, the other by address."""
        mine = self._by_port.get(port_id)
        if direction == "egress":
            return mine, self.of_address(destination, port_id)
        if direction == "ingress":
            return self.of_address(source, port_id), mine
        return self.of_address(source), self.of_address(destination)


def names_of(workloads: Iterable[Workload]) -> Names:
    """Return the names of these."""
    made = Names()
    made.refresh(list(workloads))
    return made


@lru_cache(maxsize=8192)
def _spelled(texts: tuple[str, ...]) -> tuple[str, ...]:
    """As the engine spells them. Remembered: all of a node's are gone over whenever one workload
    comes or goes.
    """
    return tuple(str(ip_interface(text).ip) for text in texts)
