"""What is known of a flow wherever it is told."""

from __future__ import annotations

from enum import StrEnum


class Answer(StrEnum):
    """What the other end said. A refusal (RST, ICMP error) is none, nor is a SYN|ACK that the
    opener did not acknowledge: half a handshake is how ports are scanned.
    """

    NONE = "none"
    OPEN = "open"
    """A TCP connection, over which nothing was sent."""
    DATA = "data"
