"""Which filters of a namespace were touched since the last look, by anybody.

In: the path of a network namespace. Out: the place of each change. I/O: a netlink socket in the
group of tc. Places, so that whoever looks after filters need not look at all of them.
"""

from __future__ import annotations

from typing import NamedTuple

from pyctl.platform.netlink.raw import messages_of
from pyctl.platform.tc.messages import RTM_DELTFILTER, RTM_NEWTFILTER, TCMSG
from pyctl.platform.watch.changes import RTMGRP_TC, ChangeWatch


class Touched(NamedTuple):
    """The place of a change."""

    ifindex: int
    pref: int
    """0: on all of them; a queueing discipline came or went."""


class FilterWatch(ChangeWatch):
    """The watch of one namespace's filters. NotFoundError if the namespace does not exist."""

    def __init__(self, netns: str) -> None:
        super().__init__(netns, RTMGRP_TC)

    def touched(self) -> frozenset[Touched] | None:
        """Return the places of changes since the last call; None if some were lost, so that it may be any.
        OSError if the socket is closed.
        """
        told: list[bytes] = []
        whole = self.drain(told.append)
        return (
            frozenset(place for data in told for place in _places(data))
            if whole
            else None
        )


def _places(data: bytes) -> list[Touched]:
    found = []
    for kind, _flags, _sequence, body in messages_of(data):
        if len(body) >= TCMSG.size:
            _family, ifindex, _handle, _parent, info = TCMSG.unpack_from(body)
            is_filter = kind in (RTM_NEWTFILTER, RTM_DELTFILTER)
            found.append(Touched(ifindex, info >> 16 if is_filter else 0))
    return found
