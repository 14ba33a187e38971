"""What is pinned, where, and how each map is laid out.

In: an instance, the ABI. Out: `MAPS` and `WORKER_MAPS` for the loader, open maps for everybody. I/O: bpf(2).
The engine opens the same pins from C: the name of a pin is the name of the map.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pyctl import abi
from pyctl.errors import NotFoundError
from pyctl.model.instance import Instance
from pyctl.platform.bpf import commands as bpf


def _layout(kind: int, key: int, value: int, entries: str, flags: int) -> bpf.MapLayout:
    return bpf.MapLayout(kind, key, value, abi.constant(entries), flags)


def _hash(key: int, value: int, entries: str) -> bpf.MapLayout:
    return _layout(bpf.BPF_MAP_TYPE_HASH, key, value, entries, bpf.BPF_F_NO_PREALLOC)


def _array(value: int, entries: str, flags: int = 0) -> bpf.MapLayout:
    return _layout(bpf.BPF_MAP_TYPE_ARRAY, 4, value, entries, flags)


def _ring(size: str) -> bpf.MapLayout:
    return _layout(bpf.BPF_MAP_TYPE_RINGBUF, 0, 0, size, 0)


_FLOW = abi.sizeof("seg_flow")

MAPS: Mapping[str, bpf.MapLayout] = {
    "seg_ports": _hash(4, abi.sizeof("seg_port"), "SEG_PORTS_MAX"),
    "seg_reinject": _array(abi.sizeof("seg_reinject_port"), "SEG_PORT_IDS"),
    "seg_gens": _array(8, "SEG_PORT_IDS", bpf.BPF_F_MMAPABLE),
    "seg_flows4": _hash(abi.sizeof("seg_flow_key4"), _FLOW, "SEG_FLOWS_MAX"),
    "seg_flows6": _hash(abi.sizeof("seg_flow_key6"), _FLOW, "SEG_FLOWS_MAX"),
    "seg_control": _array(
        abi.sizeof("seg_control"), "SEG_WORKERS_MAX", bpf.BPF_F_MMAPABLE
    ),
    "seg_addrs": _hash(abi.sizeof("seg_addr_key"), 1, "SEG_ADDRS_MAX"),
    "seg_owners": _hash(
        abi.sizeof("seg_owner_key"), abi.sizeof("seg_owner"), "SEG_OWNERS_MAX"
    ),
    "seg_macs": _hash(abi.sizeof("seg_mac_key"), abi.sizeof("seg_mac"), "SEG_MACS_MAX"),
    "seg_nets": _layout(
        bpf.BPF_MAP_TYPE_LPM_TRIE,
        abi.sizeof("seg_net_key"),
        4,
        "SEG_NETS_MAX",
        bpf.BPF_F_NO_PREALLOC,
    ),
    "seg_counters": _layout(
        bpf.BPF_MAP_TYPE_PERCPU_HASH,
        abi.sizeof("seg_counter_key"),
        abi.sizeof("seg_counter"),
        "SEG_COUNTERS_MAX",
        bpf.BPF_F_NO_PREALLOC,
    ),
    "seg_events": _ring("SEG_EVENTS_BYTES"),
    "seg_classes": _layout(
        bpf.BPF_MAP_TYPE_LPM_TRIE,
        abi.sizeof("seg_class_key"),
        4,
        "SEG_CLASSES_MAX",
        bpf.BPF_F_NO_PREALLOC,
    ),
    "seg_services": _layout(
        bpf.BPF_MAP_TYPE_LRU_HASH,
        abi.sizeof("seg_service_key"),
        abi.sizeof("seg_service"),
        "SEG_SERVICES_MAX",
        0,
    ),
    "seg_queries": _layout(
        bpf.BPF_MAP_TYPE_LRU_HASH,
        abi.sizeof("seg_query_key"),
        abi.sizeof("seg_query"),
        "SEG_QUERIES_MAX",
        0,
    ),
    "seg_names": _hash(
        abi.sizeof("seg_name_key"), abi.sizeof("seg_name"), "SEG_NAMES_MAX"
    ),
    **dict.fromkeys(
        ("seg_shares", "seg_credits", "seg_opens", "seg_closes"),
        _layout(bpf.BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, "SEG_WORKERS_MAX", 0),
    ),
}

WORKER_MAPS: Mapping[str, bpf.MapLayout] = {
    "seg_shares": _array(abi.sizeof("seg_share"), "SEG_SHARES"),
    "seg_credits": _array(8, "SEG_PORT_IDS", bpf.BPF_F_MMAPABLE),
    "seg_opens": _ring("SEG_OPENS_BYTES"),
    "seg_closes": _ring("SEG_CLOSES_BYTES"),
}
"""The maps that each worker has of its own, by the name of the array that holds them all."""

PROGRAMS = (
    "seg_from_vex",
    "seg_from_vin",
    "seg_from_vbr",
    "seg_from_vth",
    "seg_to_port",
    "seg_to_vth",
)


def pin_dir(instance: Instance) -> Path:
    """Return the directory where programs and maps of this ABI are pinned."""
    return instance.pin_root / abi.HASH


def worker_pin(name: str, worker: int) -> str:
    """Return the name of the pin of a worker's own map."""
    return f"{name}-{worker}"


def open_map(instance: Instance, name: str) -> bpf.Map:
    """Open a map by name; NotFoundError for an unknown name or a datapath that is not loaded."""
    if name.partition("-")[0] not in MAPS:
        raise NotFoundError(
            f"there is no map {name}", advice=f"the maps are {', '.join(MAPS)}"
        )
    try:
        return bpf.Map.open(pin_dir(instance) / name)
    except NotFoundError as error:
        raise NotFoundError(
            f"the map {name} is not pinned for {instance.name}",
            state="the eBPF datapath is not loaded",
            advice="attach a workload, or start the agent with `segctl agent run`",
            errno=error.errno,
        ) from error
