"""The VLANs of a bridge's port, as the kernel wrote them, so that they can be put back.

In: a socket in the bridge's namespace, the port's index. Out: entries (the payload of BRIDGE_VLANDB_ENTRY: a VLAN
or a range of them, with its options). I/O: rtnetlink. A kernel without VLAN filtering has none.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from socket import AF_BRIDGE

from pyctl.platform.netlink.links import RTM_SETLINK
from pyctl.platform.netlink.raw import (
    Message,
    NetlinkError,
    RawNetlink,
    attr,
    attr_u32,
    attrs,
    iter_attrs,
    nest,
    u32,
)

RTM_NEWVLAN, RTM_DELVLAN, RTM_GETVLAN = 112, 113, 114
BRIDGE_VLANDB_ENTRY = 1
BRIDGE_VLANDB_ENTRY_INFO, BRIDGE_VLANDB_ENTRY_RANGE = 1, 2
BRIDGE_VLANDB_ENTRY_TUNNEL_INFO, BRIDGE_VLANDB_ENTRY_STATS = 4, 5
BRIDGE_VLANDB_ENTRY_MCAST_N_GROUPS = 7
BRIDGE_VLANDB_TINFO_ID, BRIDGE_VLANDB_TINFO_CMD = 1, 2
BRIDGE_VLAN_INFO_ONLY_OPTS = 1 << 6
_NOT_OPTIONS = frozenset(
    {
        *(BRIDGE_VLANDB_ENTRY_INFO, BRIDGE_VLANDB_ENTRY_RANGE),
        *(BRIDGE_VLANDB_ENTRY_STATS, BRIDGE_VLANDB_ENTRY_MCAST_N_GROUPS),
    }
)
"""The last two are counted by the kernel."""
_MSG = struct.Struct("=BxxxI")
_INFO = struct.Struct("=HH")


@dataclass(frozen=True)
class Vlan:
    """A VLAN at the port."""

    flags: int
    """BRIDGE_VLAN_INFO_PVID, _UNTAGGED"""
    options: Mapping[int, bytes]
    """BRIDGE_VLANDB_ENTRY_*, of a tunnel its number alone."""


def dump(nl: RawNetlink, index: int) -> tuple[bytes, ...]:
    """Return the entries of one port."""
    try:
        bodies = nl.dump(RTM_GETVLAN, _MSG.pack(AF_BRIDGE, index))
    except NetlinkError as error:
        if error.errno == errno.EOPNOTSUPP:
            return ()
        raise
    return tuple(
        payload
        for body in bodies
        if _MSG.unpack_from(body)[1] == index
        for kind, payload in iter_attrs(body[_MSG.size :])
        if kind == BRIDGE_VLANDB_ENTRY
    )


def expand(entries: Sequence[bytes]) -> dict[int, Vlan]:
    """Return each VLAN by its number."""
    return {vid: vlan for entry in entries for vid, vlan in _each(entry)}


def _each(entry: bytes) -> Iterator[tuple[int, Vlan]]:
    found = attrs(entry)
    flags, first = _INFO.unpack_from(found[BRIDGE_VLANDB_ENTRY_INFO])
    last = found.get(BRIDGE_VLANDB_ENTRY_RANGE)
    end = struct.unpack_from("=H", last)[0] if last else first
    options = {kind: raw for kind, raw in found.items() if kind not in _NOT_OPTIONS}
    tunnel = attrs(options.get(BRIDGE_VLANDB_ENTRY_TUNNEL_INFO, b""))
    for vid in range(first, end + 1):
        if tunnel:
            # The tunnels of a range count up with it.
            number = u32(tunnel[BRIDGE_VLANDB_TINFO_ID]) + vid - first
            raw = attr_u32(BRIDGE_VLANDB_TINFO_ID, number)
            options = options | {BRIDGE_VLANDB_ENTRY_TUNNEL_INFO: raw}
        yield vid, Vlan(flags, options)


def put_back(nl: RawNetlink, index: int, entries: Sequence[bytes]) -> list[str]:
    """Make the port's VLANs these; return what the kernel refused, in words."""
    wanted, now = expand(entries), expand(dump(nl, index))
    if wanted == now:
        return []
    refused = nl.batch(
        _message(RTM_DELVLAN, index, vid, 0) for vid in now if vid not in wanted
    )
    refused += nl.batch(_added(index, entry) for entry in entries)
    now = expand(dump(nl, index))
    refused += nl.batch(
        _message(
            RTM_NEWVLAN,
            index,
            vid,
            vlan.flags | BRIDGE_VLAN_INFO_ONLY_OPTS,
            _option(kind, raw),
        )
        for vid, vlan in wanted.items()
        for kind, raw in vlan.options.items()
        if vid in now and now[vid].options.get(kind) != raw
    )
    return [f"a VLAN of it: {error}" for error in refused if error]


def _message(
    kind: int, index: int, vid: int, flags: int, option: bytes = b""
) -> Message:
    info = attr(BRIDGE_VLANDB_ENTRY_INFO, _INFO.pack(flags, vid))
    entry = nest(BRIDGE_VLANDB_ENTRY, info, option)
    return Message(kind, _MSG.pack(AF_BRIDGE, index) + entry)


def _added(index: int, entry: bytes) -> Message:
    found = attrs(entry)
    kept = (BRIDGE_VLANDB_ENTRY_INFO, BRIDGE_VLANDB_ENTRY_RANGE)
    raw = (attr(kind, found[kind]) for kind in kept if kind in found)
    body = _MSG.pack(AF_BRIDGE, index) + nest(BRIDGE_VLANDB_ENTRY, *raw)
    return Message(RTM_NEWVLAN, body)


def _option(kind: int, raw: bytes) -> bytes:
    if kind == BRIDGE_VLANDB_ENTRY_TUNNEL_INFO:
        return nest(kind, raw, attr_u32(BRIDGE_VLANDB_TINFO_CMD, RTM_SETLINK))
    return attr(kind, raw)


def changes(before: Sequence[bytes], after: Sequence[bytes]) -> list[str]:
    """Return the VLANs that have changed, a line each."""
    old, new = expand(before), expand(after)
    return [
        f"VLAN {vid} at its bridge is not as it was"
        for vid in sorted(old.keys() | new.keys())
        if old.get(vid) != new.get(vid)
    ]
