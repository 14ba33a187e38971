"""A program of the kernel that opens flows, on paper. In: a core. Out: entries, records. I/O: none."""

from __future__ import annotations

import socket

from tests.unit.engine.core.harness import ALLOW, EGRESS, INGRESS, PORT, Core, Rule
from tests.unit.engine.core.wire import CLIENT, SERVICE

WEB = Rule(proto=6, ports=(SERVICE, SERVICE), id=7)
BY_KERNEL = 1 << 63
BACK = {EGRESS: INGRESS, INGRESS: EGRESS}


class Kernel:
    """A program that opens flows of the service that the core has allowed."""

    def __init__(self, core: Core, net: object, initiator: int, proto: int = 6) -> None:
        self.core, self.net, self.initiator, self.proto = core, net, initiator, proto
        self.records: list[object] = []

    def opens(self, client: int = CLIENT + 1, rule_id: int = 7) -> int:
        """Make both entries, and give the record; the session's number."""
        core, ffi = self.core, self.core.ffi
        session = BY_KERNEL | core.now
        ends = (self.net.pod, self.net.peer)
        source, destination = ends if self.initiator == EGRESS else ends[::-1]
        record = ffi.new("struct seg_open_event *")
        record.session, record.generation = session, core.generation
        record.rule_id, record.rule_key, record.family = rule_id, 70, self.net.family
        for way, one, other, ports in (
            (self.initiator, source, destination, self.ports(client, back=False)),
            (BACK[self.initiator], destination, source, self.ports(client, back=True)),
        ):
            raw = self.net.address(one), self.net.address(other)
            if self.net.family == 4:
                key = ffi.new("struct seg_flow_key4 *")
                key.saddr, key.daddr = (int.from_bytes(each, "little") for each in raw)
            else:
                key = ffi.new("struct seg_flow_key6 *")
                ffi.buffer(key.saddr)[:], ffi.buffer(key.daddr)[:] = raw
            key.port_id, key.dir, key.proto = PORT, way, self.proto
            key.sport, key.dport = map(socket.htons, ports)
            flow = {
                "generation": core.generation,
                "session": session,
                "last_seen_ns": core.now,
                "timeout_s": 1200,
                "verdict": ALLOW,
            }
            if way == self.initiator:
                flow |= {"packets": 1, "bytes": 74}
                named = record.key
                named.port_id, named.dir, named.proto = PORT, way, self.proto
                named.sport, named.dport = map(socket.htons, ports)
                ffi.buffer(named.saddr)[: len(raw[0])] = raw[0]
                ffi.buffer(named.daddr)[: len(raw[1])] = raw[1]
            name = core._key(self.net.family, key)
            assert name not in core.flows
            core.flows[name] = ffi.new("struct seg_flow *", flow)
        self.records.append(record)
        return session

    def ports(self, client: int, *, back: bool) -> tuple[int, int]:
        """Of the flow's keys; ICMP: type and identifier."""
        if self.proto == self.net.icmp:
            request, reply = (8, 0) if self.net.family == 4 else (128, 129)
            return (reply if back else request) << 8, client
        return (SERVICE, client) if back else (client, SERVICE)

    def tells(self) -> None:
        """Hand all records over once more."""
        for record in self.records:
            self.core.lib.sg_core_open_event(self.core.core, record, self.core.now)

    def closes(self, session: int, way: int, close: int) -> None:
        record = self.core.ffi.new("struct seg_flow_key6 *", self.records[-1].key)
        if way != self.initiator:
            record.saddr, record.daddr = (
                self.records[-1].key.daddr,
                self.records[-1].key.saddr,
            )
            record.sport, record.dport = record.dport, record.sport
        for name, flow in self.core.flows.items():
            if flow.session == session and name[2] == way:
                flow.closed |= close
        told = self.core.ffi.new("struct seg_close_event *", {"session": session})
        told.key, told.family, told.close = record[0], self.net.family, close
        told.key.dir = way
        self.core.lib.sg_core_close_event(self.core.core, told, self.core.now)
