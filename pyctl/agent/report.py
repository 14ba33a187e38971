"""Engine and kernel events in the words of the event log.

In: events as the engine's client and the driver give them. Out: Happening values. I/O: none.
"""

from __future__ import annotations

_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}


def protocol_name(number: int) -> str:
    """tcp, udp, icmp, icmp6, or the number."""
    return _PROTOCOLS.get(number, str(number))


def endpoint(address: str, port: int | None) -> str:
    """`address`, `address:port` or `[address]:port`."""
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
