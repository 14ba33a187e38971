"""The entries of the BPF maps, for people: `segctl dump-maps`.

In: pins of an instance. Out: JSON-able rows. I/O: bpf(2). Needs neither agent nor engine.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pyctl import abi
from pyctl.datapath.pins import MAPS, open_map
from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from pyctl.model.protocols import ICMP, protocol_name
from pyctl.model.workload import Counter, Service
from pyctl.platform.bpf import commands as bpf

Row = dict[str, Any]


def dump_maps(instance: Instance, name: str | None = None) -> dict[str, list[Row]]:
    """Return the entries of one map or of all, by map name; rows are JSON-able and sorted by key.

    Rings are not listed: reading would take their records away. NotFoundError as open_map.
    """
    wanted = [name] if name else [each for each in MAPS if each in _DECODERS]
    return {each: _dump(instance, each) for each in wanted}


def _dump(instance: Instance, name: str) -> list[Row]:
    with open_map(instance, name) as opened:
        if name not in _DECODERS:
            raise SegctlError(
                f"{name} cannot be listed: reading a record takes it away"
            )
        return list(_DECODERS[name](opened))


def capacity(name: str) -> int | None:
    """Return how many entries a map can hold; None for a map whose entries always exist."""
    layout = MAPS[name]
    hashes = (
        bpf.BPF_MAP_TYPE_HASH,
        bpf.BPF_MAP_TYPE_LRU_HASH,
        bpf.BPF_MAP_TYPE_PERCPU_HASH,
        bpf.BPF_MAP_TYPE_LPM_TRIE,
    )
    return layout.max_entries if layout.map_type in hashes else None


def mac_text(mac: Any) -> str:
    """Return `aa:bb:…` for six bytes (cffi arrays too)."""
    return bytes(mac).hex(":")


def address_text(family: int, raw: Any) -> str:
    """Return the address as text; `raw` may be longer than the address."""
    size = 4 if family == abi.constant("SEG_FAMILY_IPV4") else 16
    return str(ipaddress.ip_address(bytes(raw)[:size]))


def _names(prefix: str, *words: str) -> dict[int, str]:
    return {abi.constant(f"{prefix}_{word.upper()}"): word for word in words}


MODES = _names("SEG_MODE", "discover", "monitor", "protect", "quarantine")
DIRECTIONS = _names("SEG_DIR", "egress", "ingress")
VERDICTS = _names("SEG_VERDICT", "allow", "deny")
CLOSES = _names("SEG_CLOSE", "fin", "rst")
ROLES = _names("SEG_ROLE", "vex", "vin")
ADDRESS_KINDS = _names("SEG_ADDR", "own", "broadcast")
FLAGS = _names(
    "SEG_PORT",
    *("fail_open", "pass_other", "any_source", "peer_ok", "quarantine", "elsewhere"),
    "serves_router",
)


def flag_names(flags: int) -> list[str]:
    """Return the names of the enum seg_port_flag bits that are set."""
    return [name for bit, name in FLAGS.items() if flags & bit]


def sum_counter(values: list[bytes]) -> Counter:
    """Return a per-CPU counter summed over all CPUs."""
    each = [abi.unpack("seg_counter", value) for value in values]
    return Counter(
        packets=sum(one.packets for one in each),
        bytes=sum(one.bytes for one in each),
        passed=sum(one.passed for one in each),
    )


def _index(key: bytes) -> int:
    return int.from_bytes(key, sys.byteorder)


def _ports(opened: bpf.Map) -> Iterator[Row]:
    for key, value in sorted(opened.entries(), key=lambda item: _index(item[0])):
        port = abi.unpack("seg_port", value)
        yield {
            "ifindex": _index(key),
            "port_id": port.port_id,
            "role": ROLES.get(port.role, str(port.role)),
            "mode": MODES.get(port.mode, str(port.mode)),
            "peer_ifindex": port.peer_ifindex,
            "mac": mac_text(port.mac),
            "redirect_peer_dmac": mac_text(port.redirect_peer_dmac),
            "flags": flag_names(port.flags),
            "owner": port.owner,
            "segment": port.segment,
        }


def _reinject(opened: bpf.Map) -> Iterator[Row]:
    for key, value in opened.entries():
        back = abi.unpack("seg_reinject_port", value)
        if back.vex_ifindex or back.vex_flags:
            yield {
                "port_id": _index(key),
                "vex_ifindex": back.vex_ifindex,
                "vin_ifindex": back.vin_ifindex,
                "mac": mac_text(back.mac),
                "host_mac": mac_text(back.host_mac),
                "vex_flags": flag_names(back.vex_flags),
                "vin_flags": flag_names(back.vin_flags),
            }


def _gens(opened: bpf.Map) -> Iterator[Row]:
    for key, value in opened.entries():
        if any(value):
            yield {"port_id": _index(key), "generation": _index(value)}


def _field(struct: Any, name: str) -> bytes:
    return bytes(abi.ffi.buffer(abi.ffi.addressof(struct, name)))


def _flows(family: int) -> Callable[[bpf.Map], Iterator[Row]]:
    def decode(opened: bpf.Map) -> Iterator[Row]:
        for raw, value in sorted(opened.entries()):
            key = abi.unpack(f"seg_flow_key{family}", raw)
            flow = abi.unpack("seg_flow", value)
            yield {
                "port_id": key.port_id,
                "protocol": protocol_name(key.proto),
                "local": address_text(family, _field(key, "local")),
                "remote": address_text(family, _field(key, "remote")),
                **_ports_of(key, flow),
                **_way(flow, "egress"),
                **_way(flow, "ingress"),
                "last_seen_ns": _seen_ns(flow.last_seen),
                "timeout_ns": _timeout_s(key.proto) * 10**9,
            }

    return decode


def _classes(opened: bpf.Map) -> Iterator[Row]:
    for raw, value in sorted(opened.entries()):
        key = abi.unpack("seg_class_key", raw)
        address = address_text(key.family, _field(key, "addr"))
        yield {
            "version": key.version,
            "network": f"{address}/{key.prefix_len - 40}",
            "class": _index(value) or "ask",
        }


def _way(flow: Any, direction: str) -> Row:
    """Return what the entry says of one direction; verdict None: it is the engine's."""
    at = _NUMBERS[direction] - _NUMBERS["egress"]
    way = flow.ways[at]
    found = {
        "verdict": VERDICTS.get(way.verdict, str(way.verdict)) if way.verdict else None,
        "packets": flow.packets[at] % (1 << abi.constant("SEG_FLOW_SETTLED")),
        "bytes": flow.bytes[at],
        "closed": [word for bit, word in CLOSES.items() if way.closed & bit],
    }
    return {f"{direction}_{name}": value for name, value in found.items()}


_NUMBERS = {word: number for number, word in DIRECTIONS.items()}


def _seen_ns(tick: int) -> int:
    """Return the last time whose tick has these 32 bits."""
    shift = abi.constant("SEG_FLOW_TICK")
    now = (time.monotonic_ns() >> shift) + abi.constant("SEG_FLOW_AHEAD")
    return (now - (now - tick) % 2**32) << shift


def _timeout_s(proto: int) -> int:
    own = "ICMP" if protocol_name(proto) in ICMP else protocol_name(proto).upper()
    known: dict[str, int] = abi.ffi.typeof("enum seg_flow_timeout").relements
    return known.get(f"SEG_TIMEOUT_{own}_S", known["SEG_TIMEOUT_OTHER_S"])


def _services(opened: bpf.Map) -> Iterator[Row]:
    for raw, value in sorted(opened.entries()):
        key = abi.unpack("seg_service_key", raw)
        service = abi.unpack("seg_service", value)
        yield {
            "port_id": key.port_id,
            "direction": DIRECTIONS.get(key.dir, str(key.dir)),
            "protocol": protocol_name(key.proto),
            "address": address_text(key.family, _field(key, "local")),
            "peer_version": key.peer_class >> 32,
            "peer_class": key.peer_class & 0xFFFFFFFF,
            "destination_port": socket.ntohs(key.service_port),
            "verdict": VERDICTS.get(service.verdict, str(service.verdict)),
            "rule_id": service.rule_id or None,
            "generation": service.generation,
        }


def _ports_of(key: Any, flow: Any) -> Row:
    """Return the key's ports; that of a denied service has 0 for any."""
    local, remote = socket.ntohs(key.local_port), socket.ntohs(key.remote_port)
    denies = any(VERDICTS.get(way.verdict) == "deny" for way in flow.ways)
    every = "any" if denies else 0
    if protocol_name(key.proto) in ICMP:
        asked = DIRECTIONS.get(remote >> 8, str(remote >> 8))
        ident = local or every
        return {"icmp_type": remote & 0xFF, "icmp_id": ident, "direction": asked}
    return {"local_port": local or every, "remote_port": remote or every}


_STEERED = {
    abi.constant("SEG_PRODUCER_NONE"): None,
    abi.constant("SEG_PRODUCER_MANY"): "several",
}
"""The CPUs that steered since the engine's last look; it looks a hundred times a second."""


def _control(opened: bpf.Map) -> Iterator[Row]:
    entries = [abi.unpack("seg_control", value) for _, value in opened.entries()]
    workers = max(1, entries[0].workers) if entries else 0
    for worker, control in enumerate(entries[:workers]):
        yield {
            "worker": worker,
            "heartbeat_ns": control.heartbeat_ns,
            "heartbeat_timeout_ns": control.heartbeat_timeout_ns,
            "producer_cpu": _STEERED.get(
                control.producer_cpu, control.producer_cpu - 1
            ),
            "share_gap_ns": control.share_gap_ns,
            "opens_nothing": bool(control.opens_nothing),
            "class_version": control.class_version or None,
        }


def _addrs(opened: bpf.Map) -> Iterator[Row]:
    for raw, _ in sorted(opened.entries()):
        key = abi.unpack("seg_addr_key", raw)
        yield {
            "port_id": key.owner,
            "address": address_text(key.family, key.addr),
            "kind": ADDRESS_KINDS.get(key.kind, str(key.kind)),
        }


def _owners(opened: bpf.Map) -> Iterator[Row]:
    for raw, value in sorted(opened.entries()):
        key = abi.unpack("seg_owner_key", raw)
        yield {
            "segment": key.segment,
            "address": address_text(key.family, _field(key, "addr")),
            "owner": abi.unpack("seg_owner", value).owner or "several",
            "spare": bool(abi.unpack("seg_owner", value).spare),
        }


def _macs(opened: bpf.Map) -> Iterator[Row]:
    for raw, value in sorted(opened.entries()):
        key, held = abi.unpack("seg_mac_key", raw), abi.unpack("seg_mac", value)
        yield {
            "segment": key.segment,
            "mac": mac_text(key.mac),
            "owner": held.owner or "host",
            "any_source": bool(held.any_source),
            "twins": bool(held.twins),
            "serves": [
                one.value
                for one in Service
                if held.serves & abi.constant(f"SEG_SERVES_{one.name}")
            ],
        }


def _nets(opened: bpf.Map) -> Iterator[Row]:
    for raw, _ in sorted(opened.entries()):
        key = abi.unpack("seg_net_key", raw)
        address = address_text(key.family, _field(key, "addr"))
        yield {"network": f"{address}/{key.prefix_len - 8}"}


def _counters(opened: bpf.Map) -> Iterator[Row]:
    rows = []
    for raw, value in opened.entries():
        key = abi.unpack("seg_counter_key", raw)
        total = sum_counter(opened.split(value))
        known = key.reason < len(abi.REASONS)
        rows.append(
            {
                "port_id": key.port_id,
                "reason": abi.REASONS[key.reason].name if known else str(key.reason),
                "packets": total.packets,
                "bytes": total.bytes,
                "passed": total.passed,
            }
        )
    yield from sorted(rows, key=lambda row: (row["port_id"], row["reason"]))


_DECODERS: Mapping[str, Callable[[bpf.Map], Iterator[Row]]] = {
    "seg_ports": _ports,
    "seg_reinject": _reinject,
    "seg_gens": _gens,
    "seg_flows4": _flows(4),
    "seg_flows6": _flows(6),
    "seg_classes": _classes,
    "seg_services": _services,
    "seg_control": _control,
    "seg_addrs": _addrs,
    "seg_owners": _owners,
    "seg_macs": _macs,
    "seg_nets": _nets,
    "seg_counters": _counters,
}
