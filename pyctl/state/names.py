"""Who has which port and which address, or had it last; under which DNS names workloads looked addresses up.

In: workloads, as they are attached and as they go. Out: names. I/O: the clock. For several threads.
A container's packets are reported after they were sent, when the container may have ended, or it may have
lived for less than one polling interval: so a port keeps its last name, since its id is not reused for long,
and an address keeps it for some seconds, unless another workload has it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_interface

from pyctl.model.text import harmless
from pyctl.model.workload import Port, Workload

KEPT_S = 10.0
"""Seconds for which an address that nobody has any more keeps its name."""


class Names:
    """Workload names by port and address; `note` adds a port early, `refresh` sets what is attached."""

    def __init__(self) -> None:
        self._by_port: dict[int, str] = {}
        self._by_address: dict[str, str] = {}
        self._nearby: dict[tuple[int, str], str] = {}
        """Name by closed segment and address."""
        self._segments: dict[int, int] = {}
        """Closed segment by port id; 0: none."""
        self._former: dict[str, tuple[str, float]] = {}
        """By address: the last name, and until when it holds (monotonic seconds)."""
        self._seen: list[Workload] = []
        self._looked_up: dict[tuple[int, str], tuple[str, ...]] = {}
        """DNS names by port id and address."""

    def note(self, name: str, port: Port) -> None:
        """Remember the name of a port's workload, which may be attached for a moment only."""
        name = harmless(name)
        self._by_port[port.port_id] = name
        until = time.monotonic() + KEPT_S
        for address in _spelled(port.addresses):
            self._former[address] = name, until

    def refresh(self, workloads: list[Workload]) -> None:
        """Replace the known workloads by those attached now."""
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

    def learn(self, looked_up: Mapping[tuple[int, str], tuple[str, ...]]) -> None:
        """Replace the DNS names, by port id and address."""
        self._looked_up = dict(looked_up)

    def looked_up(
        self, port_id: int, direction: str | None, destination: str
    ) -> tuple[str, ...]:
        """Return the DNS names under which the port's workload looked up whom it asks; () where it is asked."""
        mine = direction == "egress"
        return self._looked_up.get((port_id, destination), ()) if mine else ()

    def of_port(self, port_id: int) -> str | None:
        """Return the name of the port's workload."""
        return self._by_port.get(port_id)

    def of_address(self, address: str, port_id: int = 0) -> str | None:
        """Return the name of the workload that has the address, or had it seconds ago; of several, the one on
        the bridge of the port that saw it.
        """
        near = self._nearby.get((self._segments.get(port_id, 0), address))
        name = near or self._by_address.get(address)
        if name is None and (former := self._former.get(address)) is not None:
            name = former[0] if former[1] > time.monotonic() else None
        return name

    def ends(
        self, port_id: int, direction: str | None, source: str, destination: str
    ) -> tuple[str | None, str | None]:
        """Return names of initiator and answerer: the port's own workload at its end, the other by address."""
        mine = self._by_port.get(port_id)
        if direction == "egress":
            return mine, self.of_address(destination, port_id)
        if direction == "ingress":
            return self.of_address(source, port_id), mine
        return self.of_address(source), self.of_address(destination)


def names_of(workloads: Iterable[Workload]) -> Names:
    """Return a Names of these workloads."""
    made = Names()
    made.refresh(list(workloads))
    return made


@lru_cache(maxsize=8192)
def _spelled(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses as the engine spells them. Cached: each change of one workload goes over the
    addresses of all.
    """
    return tuple(str(ip_interface(text).ip) for text in texts)
