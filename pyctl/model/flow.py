"""What every report of a flow uses: its answer, how far its payload was looked at, how its ends are written."""

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


class Look(StrEnum):
    """How far the engine has looked at a flow's payload. PENDING, DECIDED, REQUESTS and SENSORS are why the flow is not
    in the kernel.
    """

    NONE = "none"
    """No rule asks for its application."""
    PENDING = "pending"
    """Its application is not known yet; where the mode enforces, its payload is held until then."""
    DECIDED = "decided"
    """Its application is known; bytes that were looked at are not acknowledged yet."""
    OVER = "over"
    """As if no rule had asked."""
    REQUESTS = "requests"
    """A rule asks for requests, so each of them is judged."""
    SENSORS = "sensors"
    """Sensors look at all that is sent."""


def shown_app(app: str | None, *, guessed: bool) -> str | None:
    """Return the application as people read it: a guess has a question mark behind it."""
    return f"{app}?" if app and guessed else app


def endpoint(address: str, protocol: str, port: int | None) -> str:
    """Return `address`, `address:port` or `[address]:port`; the port is `*` where there are many."""
    if protocol not in WITH_PORTS:
        return address
    shown = f"[{address}]" if ":" in address else address
    return f"{shown}:{'*' if port is None else port}"
