"""The groups of a bridge's port: told in one shape, asked for in another."""

from __future__ import annotations

import errno
import struct

from pyctl.platform.bridge import mdb
from pyctl.platform.netlink.raw import Message, NetlinkError, attr, attrs, nest

MDBA_MDB_ENTRY, MDBA_MDB_ENTRY_INFO = 1, 1
GROUP = bytes([239, 5, 5, 5]) + bytes(12) + b"\x08\x00" + bytes(2)
SOURCE = bytes([198, 51, 100, 1])


def info(state: int = mdb.MDB_PERMANENT, index: int = 7, more: bytes = b"") -> bytes:
    """As a dump has it: flags are the kernel's."""
    return struct.pack("=IBBH", index, state, 1, 20) + GROUP + more


class Kernel:
    """Bridge 3, which has these; it takes none."""

    def __init__(self, *infos: bytes) -> None:
        self.infos = infos
        self.sent: list[Message] = []

    def dump(self, _kind: int, _body: bytes) -> list[bytes]:
        groups = [
            nest(MDBA_MDB_ENTRY, attr(MDBA_MDB_ENTRY_INFO, one)) for one in self.infos
        ]
        return [struct.pack("=BxxxI", 7, 3) + nest(mdb.MDBA_MDB, *groups)]

    def batch(self, messages: object) -> list[NetlinkError | None]:
        asked = list(messages)  # type: ignore[call-overload]
        self.sent += asked
        return [NetlinkError(errno.EINVAL, "no") for _ in asked]


def test_only_the_port_s_own_are_told_and_groups_before_their_sources() -> None:
    of_source = info(more=attr(mdb.MDBA_MDB_EATTR_SOURCE, SOURCE))
    kernel = Kernel(of_source, info(index=9), info())
    assert mdb.dump(kernel, 7) == (info(), of_source)


def test_a_source_comes_back_under_the_number_that_it_is_asked_for_by() -> None:
    wanted = info(more=attr(mdb.MDBA_MDB_EATTR_SOURCE, SOURCE))
    kernel = Kernel()
    mdb.put_back(kernel, 3, 7, [wanted])
    (message,) = kernel.sent
    found = attrs(message.body[8:])
    entry = found[mdb.MDBA_SET_ENTRY]
    assert entry == struct.pack("=IBBH", 7, mdb.MDB_PERMANENT, 0, 20) + GROUP
    assert attrs(found[mdb.MDBA_SET_ENTRY_ATTRS]) == {mdb.MDBE_ATTR_SOURCE: SOURCE}


def test_a_list_of_sources_comes_back_without_its_clocks() -> None:
    one = attr(mdb.MDBA_MDB_SRCATTR_ADDRESS, SOURCE) + attr(2, bytes(4))
    listed = nest(mdb.MDBA_MDB_EATTR_SRC_LIST, nest(1, one))
    kernel = Kernel()
    mode = attr(mdb.MDBA_MDB_EATTR_GROUP_MODE, b"\1")
    mdb.put_back(kernel, 3, 7, [info(more=listed + mode)])
    found = attrs(attrs(kernel.sent[0].body[8:])[mdb.MDBA_SET_ENTRY_ATTRS])
    assert attrs(attrs(found[mdb.MDBE_ATTR_SRC_LIST])[1]) == {1: SOURCE}
    assert found[mdb.MDBE_ATTR_GROUP_MODE] == b"\1"


def test_a_refusal_counts_for_what_lasts_and_what_is_there_is_not_asked_for() -> None:
    assert len(mdb.put_back(Kernel(), 3, 7, [info()])) == 1
    assert mdb.put_back(Kernel(), 3, 7, [info(state=0)]) == []
    there = Kernel(info())
    assert mdb.put_back(there, 3, 7, [info()]) == []
    assert there.sent == []
