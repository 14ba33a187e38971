"""A recorded flow as policy looks at it: who opened to whom, at which port, and whether anybody
answered.

In: values. Out: values. I/O: none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from pyctl.model.flow import Answer
from pyctl.model.policy import Direction
from pyctl.model.protocols import ICMP, WITH_PORTS, protocol_number
from pyctl.policy.document.resolve import Address


@lru_cache(maxsize=1 << 17)
def _parsed(address: str) -> Address:
    """Remembered: several policies ask for the same ones."""
    return IPv6Address(address) if ":" in address else IPv4Address(address)


@dataclass(frozen=True, slots=True)
class End:
    """One side of a flow."""

    address: str
    name: str | None = None
    """Of the workload that had the address then."""

    @property
    def ip(self) -> Address:
        """The address."""
        return _parsed(self.address)

    @property
    def shown(self) -> str:
        """The name where there is one."""
        return self.name or self.address


@dataclass(frozen=True, slots=True)
class Side:
    """One end that judged it, and how it saw both: itself by its port, whatever address it used, the
    other by the address. They differ from what the other end saw where one forwards for others.
    """

    direction: Direction
    source: End
    target: End

    @property
    def own(self) -> End:
        """The end at which it was judged."""
        return self.source if self.direction is Direction.EGRESS else self.target


@dataclass(frozen=True, slots=True)
class Observed:
    """One flow, or many that differ in the opener's port only."""

    source: End
    target: End
    protocol: str
    """As the history has it: tcp, udp, icmp, icmp6 or a number."""
    port: int | None
    """The target's, of TCP and UDP; ICMP: the query's type; 0 for other protocols. None: many,
    folded into one record.
    """
    sides: tuple[Side, ...]
    """Where it was judged."""
    passed: bool
    """It was not denied then."""
    answer: Answer
    flows: int
    last: float
    """Seconds since the epoch."""

    @property
    def number(self) -> int:
        """IPPROTO_*."""
        return protocol_number(self.protocol)

    @property
    def version(self) -> int:
        """Of IP."""
        return 6 if ":" in self.target.address else 4

    @property
    def service(self) -> str:
        """`tcp/80`, `icmp`, `47`: what is spoken."""
        if self.protocol in WITH_PORTS:
            return f"{self.protocol}/{'*' if self.port is None else self.port}"
        return "icmp" if self.protocol in ICMP else self.protocol
