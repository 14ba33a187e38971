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
        """Make the entry, and give the record; the session's number."""
        core, ffi = self.core, self.core.ffi
        session = BY_KERNEL | core.now
        record = ffi.new("struct seg_open_event *")
        record.session, record.generation = session, core.generation
        record.rule_id, record.rule_key, record.family = rule_id, 70, self.net.family
        record.dir = self.initiator
        named, at = record.key, self.initiator - EGRESS
        raw = [self.net.address(end) for end in (self.net.pod, self.net.peer)]
        if self.net.family == 4:
            key = ffi.new("struct seg_flow_key4 *")
            key.local, key.remote = (int.from_bytes(each, "little") for each in raw)
        else:
            key = ffi.new("struct seg_flow_key6 *")
            ffi.buffer(key.local)[:], ffi.buffer(key.remote)[:] = raw
        for one in (key, named):
            one.port_id, one.proto = PORT, self.proto
            one.local_port, one.remote_port = map(socket.htons, self.ports(client))
        ffi.buffer(named.local)[: len(raw[0])] = raw[0]
        ffi.buffer(named.remote)[: len(raw[1])] = raw[1]
        flow = ffi.new("struct seg_flow *")
        flow.session, flow.last_seen = session, core.tick()
        flow.packets[at], flow.bytes[at] = 1, 74
        for way in flow.ways:
            way.verdict = ALLOW
        name = core._key(self.net.family, key)
        assert name not in core.flows
        core.flows[name] = flow
        self.records.append(record)
        return session

    def ports(self, client: int) -> tuple[int, int]:
        """Of the flow's key, the workload's first; ICMP: the identifier, then who asks and the type."""
        if self.proto == self.net.icmp:
            return client, self.initiator << 8 | (8 if self.net.family == 4 else 128)
        return (client, SERVICE) if self.initiator == EGRESS else (SERVICE, client)

    def tells(self) -> None:
        """Hand all records over once more."""
        for record in self.records:
            self.core.lib.sg_core_open_event(self.core.core, record, self.core.now)

    def closes(self, session: int, way: int, close: int) -> None:
        """Let the newest flow of this number end, if there is one."""
        for flow in reversed(self.core.flows.values()):
            if flow.session == session:
                flow.ways[way - EGRESS].closed |= close
                break
        told = self.core.ffi.new("struct seg_close_event *", {"session": session})
        told.key, told.family = self.records[-1].key, self.net.family
        told.dir, told.close = way, close
        self.core.lib.sg_core_close_event(self.core.core, told, self.core.now)
