"""Services that were seen → ports as a rule writes them.

In: (protocol, port) pairs. Out: `tcp/80`, `tcp/8000-8003`, `icmp`. I/O: none.
Neighbours are a range from three of them on: exactly those that were seen, and shorter to read.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyctl.model.protocols import ICMP, WITH_PORTS

Services = frozenset[tuple[str, int]]
"""(protocol, port): as the history has the protocol; 0 where there is no port."""
_RANGE = 3


def specs(services: Iterable[tuple[str, int]]) -> list[str]:
    """Return the ports as rules write them: TCP first, then UDP, SCTP, and ICMP of both IP versions."""
    services = set(services)
    found: list[str] = []
    for proto in WITH_PORTS:
        for low, high in _runs(port for one, port in services if one == proto):
            if high - low + 1 >= _RANGE:
                found.append(f"{proto}/{low}-{high}")
            else:
                found += [f"{proto}/{port}" for port in range(low, high + 1)]
    if any(proto in ICMP for proto, _ in services):
        found.append("icmp")
    return found


def _runs(ports: Iterable[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for port in sorted(ports):
        if runs and runs[-1][1] == port - 1:
            runs[-1] = (runs[-1][0], port)
        else:
            runs.append((port, port))
    return runs
