"""All that a bridge keeps of one port, so that it can be put back when the port was away.

In: a socket in the bridge's namespace, the port's index. Out: BridgePort, messages' results in words, differences.
I/O: rtnetlink. Attributes stay as the kernel wrote them. What a bridge learns by itself is left out.
"""

from __future__ import annotations

import errno
import struct
import sys
from dataclasses import dataclass
from socket import AF_BRIDGE

from pyctl.platform.bridge import fdb, mdb
from pyctl.platform.bridge import vlans as bridge_vlans
from pyctl.platform.bridge.spanning_tree import (
    BR_STATE_FORWARDING,
    IFLA_BR_STP_STATE,
    IFLA_BRPORT_STATE,
    IFLA_INFO_SLAVE_DATA,
)
from pyctl.platform.netlink.links import (
    IFF_RUNNING,
    IFF_UP,
    IFLA_AF_SPEC,
    IFLA_EXT_MASK,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    RTEXT_FILTER_SKIP_STATS,
    RTM_GETLINK,
    RTM_SETLINK,
    ifinfo,
)
from pyctl.platform.netlink.raw import (
    Message,
    NetlinkError,
    RawNetlink,
    attr,
    attr_u32,
    attrs,
    nest,
    text,
    u32,
)

IFLA_PROTINFO = 12
IFLA_BRPORT_LEARNING, IFLA_BRPORT_BACKUP_PORT = 8, 34
BR_KERNEL_STP = 1
IFLA_BR_MCAST_SNOOPING = 23
NAMES = {
    IFLA_BRPORT_STATE: "state",
    2: "priority",
    3: "cost",
    4: "hairpin",
    5: "guard",
    6: "root_block",
    7: "fastleave",
    IFLA_BRPORT_LEARNING: "learning",
    9: "flood",
    10: "proxy_arp",
    11: "learning_sync",
    12: "proxy_arp_wifi",
    25: "mcast_router",
    27: "mcast_flood",
    28: "mcast_to_unicast",
    29: "vlan_tunnel",
    30: "bcast_flood",
    31: "group_fwd_mask",
    32: "neigh_suppress",
    33: "isolated",
    IFLA_BRPORT_BACKUP_PORT: "backup_port",
    37: "mcast_eht_hosts_limit",
    39: "locked",
    40: "mab",
    42: "mcast_max_groups",
    43: "neigh_vlan_suppress",
    44: "backup_nhid",
}
"""IFLA_BRPORT_* that can be set, as `bridge link` calls them. One may only be taken after another with a lower
number (mab: locked).
"""
_RINGS = {(1 << 4, 4): "MRP", (1 << 5, 5): "CFM", (1 << 7, 6): "MST"}
"""(RTEXT_FILTER_*, IFLA_BRIDGE_*)"""


@dataclass(frozen=True)
class BridgePort:
    """The state that a bridge keeps of one port."""

    bridge: int
    """Its index."""
    settings: tuple[tuple[int, bytes], ...]
    """IFLA_BRPORT_*, by number; a state only where the kernel would not come to it by itself."""
    backs: tuple[int, ...]
    """The other ports that this one steps in for."""
    vlans: tuple[bytes, ...]
    stations: tuple[bytes, ...]
    """What the bridge has in its table of MACs (fdb) and does not learn again."""
    groups: tuple[bytes, ...]
    """Multicast groups (mdb)."""


@dataclass(frozen=True)
class _Seen:
    flags: int
    master: int
    kind: str
    info: dict[int, bytes]
    """IFLA_INFO_DATA"""
    port: dict[int, bytes]
    """IFLA_INFO_SLAVE_DATA"""


def _parse(body: bytes) -> tuple[int, _Seen]:
    index, flags = struct.unpack_from("=iI", body, 4)
    told = attrs(body[16:])
    info = attrs(told.get(IFLA_LINKINFO, b""))
    return index, _Seen(
        flags,
        u32(told.get(IFLA_MASTER)),
        text(info.get(IFLA_INFO_KIND)),
        attrs(info.get(IFLA_INFO_DATA, b"")),
        attrs(info.get(IFLA_INFO_SLAVE_DATA, b"")),
    )


_WISH = attr_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)


def _links(nl: RawNetlink) -> dict[int, _Seen]:
    return dict(map(_parse, nl.dump(RTM_GETLINK, ifinfo() + _WISH)))


def _port(nl: RawNetlink, index: int) -> dict[int, bytes]:
    """Return IFLA_INFO_SLAVE_DATA of one port; empty if it is gone."""
    try:
        return _parse(nl.get(RTM_GETLINK, ifinfo(index) + _WISH))[1].port
    except NetlinkError as error:
        if error.errno == errno.ENODEV:
            return {}
        raise


def read(nl: RawNetlink, index: int) -> BridgePort | None:
    """Return what the bridge keeps of the port; None if it is no bridge's port."""
    seen = _links(nl)
    link = seen[index]
    bridge = seen.get(link.master)
    if bridge is None or bridge.kind != "bridge":
        return None
    settings = _settings(link, bridge)
    learns = any(link.port.get(IFLA_BRPORT_LEARNING, b"\1"))
    return BridgePort(
        link.master,
        tuple(sorted(settings.items())),
        tuple(
            other
            for other, one in seen.items()
            if one.master == link.master
            and u32(one.port.get(IFLA_BRPORT_BACKUP_PORT)) == index
        ),
        bridge_vlans.dump(nl, index),
        fdb.stations(nl, index, learns=learns),
        mdb.dump(nl, index),
    )


def _settings(link: _Seen, bridge: _Seen) -> dict[int, bytes]:
    settings = {kind: raw for kind, raw in link.port.items() if kind in NAMES}
    state = settings.pop(IFLA_BRPORT_STATE, b"")
    spanning = u32(bridge.info.get(IFLA_BR_STP_STATE))
    itself = spanning == BR_KERNEL_STP or (not spanning and state[:1] == _FORWARDING)
    if state and not itself and link.flags & IFF_RUNNING and bridge.flags & IFF_UP:
        settings[IFLA_BRPORT_STATE] = state
    return settings


_FORWARDING = bytes([BR_STATE_FORWARDING])


def put_back(nl: RawNetlink, index: int, wanted: BridgePort) -> list[str]:
    """Restore the settings of a port that is in its bridge again; return what the kernel refused, in words.
    What needs a carrier comes later, in put_back_running.
    """
    now = _port(nl, index)
    asked = [
        (index, kind, raw)
        for kind, raw in wanted.settings
        if kind != IFLA_BRPORT_STATE and now.get(kind) != raw
    ]
    own = struct.pack("=I", index)
    asked += [
        (other, IFLA_BRPORT_BACKUP_PORT, own)
        for other in wanted.backs
        if (port := _port(nl, other)) and port.get(IFLA_BRPORT_BACKUP_PORT) != own
    ]
    return [
        *_ask(nl, asked),
        *bridge_vlans.put_back(nl, index, wanted.vlans),
        *fdb.put_back(nl, index, wanted.stations),
        *mdb.put_back(nl, wanted.bridge, index, wanted.groups),
    ]


def put_back_running(nl: RawNetlink, index: int, wanted: BridgePort) -> list[str]:
    """Restore what only a port with a carrier can have: a state that the kernel does not reach by itself, and
    addresses and groups that age. Returns as put_back.
    """
    fdb.put_back(nl, index, wanted.stations)
    mdb.put_back(nl, wanted.bridge, index, wanted.groups)
    state = dict(wanted.settings).get(IFLA_BRPORT_STATE)
    if state is None or _port(nl, index).get(IFLA_BRPORT_STATE) == state:
        return []
    return _ask(nl, [(index, IFLA_BRPORT_STATE, state)])


def _ask(nl: RawNetlink, asked: list[tuple[int, int, bytes]]) -> list[str]:
    answers = nl.batch(
        Message(RTM_SETLINK, _bridged(index) + nest(IFLA_PROTINFO, attr(kind, raw)))
        for index, kind, raw in asked
    )
    return [
        f"{NAMES[kind]}: {error}"
        for (_, kind, _raw), error in zip(asked, answers, strict=True)
        if error
    ]


def _bridged(index: int) -> bytes:
    return bytes([AF_BRIDGE]) + ifinfo(index)[1:]


def differences(before: BridgePort, after: BridgePort | None) -> list[str]:
    """Return what has changed, a line each."""
    if after is None or after.bridge != before.bridge:
        return ["it is no port of its bridge any more"]
    old, new = dict(before.settings), dict(after.settings)
    found = [
        f"{NAMES[kind]} at its bridge: {_number(old.get(kind))} is now {_number(new.get(kind))}"
        for kind in sorted(old.keys() | new.keys())
        if old.get(kind) != new.get(kind)
    ]
    if before.backs != after.backs:
        found.append("other ports' backup_port is not as it was")
    found += bridge_vlans.changes(before.vlans, after.vlans)
    found += fdb.lost(before.stations, after.stations)
    there = {mdb.key(group) for group in after.groups}
    groups = filter(mdb.lasts, before.groups)
    lost = sum(mdb.key(group) not in there for group in groups)
    return [*found, *([f"{lost} multicast groups lost at its bridge"] if lost else [])]


def _number(raw: bytes | None) -> str:
    return "unset" if raw is None else str(int.from_bytes(raw, sys.byteorder))


def cannot_come_back(nl: RawNetlink, index: int) -> tuple[str, ...]:
    """Return what the bridge keeps of the port and nobody can restore, a noun each."""
    seen = _links(nl)
    bridge = seen.get(seen[index].master)
    if bridge is None or bridge.kind != "bridge":
        return ()
    found = [
        f"a part in its bridge's {name}"
        for (wish, kind), name in _RINGS.items()
        if _tells(nl, {index, seen[index].master}, wish, kind)
    ]
    snoops = any(bridge.info.get(IFLA_BR_MCAST_SNOOPING, b"\1"))
    if not (snoops and bridge.flags & IFF_UP) and any(
        map(mdb.lasts, mdb.dump(nl, index))
    ):
        found.append(
            "permanent multicast groups at a bridge that is down or snoops not"
        )
    return tuple(found)


def _tells(nl: RawNetlink, indexes: set[int], wish: int, kind: int) -> bool:
    """Return whether one of the interfaces has the attribute; False on a kernel without it."""
    try:
        bodies = nl.dump(RTM_GETLINK, _bridged(0) + attr_u32(IFLA_EXT_MASK, wish))
    except NetlinkError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return False
        raise
    return any(
        attrs(attrs(body[16:]).get(IFLA_AF_SPEC, b"")).get(kind)
        for body in bodies
        if struct.unpack_from("=i", body, 4)[0] in indexes
    )
