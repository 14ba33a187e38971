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
    """Return the address of a text. Cached: several policies ask for the same ones."""
    return IPv6Address(address) if ":" in address else IPv4Address(address)


@dataclass(frozen=True, slots=True)
class End:
    """One side of a flow."""

    address: str
    name: str | None = None
    """The name of the workload that had the address then."""

    @property
    def ip(self) -> Address:
        """Return the address as an object."""
        return _parsed(self.address)

    @property
    def shown(self) -> str:
        """Return the end's name, or its address where it has none."""
        return self.name or self.address


@dataclass(frozen=True, slots=True)
class Side:
    """One end that judged a flow, with the flow's ends as it saw them: itself by its port, whatever address
    it used, the other by address. The other end's view differs where one forwards for others.
    """

    direction: Direction
    source: End
    target: End

    @property
    def own(self) -> End:
        """Return the end at which the flow was judged."""
        return self.source if self.direction is Direction.EGRESS else self.target


@dataclass(frozen=True, slots=True)
class Observed:
    """One flow, or many that differ in the initiator's port only."""

    source: End
    target: End
    protocol: str
    """As the history has it: tcp, udp, icmp, icmp6 or a number."""
    port: int | None
    """The target's, of TCP and UDP; ICMP: the query's type; 0 for other protocols. None: many,
    folded into one record.
    """
    sides: tuple[Side, ...]
    """The sides at which it was judged."""
    passed: bool
    """Whether it passed then."""
    answer: Answer
    flows: int
    last: float
    """Seconds since the epoch."""
    app: str | None = None
    """The application, where it is certain; `unknown`: none that has a name. None: nobody looked, or it was guessed."""
    looked_up: tuple[str, ...] = ()
    """The DNS names under which the initiator had looked the target up; (): none is recorded."""

    @property
    def number(self) -> int:
        """Return the IPPROTO_* number."""
        return protocol_number(self.protocol)

    @property
    def version(self) -> int:
        """Return the IP version, 4 or 6."""
        return 6 if ":" in self.target.address else 4

    @property
    def service(self) -> str:
        """Return the protocol and port: `tcp/80`, `icmp`, `47`."""
        if self.protocol in WITH_PORTS:
            return f"{self.protocol}/{'*' if self.port is None else self.port}"
        return "icmp" if self.protocol in ICMP else self.protocol
