"""The binary replies of the dp protocol.

In: numbers and sessions. Out: datagrams of at most 8192 bytes. I/O: none.
Source: what NeuVector's agent decodes. All integers are big-endian, in C's natural alignment, whose gaps are
written out here as pad bytes; every datagram begins with Kind, More and its whole length.
"""

from __future__ import annotations

import enum
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from itertools import islice

MAX_REPLY = 8192
HEADER = struct.Struct("!BBH")
KEEP_ALIVE = struct.Struct("!I")
SESSION_COUNT = struct.Struct("!5I")
SESSIONS = struct.Struct("!HH")
"""Sessions, reserved."""
SESSION = struct.Struct("!I6sH6s6s16s16sHHBBBx8IBBHIHHIIBBH16sHH")
DEVICE_COUNTER = struct.Struct("!27Q20Q20Q4I2Q")
SESSIONS_PER_DATAGRAM = (MAX_REPLY - HEADER.size - SESSIONS.size) // SESSION.size
_PARSERS = 20
_U8, _U16, _U32, _U64 = (1 << 8) - 1, (1 << 16) - 1, (1 << 32) - 1, (1 << 64) - 1


class Kind(enum.IntEnum):
    """The kind of a reply."""

    SESSION_LIST = 2
    SESSION_COUNT = 3
    DEVICE_COUNTER = 4
    KEEP_ALIVE = 10


class SessionFlag(enum.IntFlag):
    """The `Flags` of a listed session that this engine can know."""

    INGRESS = 0x1
    TAP = 0x2
    MIDSTREAM = 0x4
    EXTERNAL = 0x8
    LINK_LOCAL = 0x80
    TMP_OPEN = 0x100


@dataclass(frozen=True)
class SessionRow:
    """A session as listed. What the engine does not have stays 0: reassembly, applications, threats,
    forwarded-for. Counters wrap at 32 bits, times stop at their highest.
    """

    session_id: int
    ep_mac: bytes
    ether_type: int
    client_mac: bytes
    server_mac: bytes
    client_ip: bytes
    """4 or 16 bytes; IPv4 stands in the first four."""
    server_ip: bytes
    client_port: int
    server_port: int
    icmp_code: int
    icmp_type: int
    ip_proto: int
    packets: tuple[int, int]
    """From the client, from the server."""
    octets: tuple[int, int]
    tcp_state: int
    idle_s: int
    age_s: int
    life_s: int
    policy_id: int
    policy_action: int
    flags: int

    def pack(self) -> bytes:
        """Return the session's 140 bytes."""
        return SESSION.pack(
            self.session_id & _U32,
            self.ep_mac,
            self.ether_type,
            self.client_mac,
            self.server_mac,
            self.client_ip,
            self.server_ip,
            self.client_port,
            self.server_port,
            self.icmp_code,
            self.icmp_type,
            self.ip_proto,
            *(value & _U32 for value in (*self.packets, *self.octets)),
            *(0, 0, 0, 0),
            self.tcp_state & _U8,
            self.tcp_state & _U8,
            min(self.idle_s, _U16),
            min(self.age_s, _U32),
            min(self.life_s, _U16),
            0,
            0,
            self.policy_id & _U32,
            self.policy_action,
            0,
            self.flags,
            b"",
            0,
            0,
        )


@dataclass(frozen=True)
class SessionCounts:
    """The number of open sessions, in total and by protocol."""

    total: int = 0
    tcp: int = 0
    udp: int = 0
    icmp: int = 0
    other: int = 0


@dataclass(frozen=True)
class DeviceCounters:
    """The dp counters that the engine has. The others are sent as 0: it does not count packets by protocol,
    reassembles nothing, and has neither parsers, meters nor names.
    """

    rx: int = 0
    rx_drop: int = 0
    tx: int = 0
    tx_drop: int = 0
    error: int = 0
    no_workload: int = 0
    other: int = 0
    """Frames that are neither IP nor ARP."""
    timeout_frag: int = 0
    sessions: SessionCounts = SessionCounts()
    type1_rules: int = 0
    """Rules for single addresses and ports."""
    type2_rules: int = 0
    """Rules with a range."""

    def pack(self) -> bytes:
        """Return the counters' 568 bytes."""
        packets = [self.rx, self.rx_drop, self.tx, self.tx_drop, self.error]
        packets += [self.no_workload, 0, 0, 0, 0, 0, 0, self.other]
        fragments = [0, 0, 0, 0, self.timeout_frag]
        meters = [0, 0, 0, 0]
        table = [*packets, *fragments, *astuple(self.sessions), *meters]
        return DEVICE_COUNTER.pack(
            *(value & _U64 for value in table),
            *([0] * (2 * _PARSERS)),
            self.type1_rules & _U32,
            self.type2_rules & _U32,
            *(0, 0),
            *(0, 0),
        )


def _reply(kind: Kind, body: bytes, *, more: bool = False) -> bytes:
    return HEADER.pack(kind, more, HEADER.size + len(body)) + body


def keep_alive(seq_num: int) -> bytes:
    """Return the keep-alive reply with the request's number."""
    return _reply(Kind.KEEP_ALIVE, KEEP_ALIVE.pack(seq_num))


def session_count(counts: SessionCounts) -> bytes:
    """Return the session counts: total, TCP, UDP, ICMP, other."""
    return _reply(Kind.SESSION_COUNT, SESSION_COUNT.pack(*astuple(counts)))


def session_list(rows: Iterable[SessionRow]) -> Iterator[bytes]:
    """Yield as many datagrams as needed, each with More set, then the terminator of 8 bytes, which is sent
    for an empty list too.
    """
    left = iter(rows)
    while page := list(islice(left, SESSIONS_PER_DATAGRAM)):
        body = SESSIONS.pack(len(page), 0) + b"".join(row.pack() for row in page)
        yield _reply(Kind.SESSION_LIST, body, more=True)
    yield _reply(Kind.SESSION_LIST, SESSIONS.pack(0, 0))


def device_counter(counters: DeviceCounters) -> bytes:
    """Return the device counters as one datagram."""
    return _reply(Kind.DEVICE_COUNTER, counters.pack())


def debug(categories: Iterable[str]) -> bytes:
    """Return the debug categories: the one reply that is JSON, without a header."""
    return json.dumps({"dp_debug": {"categories": list(categories)}}).encode()
