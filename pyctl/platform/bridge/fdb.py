"""The MAC addresses of an interface besides its own: those that it listens to, and those that a bridge has at it.

In: a socket in the interface's namespace, a Link. Out: MACs, entries as the kernel wrote them. I/O: rtnetlink.
A macvlan or an ipvlan that is up puts its address among the first, also from another namespace, where nothing
else shows it; so does `bridge fdb add … self`, and a bridge with those of its other ports.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pyctl.platform.netlink.links import Link, mac_text
from pyctl.platform.netlink.raw import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    RawNetlink,
    attr,
    attrs,
    u32,
)

RTM_NEWNEIGH, RTM_GETNEIGH, AF_BRIDGE = 28, 30, socket.AF_BRIDGE
NDA_LLADDR, NDA_VLAN, NDA_MASTER = 2, 5, 9
NDA_FLAGS_EXT, NDA_FDB_EXT_ATTRS = 15, 14
NTF_SELF, NTF_MASTER, NTF_EXT_LEARNED, NTF_STICKY = 0x02, 0x04, 0x10, 0x40
NTF_EXT_LOCKED = 1 << 1
NUD_REACHABLE, NUD_NOARP, NUD_PERMANENT = 0x02, 0x40, 0x80
_SET_FLAGS = NTF_EXT_LEARNED | NTF_STICKY
_IFINFO = struct.Struct("=BxHiII")
_ND = struct.Struct("=BxxxiHBB")


@dataclass(frozen=True)
class Entry:
    """An entry of a table of MACs."""

    index: int
    state: int
    flags: int
    mac: bytes
    master: int
    """The bridge whose table it is in; 0: the interface's own."""
    body: bytes

    @property
    def lasts(self) -> bool:
        """Return whether the entry is static: nobody learned it, and it does not age."""
        fixed = self.state & (NUD_NOARP | NUD_PERMANENT)
        return bool(fixed or self.flags & NTF_EXT_LEARNED)


def _entries(nl: RawNetlink, index: int = 0) -> Iterator[Entry]:
    for body in nl.dump(RTM_GETNEIGH, _IFINFO.pack(AF_BRIDGE, 0, index, 0, 0)):
        yield _entry(body)


def _entry(body: bytes) -> Entry:
    _family, index, state, flags, _kind = _ND.unpack_from(body)
    found = attrs(body[_ND.size :])
    mac, master = found.get(NDA_LLADDR, b""), u32(found.get(NDA_MASTER))
    return Entry(index, state, flags, mac, master, body)


def other_macs(nl: RawNetlink, link: Link) -> tuple[str, ...]:
    """Return the unicast MACs that the interface listens to, without those from its own bridge's table."""
    mine = [entry for entry in _entries(nl, link.index) if entry.index == link.index]
    found = dict.fromkeys(
        entry.mac
        for entry in mine
        if entry.flags & NTF_SELF and entry.mac and not entry.mac[0] & 1
    )
    if found and link.master:
        every = _entries(nl)
        bridged = {one.mac for one in every if one.master == link.master and one.lasts}
        found = {mac: None for mac in found if mac not in bridged}
    texts = map(mac_text, found)
    return tuple(mac for mac in texts if mac != link.mac)


def stations(nl: RawNetlink, index: int, *, learns: bool) -> tuple[bytes, ...]:
    """Return the bridge's entries at this port, without those that it `learns` again. If it does not learn,
    somebody has set all of them.
    """
    return tuple(
        entry.body
        for entry in _entries(nl, index)
        if entry.index == index
        and entry.master
        and (entry.lasts or not learns)
        and not _flags_ext(entry.body) & NTF_EXT_LOCKED
    )


def _flags_ext(body: bytes) -> int:
    return u32(attrs(body[_ND.size :]).get(NDA_FLAGS_EXT))


def put_back(nl: RawNetlink, index: int, wanted: Sequence[bytes]) -> list[str]:
    """Add the missing entries; return what the kernel refused of the static ones, in words. It takes no other
    entries at a port without a carrier.
    """
    if not wanted:
        return []
    there = {key(body) for body in stations(nl, index, learns=False)}
    missing = [body for body in wanted if key(body) not in there]
    return [
        f"a static MAC address of it: {error}"
        for body, error in zip(missing, nl.batch(map(_added, missing)), strict=True)
        if error and error.errno != errno.EEXIST and _entry(body).lasts
    ]


def _added(body: bytes) -> Message:
    _family, index, state, flags, kind = _ND.unpack_from(body)
    found = attrs(body[_ND.size :])
    kept = (NDA_LLADDR, NDA_VLAN, NDA_FDB_EXT_ATTRS)
    raw = b"".join(attr(one, found[one]) for one in kept if one in found)
    # The kernel shows an aged entry as stale, which cannot be set.
    state = state & (NUD_NOARP | NUD_PERMANENT) or NUD_REACHABLE
    head = _ND.pack(AF_BRIDGE, index, state, flags & _SET_FLAGS | NTF_MASTER, kind)
    return Message(RTM_NEWNEIGH, head + raw, NLM_F_CREATE | NLM_F_EXCL)


def key(body: bytes) -> bytes:
    """Return a key that identifies an entry of a bridge's table and its kind."""
    entry = _entry(body)
    fixed = entry.state & (NUD_NOARP | NUD_PERMANENT)
    vlan = attrs(body[_ND.size :]).get(NDA_VLAN, b"\0\0")
    return entry.mac + vlan + bytes([fixed, entry.flags & _SET_FLAGS])


def lost(before: Sequence[bytes], after: Sequence[bytes]) -> list[str]:
    """Return the static entries that are gone, a line each."""
    there = {key(body) for body in after}
    entries = (_entry(body) for body in before)
    return [
        f"MAC address lost at its bridge: {mac_text(entry.mac)}"
        for entry in entries
        if entry.lasts and key(entry.body) not in there
    ]
