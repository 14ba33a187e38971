"""Messages of DNS, and a workload that asks a resolver, on paper.

In: names, records. Out: messages as bytes, frames, what the core has learnt. I/O: none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain
from typing import Any

from scapy.layers.inet import TCP, UDP

from pyctl.engine.node_records import pack_node
from pyctl.model.policy import Action, Members, NodePolicy, NodeRule, PortMatch
from pyctl.model.workload import Mode
from tests.unit.engine.core.harness import EGRESS, PORT, Core
from tests.unit.engine.core.node import ALL, Node, head
from tests.unit.engine.core.wire import NETS, SERVICE, Connection, Net

A, CNAME, AAAA, OPT, SVCB, HTTPS = 1, 5, 28, 41, 64, 65
ASKS, ANSWERS, CUT = 0x0100, 0x8180, 0x0200
POINTER = b"\xc0\x0c"
"""To the name that was asked for."""
ANY, POD, NAMED, DNS = range(4)
"""Groups: everybody, the workload, who has a name, the resolver."""
PORT_NINE = 9
"""Another workload like it."""
RESOLVER, OTHER_RESOLVER, DOMAIN = "198.51.100.53", "198.51.100.54", 53
GRACE = 120


def name(text: str) -> bytes:
    labels = [label.encode("latin-1") for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def message(flags: int, ident: int, *sections: Iterable[bytes]) -> bytes:
    """Questions, answers, authorities, what is added."""
    parts = [list(section) for section in (*sections, *[()] * (4 - len(sections)))]
    counts = struct.pack("!4H", *map(len, parts))
    return struct.pack("!2H", ident, flags) + counts + b"".join(chain(*parts))


def asked(text: str, kind: int = A) -> bytes:
    return name(text) + struct.pack("!2H", kind, 1)


def question(text: str, kind: int = A, ident: int = 7) -> bytes:
    edns = b"\0" + struct.pack("!2HIH", OPT, 1232, 0, 0)
    return message(ASKS, ident, [asked(text, kind)], (), (), [edns])


def record(kind: int, data: bytes, owner: bytes = POINTER, ttl: int = 60) -> bytes:
    return owner + struct.pack("!2HIH", kind, 1, ttl, len(data)) + data


def address(
    ip: IPv4Address | IPv6Address | str, owner: bytes = POINTER, ttl: int = 60
) -> bytes:
    ip = ip_address(ip)
    return record(A if ip.version == 4 else AAAA, ip.packed, owner, ttl)


def answer(
    text: str, records: Sequence[bytes], kind: int = A, ident: int = 7, flags: int = 0
) -> bytes:
    return message(ANSWERS | flags, ident, [asked(text, kind)], records)


def with_names(blob: bytes, ffi: Any, fqdns: Sequence[tuple[int, str]]) -> bytes:
    """The block with these names in it: group, and a name or `*.` and a name."""
    first = ffi.new("struct sg_node_head *")
    size = ffi.sizeof(first[0])
    ffi.buffer(first)[:] = blob[:size]
    counted = {
        "sg_policy": first.policies,
        "sg_node_rule": first.rules,
        "sg_node_spec": first.specs,
        "sg_node_cidr": first.cidrs,
    }
    at = size + sum(count * ffi.sizeof(f"struct {of}") for of, count in counted.items())
    first.fqdns = len(fqdns)
    rows = b""
    for group, text in fqdns:
        row = ffi.new("struct sg_node_fqdn *")
        bare = text.removeprefix("*.")
        row.group, row.subdomains, row.length = group, bare != text, len(bare)
        row.name = bare.encode()
        rows += bytes(ffi.buffer(row))
    return bytes(ffi.buffer(first)) + blob[size:at] + rows + blob[at:]


RULES = (
    NodeRule(1, POD, DNS, (PortMatch(17, 53, 53), PortMatch(6, 53, 53)), Action.ALLOW),
    NodeRule(2, POD, NAMED, ALL, Action.ALLOW),
)


@dataclass
class World:
    """A core whose port may ask a resolver, and go to whoever has an allowed name."""

    module: Any
    net: Net = NETS[0]
    names: tuple[str, ...] = ("db.example.org", "*.cdn.example")
    mode: Mode = Mode.PROTECT
    node: Node = field(init=False)
    sport: int = 50000
    workers: int = 0

    def __post_init__(self) -> None:
        self.node = Node(self.module, workers=self.workers)
        self.allow(*self.names)

    @property
    def core(self) -> Core:
        return self.node.core

    def allow(
        self, *names: str, rules: tuple[NodeRule, ...] = RULES, mode: Mode | None = None
    ) -> None:
        """Put the policy in force, with these names in the group."""
        self.core.generation += 1
        members = Members(
            {PORT: (POD,), PORT_NINE: (POD,)},
            {ip_address(RESOLVER): (DNS,), ip_address(OTHER_RESOLVER): ()},
        )
        node = NodePolicy(("any", "pod", "named", "dns"), rules=rules)
        stamped = [
            head(self.core.generation, port, mode or self.mode)
            for port in (PORT, PORT_NINE)
        ]
        blob = pack_node(node, members, stamped)
        rows = [(NAMED, one) for one in names]
        assert self.node.swap(with_names(blob, self.core.ffi, rows)) == 0

    def frame(self, data: bytes, back: bool = False, **options: Any) -> bytes:
        """A datagram to, or from, the resolver."""
        peer, port = options.pop("peer", RESOLVER), options.pop("port", PORT)
        dport = options.pop("dport", DOMAIN)
        four = NETS[0]
        if back:
            layer = UDP(sport=dport, dport=self.sport) / data
            return four.into(layer, peer=peer, port=port)
        return four.out(UDP(sport=self.sport, dport=dport) / data, peer=peer, port=port)

    def asks(self, data: bytes, **options: Any) -> bool:
        return self.core.passes(self.frame(data, **options))

    def hears(self, data: bytes, **options: Any) -> bool:
        return self.core.passes(self.frame(data, back=True, **options))

    def looks_up(
        self, text: str, *records: bytes, kind: int = A, **options: Any
    ) -> None:
        """Ask, and be answered."""
        assert self.asks(question(text, kind), **options)
        assert self.hears(answer(text, records, kind), **options)

    def learns(self, text: str, *ips: Any, ttl: int = 60, **options: Any) -> None:
        ips = ips or (self.net.peer,)
        self.looks_up(text, *(address(ip, ttl=ttl) for ip in ips), **options)

    def connects(self, sport: int = 40000, **options: Any) -> bool:
        """Whether the SYN to the peer passes."""
        syn = TCP(sport=sport, dport=SERVICE, flags="S", seq=1)
        return self.core.passes(self.net.out(syn, **options))

    def connection(self, sport: int = 40000) -> Connection:
        return Connection(self.net, EGRESS, sport=sport)

    def known(self, port: int = 0) -> list[Any]:
        """All of struct sg_name_record."""
        ffi, lib = self.core.ffi, self.core.lib
        out, cursor = ffi.new("struct sg_name_record[64]"), ffi.new("uint32_t *")
        found = []
        while True:
            count = lib.sg_core_names(self.core.core, port, out, 64, cursor)
            found += [ffi.new("struct sg_name_record *", out[i]) for i in range(count)]
            if not cursor[0]:
                return found

    def counts(self, port: int = 0) -> dict[str, int]:
        """What was counted, without zeros."""
        out = self.core.ffi.new("struct sg_name_counts *")
        self.core.lib.sg_core_name_counts(self.core.core, port, out)
        fields = [name for name, _ in self.core.ffi.typeof(out[0]).fields]
        return {one: getattr(out, one) for one in fields if getattr(out, one)}


class Tcp:
    """Messages on a connection to the resolver, which carries them in one segment each."""

    def __init__(self, world: World, connection: Connection) -> None:
        self.world, self.connection = world, connection
        for side, flags in ((0, "S"), (1, "SA"), (0, "A")):
            assert self.sends(side, flags)

    def sends(self, side: int, flags: str, data: bytes = b"") -> bool:
        return self.world.core.passes(self.made(side, flags, data))

    def made(self, side: int, flags: str, data: bytes = b"") -> bytes:
        c = self.connection
        sport, dport = (c.sport, c.dport) if side == 0 else (c.dport, c.sport)
        tcp = TCP(
            sport=sport, dport=dport, flags=flags, seq=c.seq[side], ack=c.seq[1 - side]
        )
        c.seq[side] += len(data) + ("S" in flags) + ("F" in flags)
        layer = tcp / data if data else tcp
        way = c.net.out if side == 0 else c.net.into
        return way(layer, peer=RESOLVER)

    def says(self, side: int, data: bytes) -> None:
        assert self.sends(side, "PA", struct.pack("!H", len(data)) + data)
