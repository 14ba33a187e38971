"""What is known of a flow wherever it is told."""

from __future__ import annotations

from enum import StrEnum

from pyctl.model.protocols import WITH_PORTS


class Answer(StrEnum):
    """What the other end said. A refusal (RST, ICMP error) is none, nor is a SYN|ACK that the
    opener did not acknowledge: half a handshake is how ports are scanned.
    """

    NONE = "none"
    OPEN = "open"
    """A TCP connection, over which nothing was sent."""
    DATA = "data"


def endpoint(address: str, protocol: str, port: int | None) -> str:
    """Return `address`, `address:port` or `[address]:port`; of many ports `*`."""
    if protocol not in WITH_PORTS:
        return address
    shown = f"[{address}]" if ":" in address else address
    return f"{shown}:{'*' if port is None else port}"
