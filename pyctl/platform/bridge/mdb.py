"""The multicast groups that a bridge has at a port: set for good, or heard of.

In: a socket in the bridge's namespace, the port's index. Out: entries as the kernel wrote them (struct
br_mdb_entry and its attributes). I/O: rtnetlink. Listeners that were heard are put back too: they speak when they are asked.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from socket import AF_BRIDGE

from pyctl.platform.netlink.raw import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    NetlinkError,
    RawNetlink,
    attr,
    attrs,
    iter_attrs,
    nest,
)

RTM_NEWMDB, RTM_GETMDB = 84, 86
MDBA_MDB = 1
MDBA_MDB_EATTR_SRC_LIST, MDBA_MDB_EATTR_GROUP_MODE = 2, 3
MDBA_MDB_EATTR_SOURCE, MDBA_MDB_EATTR_RTPROT = 4, 5
MDBA_MDB_SRCATTR_ADDRESS = 1
MDBA_SET_ENTRY, MDBA_SET_ENTRY_ATTRS = 1, 2
MDBE_ATTR_SOURCE, MDBE_ATTR_SRC_LIST, MDBE_ATTR_GROUP_MODE = 1, 2, 3
MDBE_ATTR_RTPROT = 4
MDB_PERMANENT = 1
RTPROT_STATIC = b"\x04"
"""The protocol of an entry whose setter gave none."""
_PORT_MSG = struct.Struct("=BxxxI")
_ENTRY = struct.Struct("=IBBH20s")


def dump(nl: RawNetlink, index: int) -> tuple[bytes, ...]:
    """Return the port's groups. Those of any source come first: with them the kernel makes the others."""
    try:
        bodies = nl.dump(RTM_GETMDB, _PORT_MSG.pack(AF_BRIDGE, 0))
    except NetlinkError as error:
        if error.errno == errno.EOPNOTSUPP:
            return ()
        raise
    found = [
        info
        for body in bodies
        for kind, table in iter_attrs(body[_PORT_MSG.size :])
        if kind == MDBA_MDB
        for _entry, group in iter_attrs(table)
        for _info, info in iter_attrs(group)
        if _ENTRY.unpack_from(info)[0] == index
    ]
    return tuple(sorted(found, key=lambda info: bool(_source(info))))


def lasts(info: bytes) -> bool:
    """Return whether the entry is permanent."""
    return bool(_ENTRY.unpack_from(info)[1] == MDB_PERMANENT)


def _source(info: bytes) -> bytes:
    return attrs(info[_ENTRY.size :]).get(MDBA_MDB_EATTR_SOURCE, b"")


def key(info: bytes) -> bytes:
    """Return a key that identifies the entry among those of its port."""
    _index, _state, _flags, vid, group = _ENTRY.unpack_from(info)
    return struct.pack("=H", vid) + bytes(group) + _source(info)


def put_back(
    nl: RawNetlink, bridge: int, index: int, wanted: Sequence[bytes]
) -> list[str]:
    """Add the missing groups; return what the kernel refused of the permanent ones, in words. It takes no
    other groups at a port without a carrier.
    """
    if not wanted:
        return []
    there = {key(info) for info in dump(nl, index)}
    missing = [info for info in wanted if key(info) not in there]
    answers = nl.batch(_added(bridge, info) for info in missing)
    return [
        f"a multicast group of it: {error}"
        for info, error in zip(missing, answers, strict=True)
        if error and error.errno != errno.EEXIST and lasts(info)
    ]


def _added(bridge: int, info: bytes) -> Message:
    index, state, _flags, vid, group = _ENTRY.unpack_from(info)
    body = _PORT_MSG.pack(AF_BRIDGE, bridge)
    body += attr(MDBA_SET_ENTRY, _ENTRY.pack(index, state, 0, vid, group))
    found = attrs(info[_ENTRY.size :])
    settable = []
    if source := found.get(MDBA_MDB_EATTR_SOURCE):
        settable.append(attr(MDBE_ATTR_SOURCE, source))
    elif sources := _sources(found.get(MDBA_MDB_EATTR_SRC_LIST, b"")):
        mode = found.get(MDBA_MDB_EATTR_GROUP_MODE, b"\0")
        settable += [
            nest(MDBE_ATTR_SRC_LIST, sources),
            attr(MDBE_ATTR_GROUP_MODE, mode),
        ]
    protocol = found.get(MDBA_MDB_EATTR_RTPROT, RTPROT_STATIC)
    if protocol > RTPROT_STATIC:
        settable.append(attr(MDBE_ATTR_RTPROT, protocol))
    if settable:
        body += nest(MDBA_SET_ENTRY_ATTRS, *settable)
    return Message(RTM_NEWMDB, body, NLM_F_CREATE | NLM_F_EXCL)


def _sources(listed: bytes) -> bytes:
    """Return the source list without the kernel's counters."""
    return b"".join(
        nest(kind, attr(MDBA_MDB_SRCATTR_ADDRESS, attrs(one)[MDBA_MDB_SRCATTR_ADDRESS]))
        for kind, one in iter_attrs(listed)
    )
