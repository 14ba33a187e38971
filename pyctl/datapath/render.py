"""A pair's rules as lines for people: `segctl rules`.

In: filters, an instance's maps. Out: text. I/O: bpf(2), through `maps`.
"""

from __future__ import annotations

from pyctl.datapath.maps import Row, dump_maps
from pyctl.model.instance import Instance
from pyctl.platform.bpf.tc import BpfFilter

_MAPS = (
    "seg_ports",
    "seg_reinject",
    "seg_gens",
    "seg_addrs",
    "seg_flows4",
    "seg_flows6",
)


def filters(
    name: str | None, ifindex: int, way: str, found: list[BpfFilter]
) -> list[str]:
    """Return a line for each filter of a link's hook, in tc's words, or one line that says "none"."""
    link = f"{name or 'gone'} (ifindex {ifindex}) {way}"
    if not found:
        return [f"filter dev {link}: none"]
    return [
        f"filter dev {link} pref {one.priority} handle {one.handle:#x} bpf {one.name} "
        f"{'direct-action ' if one.direct_action else ''}id {one.prog_id} tag {one.tag}"
        for one in found
    ]


def missing(
    name: str | None, ifindex: int, way: str, priority: int, program: str
) -> str:
    """Return a line for a filter that is missing."""
    link = f"{name or 'gone'} (ifindex {ifindex}) {way}"
    return f"missing filter dev {link} pref {priority} bpf {program}"


def entries(instance: Instance, port_id: int) -> list[str]:
    """Return a line for each map entry of the port, in the order of `dump-maps`."""
    lines = []
    for name in _MAPS:
        rows = dump_maps(instance, name)[name]
        lines += [_line(name, row) for row in rows if row["port_id"] == port_id]
    return lines


def _line(name: str, row: Row) -> str:
    words = (f"{key}={_value(value)}" for key, value in row.items() if key != "port_id")
    return f"{name}[{row['port_id']}] {' '.join(words)}"


def _value(value: object) -> str:
    return ",".join(map(str, value)) or "-" if isinstance(value, list) else str(value)
