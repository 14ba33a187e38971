"""Which links of a namespace changed since the last look, by anybody.

In: the path of a network namespace. Out: the index of each. I/O: a netlink socket in the group of links.
A veth tells here too what was done to its peer in another namespace: carrier, and features, which an XDP
program on the peer takes from it.
"""

from __future__ import annotations

import struct

from pyctl.platform.netlink.links import RTM_DELLINK, RTM_NEWLINK
from pyctl.platform.netlink.raw import messages_of
from pyctl.platform.watch.changes import RTMGRP_LINK, ChangeWatch

_IFINFO = struct.Struct("=BxHiII")


class LinkWatch(ChangeWatch):
    """The watch of one namespace's links. NotFoundError if the namespace does not exist."""

    def __init__(self, netns: str) -> None:
        super().__init__(netns, RTMGRP_LINK)

    def touched(self) -> frozenset[int] | None:
        """Return the indexes of links that changed since the last call; None if some were lost, so that it
        may be any. OSError if the socket is closed.
        """
        told: list[bytes] = []
        whole = self.drain(told.append)
        return (
            frozenset(index for data in told for index in indexes(data))
            if whole
            else None
        )


def indexes(data: bytes) -> list[int]:
    """Return the indexes of the links in the messages of one datagram."""
    return [
        _IFINFO.unpack_from(body)[2]
        for kind, _flags, _sequence, body in messages_of(data)
        if kind in (RTM_NEWLINK, RTM_DELLINK) and len(body) >= _IFINFO.size
    ]
