"""What every report of a flow uses: its answer, and how its ends are written."""

from __future__ import annotations

from enum import StrEnum

from pyctl.model.protocols import WITH_PORTS


class Answer(StrEnum):
    """What the other end sent back. A refusal (RST, ICMP error) does not count, nor does a SYN|ACK that the
    initiator did not acknowledge: port scanners leave such half handshakes.
    """

    NONE = "none"
    OPEN = "open"
    """A TCP connection, over which nothing was sent."""
    DATA = "data"


def endpoint(address: str, protocol: str, port: int | None) -> str:
    """Return `address`, `address:port` or `[address]:port`; the port is `*` where there are many."""
    if protocol not in WITH_PORTS:
        return address
    shown = f"[{address}]" if ":" in address else address
    return f"{shown}:{'*' if port is None else port}"
