"""Connections behind rules that ask for an application, on paper: what came across, and what was answered.

In: a node's core, rules, bytes. Out: frames, payload. I/O: none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scapy.layers.inet import TCP
from scapy.packet import Raw

from pyctl.model.apps import app_bits, app_name
from pyctl.model.policy import Action, NodeRule
from tests.unit.engine.core.harness import EGRESS, Core
from tests.unit.engine.core.node import ALL
from tests.unit.engine.core.wire import Connection, Net, parse

GET = b"GET /index.html HTTP/1.1\r\nHost: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SSH_CLIENT, SSH_SERVER = b"SSH-2.0-one\r\n", b"SSH-2.0-two\r\n"
NOISE = bytes(range(128, 192))
"""The first bytes of no application that is known."""
NONE, PENDING, DECIDED, OVER = range(4)


def asks_for(
    *apps: str,
    action: Action = Action.ALLOW,
    unknown: Action | None = None,
    number: int = 7,
    staged: bool = False,
) -> NodeRule:
    """A rule for these applications, between anybody and anybody."""
    options = {"key": 100 + number, "staged": staged, "app_unknown": unknown}
    return NodeRule(number, 0, 0, ALL, action, apps=app_bits(apps), **options)


def always(action: Action = Action.ALLOW, number: int = 9) -> NodeRule:
    return NodeRule(number, 0, 0, ALL, action, key=100 + number)


def payload(frame: bytes) -> bytes:
    """TCP's, of a frame."""
    packet = parse(frame)
    return bytes(packet[Raw].load) if packet.haslayer(Raw) else b""


def resets(frames: Sequence[bytes]) -> int:
    return sum("R" in str(parse(frame)[TCP].flags) for frame in frames)


@dataclass
class Wire:
    """One connection through a core."""

    core: Core
    net: Net
    initiator: int = EGRESS
    sport: int = 40000
    connection: Connection = field(init=False)
    across: list[bytes] = field(default_factory=lambda: [b"", b""])
    """Payload that was sent on, by side, in the order in which it was."""
    resets: int = 0

    def __post_init__(self) -> None:
        self.connection = Connection(self.net, self.initiator, sport=self.sport)

    def opens(self) -> Wire:
        self.connection.handshake(self.core)
        return self

    def feed(self, frame: bytes) -> list[bytes]:
        """Hand a frame in, and note what comes out."""
        return self.note(self.core.feed(frame))

    def note(self, out: list[bytes]) -> list[bytes]:
        for frame in out:
            packet = parse(frame)
            if "R" in str(packet[TCP].flags):
                self.resets += 1
            else:
                side = packet[TCP].sport != self.sport
                self.across[side] += payload(frame)
        return out

    def says(self, side: int, data: bytes, flags: str = "PA") -> list[bytes]:
        return self.feed(self.connection.segment(side, flags, data))

    def acknowledges(self, side: int) -> list[bytes]:
        return self.feed(self.connection.segment(side, "A"))

    def waits(self, seconds: float) -> list[bytes]:
        """What the core sends by itself meanwhile."""
        before = len(self.core.sent)
        self.core.advance(seconds)
        return self.note([sent.data for sent in self.core.sent[before:]])

    @property
    def session(self):
        (found,) = self.core.sessions()
        return found

    @property
    def app(self) -> tuple[str | None, int]:
        return app_name(self.session.app), self.session.proof
