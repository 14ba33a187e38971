"""The core between two sheets of paper: frames in by hand, what it sends and writes kept in lists.

In: frames as bytes. Out: frames sent, the flow map, counters, events, sessions. I/O: none; time is
a number that tests move.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from pyctl import abi
from pyctl.model.threats import NO_THREATS, ThreatBits
from tests.unit.engine.core.shared import ENOENT

SECOND = 1_000_000_000
PORT, OTHER_PORT = 0x0107, 0x0203
EGRESS, INGRESS = ALLOW, DENY = 1, 2
MODES = {"discover": 1, "monitor": 2, "protect": 3, "quarantine": 4}
END, DROP, VIOLATION, STAGED, THREAT, SENSOR = 1, 2, 3, 4, 5, 6
EVENTS = dict(enumerate(("end", "drop", "violation", "staged", "threat", "sensor"), 1))
E2BIG, FIN, RST = 7, 1, 2


@dataclass(frozen=True)
class Rule:
    """struct sg_rule in short."""

    action: int = ALLOW
    dir: int = 0
    proto: int = 0
    ports: tuple[int, int] = (0, 65535)
    family: int = 0
    peer: bytes = b""
    prefix: int = 0
    id: int = 1


class Classes:
    """seg_classes, as a program reads it."""

    def __init__(self) -> None:
        self.entries: dict[bytes, int] = {}
        self.version = self.error = 0
        self.room = 1 << 20

    def put(self, key: bytes, number: int) -> int:
        if self.error or len(self.entries) >= self.room:
            return -(self.error or E2BIG)
        self.entries[key] = number
        return 0

    def delete(self, key: bytes) -> int:
        if self.error:
            return -self.error
        return 0 if self.entries.pop(key, None) is not None else -ENOENT

    def find(self, ip: IPv4Address | IPv6Address) -> int:
        """What seg_peer_class() returns; 0: ask."""
        head = self.version.to_bytes(4, "little") + bytes([ip.version])
        bits = int.from_bytes(head + ip.packed.ljust(16, b"\0"))
        for length in range(168, -1, -1):
            mask = ((1 << length) - 1) << (168 - length)
            data = (bits & mask).to_bytes(21)
            found = self.entries.get(struct.pack("=I", length) + data + bytes(3))
            if found is not None:
                return self.version << 32 | found if found else 0
        return 0


@dataclass(frozen=True)
class Sent:
    """A frame that the core sent."""

    data: bytes
    vlan: int | None
    vnet: bytes


class Core:
    """One core and its world."""

    def __init__(
        self, module: Any, sessions: int = 1000, cache: bool = True, workers: int = 0
    ) -> None:
        self.ffi, self.lib = module.ffi, module.lib
        self.queries: dict[bytes, bytes] = {}
        """What workers tell each other: key bytes → struct seg_query."""
        self.names: dict[bytes, bytes] = {}
        """As queries, what they learnt: key bytes → struct seg_name."""
        self.names_are_full = False
        self.now = 1000 * SECOND
        self.sent: list[Sent] = []
        self.flows: dict[bytes, Any] = {}
        """Key bytes → struct seg_flow."""
        self.sealed: dict[bytes, int] = {}
        """Key bytes → the generation for which it holds."""
        self.services: dict[bytes, Any] = {}
        """Key bytes → struct seg_service."""
        self.classes = Classes()
        self.credits: dict[int, int] = {}
        """Port → how many connections programs may open."""
        self.puts = self.deletes = 0
        self._events, self._told, self.lost = 40000, 0, 0
        self.put_error = self.send_error = 0
        self.generation = 0
        self._handle = self.ffi.new_handle(self)
        io = self.ffi.new(
            "struct sg_io *",
            {
                "ctx": self._handle,
                "send": self.lib.t_send,
                "flow_put": self.lib.t_put,
                "flow_get": self.lib.t_get,
                "flow_delete": self.lib.t_delete,
                "service_put": self.lib.t_service,
                "class_put": self.lib.t_class_put,
                "class_delete": self.lib.t_class_delete,
                "class_use": self.lib.t_class_use,
                "credit": self.lib.t_credit,
                "query_put": self.lib.t_query_put,
                "query_get": self.lib.t_query_get,
                "name_put": self.lib.t_name_put,
                "name_get": self.lib.t_name_get,
                "name_delete": self.lib.t_name_delete,
            },
        )
        said = (sessions, int(cache), 0, 0, workers)
        config = self.ffi.new("struct sg_core_config *", said)
        self.core = self.lib.sg_core_new(io, config)
        assert self.core

    def close(self) -> None:
        self.lib.sg_core_free(self.core)

    def on_send(self, frame: Any) -> int:
        if self.send_error:
            return -self.send_error
        data = bytes(self.ffi.buffer(frame.data, frame.len))
        vlan = frame.vlan_tci if frame.has_vlan else None
        self.sent.append(Sent(data, vlan, bytes(self.ffi.buffer(frame.vnet))))
        return 0

    def _key(self, family: int, key: Any) -> bytes:
        struct = "struct seg_flow_key4" if family == 4 else "struct seg_flow_key6"
        return bytes(self.ffi.buffer(key, self.ffi.sizeof(struct)))

    def on_put(self, family: int, key: Any, flow: Any, generation: int) -> int:
        if self.put_error:
            return -self.put_error
        self.puts += 1
        name = self._key(family, key)
        self.flows[name] = self.ffi.new("struct seg_flow *", flow[0])
        self.sealed[name] = generation
        return 0

    def on_service(self, key: Any, service: Any) -> int:
        self.services[bytes(self.ffi.buffer(key))] = self.ffi.new(
            "struct seg_service *", service[0]
        )
        return 0

    def on_get(self, family: int, key: Any, flow: Any) -> int:
        found = self.flows.get(self._key(family, key))
        if found is None:
            return -ENOENT
        flow[0] = found[0]
        return 0

    def on_delete(self, family: int, key: Any, flow: Any) -> int:
        self.deletes += 1
        found = self.flows.pop(self._key(family, key), None)
        if found is None:
            return -ENOENT
        flow[0] = found[0]
        return 0

    def set_policy(
        self,
        *rules: Rule,
        mode: str = "protect",
        default: int = DENY,
        port: int = PORT,
        rst: bool = False,
        cache: bool = True,
        threats: ThreatBits = NO_THREATS,
    ) -> int:
        """Swap the port's policy; its new generation."""
        self.generation += 1
        policy = self.ffi.new("struct sg_policy *")
        policy.generation = self.generation
        policy.port_id = port
        policy.mode = MODES[mode]
        policy.default_verdict = default
        policy.flags = int(rst) | 2 * (not cache)
        policy.rule_count = len(rules)
        policy.threats = vars(threats)
        array = self.ffi.new("struct sg_rule[]", len(rules) or 1)
        for out, rule in zip(array, rules, strict=False):
            out.id, out.dir, out.family = rule.id, rule.dir, rule.family
            out.proto, out.action = rule.proto, rule.action
            self.ffi.buffer(out.peer)[0 : len(rule.peer)] = rule.peer
            out.prefix_len = rule.prefix
            out.port_lo, out.port_hi = rule.ports
        assert self.lib.sg_core_policy_set(self.core, policy, array) == 0
        return self.generation

    def feed(
        self,
        data: bytes,
        *,
        wire_len: int | None = None,
        vlan: int | None = None,
        vnet: bytes = b"",
    ) -> list[bytes]:
        """Hand a frame in; what the core sent because of it."""
        before = len(self.sent)
        held = self.ffi.from_buffer(bytearray(data))
        frame = self.ffi.new("struct sg_frame *")
        frame.data = self.ffi.cast("const uint8_t *", held)
        frame.len = len(data)
        frame.wire_len = len(data) if wire_len is None else wire_len
        frame.has_vlan = vlan is not None
        frame.vlan_tci = vlan or 0
        self.ffi.buffer(frame.vnet)[0 : len(vnet)] = vnet
        self.lib.sg_core_frame(self.core, frame, self.now)
        return [sent.data for sent in self.sent[before:]]

    def passes(self, data: bytes, **options: Any) -> bool:
        """The frame, and nothing else, was sent on unchanged; False: nothing was sent."""
        out = self.feed(data, **options)
        assert out in ([], [data])
        return bool(out)

    def advance(self, seconds: float) -> None:
        """Let time go by in steps of one tick, as the loop would."""
        end = self.now + int(seconds * SECOND)
        while self.now < end:
            self.now = min(end, self.now + SECOND // 10)
            while not self.lib.sg_core_tick(self.core, self.now):
                pass

    def counts(self, port: int = PORT) -> Any:
        out = self.ffi.new(f"struct sg_reason_count[{len(abi.REASONS)}]")
        self.lib.sg_core_counters(self.core, port, out)
        return out

    def counters(self, port: int = PORT) -> dict[str, int]:
        """Packets by reason, without zeros."""
        out = self.counts(port)
        return {r.name: n for r in abi.REASONS if (n := out[r.number].packets)}

    def passed(self, reason: str, port: int = PORT) -> int:
        return int(self.counts(port)[abi.REASON[reason].number].passed)

    def drops(self, port: int = PORT) -> dict[str, int]:
        """Counters of the category drop."""
        drop = {r.name for r in abi.REASONS if r.category == "drop"}
        return {k: v for k, v in self.counters(port).items() if k in drop}

    def events(self) -> list[Any]:
        """All that there are, and forget them."""
        out = self.ffi.new(f"struct sg_event[{self._events}]")
        page = self.ffi.new("struct sg_event_page *")
        ask = (out, self._events, page)
        count = self.lib.sg_core_events(self.core, 0, self._told, self._told, *ask)
        self._told, self.lost = page.first + count - 1, page.lost
        # Acknowledged at once: the queue is as empty as the tests expect it.
        self.lib.sg_core_events(self.core, 0, self._told, self._told, out, 0, page)
        self._kept = out
        return [out[i] for i in range(count)]

    def numbered(
        self, *, ack: int, after: int, most: int = 100, epoch: int = 0
    ) -> list[int]:
        """Numbers of the events that whoever asks so is given."""
        out = self.ffi.new(f"struct sg_event[{most}]")
        page = self.ffi.new("struct sg_event_page *")
        count = self.lib.sg_core_events(self.core, epoch, ack, after, out, most, page)
        return list(range(page.first, page.first + count))

    def told(self) -> list[tuple[str, str]]:
        """(kind, reason) of each event since the last call."""
        return [(EVENTS[e.kind], abi.REASONS[e.reason].name) for e in self.events()]

    def sessions(self, port: int = 0) -> list[Any]:
        out = self.ffi.new("struct sg_session_info[64]")
        cursor = self.ffi.new("uint32_t *")
        found = []
        while True:
            count = self.lib.sg_core_sessions(self.core, port, out, 64, cursor)
            # The array is reused; copies stay.
            found += [
                self.ffi.new("struct sg_session_info *", out[i]) for i in range(count)
            ]
            if not cursor[0]:
                return found

    def hits(self, after: int = 0) -> dict[int, tuple[int, float]]:
        """By key: how often, and how many seconds ago; of what changed after that serial number."""
        out = self.ffi.new("struct sg_hit[100]")
        page = self.ffi.new("struct sg_hit_page *")
        count = self.lib.sg_core_hits(self.core, after, out, 100, page)
        self.serial, self.epoch = page.serial, page.epoch
        return {
            out[i].key: (out[i].hits, (self.now - out[i].last_ns) / SECOND)
            for i in range(count)
        }

    def ways(self, name: str = "verdict") -> dict[int, int]:
        """A field of each direction that the entry of the one flow decides."""
        (flow,) = self.flows.values()
        found = {EGRESS: flow.ways[0], INGRESS: flow.ways[1]}
        return {way: getattr(one, name) for way, one in found.items() if one.verdict}

    def tick(self) -> int:
        """Now, as entries have it."""
        return self.now >> abi.constant("SEG_FLOW_TICK") & 0xFFFFFFFF

    def kernel_carries(
        self,
        packets: int,
        size: int = 100,
        *,
        way: int | None = None,
        payload: bool = False,
    ) -> None:
        """The kernel saw packets just now in every direction that it decides, or in that one."""
        for flow in self.flows.values():
            for at, one in enumerate(flow.ways):
                if one.verdict and way in (None, EGRESS + at):
                    flow.packets[at] += packets
                    flow.bytes[at] += packets * size
                    one.payload |= payload
                    flow.last_seen = self.tick()

    def kernel_closes(self, way: int, close: int, *, told: bool = True) -> None:
        """It let the FIN or RST of its one connection pass that way; untold: the ring was full."""
        self.kernel_carries(1, way=way)
        (flow,) = self.flows.values()
        flow.ways[way - EGRESS].closed |= close
        if told:
            self.end(flow.session, way, close)

    def end(self, session: int, way: int, close: int, key: Any = None) -> None:
        """A record of the ring of ends; of a connection that a program opened, with its key."""
        record = self.ffi.new("struct seg_close_event *", {"session": session})
        if key is not None:
            record.key, record.family = key[0], 4
        record.dir, record.close = way, close
        self.lib.sg_core_close_event(self.core, record, self.now)
