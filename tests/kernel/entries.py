"""Entries of the flow maps for frames of `tests.kernel.frames`. In: a hook, which says the direction, and fields. Out: keys
and values, written and read. I/O: the lab's pins.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from types import SimpleNamespace

from pyctl import abi
from pyctl.datapath.pins import open_map
from tests.kernel import frames as f
from tests.kernel.conftest import GENERATION, PORT, SECRET
from tests.lab.datapath.flow_entry import WAYS, pack_flow

WAY = {"vex": "in", "vin": "out"}
BACK = {"vex": "vin", "vin": "vex"}
DIR = {"vex": "ingress", "vin": "egress"}
NUMBER = {hook: abi.constant(f"SEG_DIR_{way.upper()}") for hook, way in DIR.items()}
REQUESTS = {0: 8, 129: 128}
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
SETTLED = abi.constant("SEG_FLOW_SETTLED")


def key(hook, version, proto, sport=f.CLIENT, dport=f.SERVER, *, port_id=PORT, **other):
    """The flow key of a frame of `frames.link(WAY[hook])`; ICMP: sport has the type, dport the identifier."""
    ends, number = f.ends(WAY[hook], version), NUMBER[hook]
    raw = [ipaddress.ip_address(ends[name]).packed for name in ("src", "dst")]
    ports = [sport, dport]
    if hook == "vex":
        raw.reverse()
        ports.reverse()
    if proto in (ICMP, ICMP6):
        kind = sport >> 8
        request = REQUESTS.get(kind, kind)
        ports = [dport, (number if kind == request else 3 - number) << 8 | request]
    whole = version == 6
    fields = {
        "port_id": port_id,
        "proto": proto,
        "local": list(raw[0]) if whole else int.from_bytes(raw[0], "little"),
        "remote": list(raw[1]) if whole else int.from_bytes(raw[1], "little"),
        "local_port": socket.htons(ports[0]),
        "remote_port": socket.htons(ports[1]),
        **other,
    }
    return abi.pack(f"seg_flow_key{version}", **fields)


def tick(nanoseconds):
    return nanoseconds >> abi.constant("SEG_FLOW_TICK") & 0xFFFFFFFF


def entry_of(name, word="allow", *, last_seen_ns=None, **flow):
    """The bytes of an entry of the current generation, seen just now. What is of a direction is of both."""
    seen = last_seen_ns or time.monotonic_ns()
    fields = {
        "generation": GENERATION,
        "last_seen": tick(seen),
        "settle": [seen >> abi.constant("SEG_SETTLE_TICK") & 0xFF] * 2,
        "verdict": abi.constant(f"SEG_VERDICT_{word.upper()}") if word else 0,
        **flow,
    }
    for field in ("verdict", "phase", "closed", "packets"):
        if field in fields:
            value = fields.pop(field)
            fields = {f"{direction}_{field}": value for direction in WAYS} | fields
    return pack_flow(name, SECRET, **fields)


def put(kernel, version, name, word="allow", **flow):
    """Write such an entry."""
    kernel.write(f"seg_flows{version}", name, entry_of(name, word, **flow))


def way_of(flow, hook):
    """What an entry says of the direction of that hook's frames."""
    at = WAYS[DIR[hook]]
    way = flow.ways[at]
    return SimpleNamespace(
        packets=flow.packets[at] % (1 << SETTLED),
        settled=flow.packets[at] >> SETTLED,
        bytes=flow.bytes[at],
        last_seen=flow.last_seen,
        **{
            name: getattr(way, name)
            for name in ("verdict", "phase", "closed", "payload")
        },
    )


def entry(kernel, version, name, hook):
    with open_map(kernel.instance, f"seg_flows{version}") as flows:
        return way_of(abi.unpack("seg_flow", flows.lookup(name)), hook)


def shared_key(name: bytes) -> bytes:
    """The key in the form that records have it in: an address of IPv4 is the first four bytes of one of IPv6."""
    if len(name) == abi.sizeof("seg_flow_key6"):
        return name
    pad = bytes(12)
    return name[:4] + name[4:8] + pad + name[8:12] + pad + name[12:]
