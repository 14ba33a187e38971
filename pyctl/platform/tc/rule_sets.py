"""Sets of tc rules, sent and read by the raw client.

In: messages that somebody else made. Out: as TcFilters. I/O: rtnetlink. The rules of a port go out in one write,
while its workload is cut off, and those that are there are read in the same time: asked through pyroute2, each
look would take five times as long (0.22 ms against 0.05), and a set could not be sent at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyctl.platform.netlink import links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    RawNetlink,
)
from pyctl.platform.netns import opened, raw_in
from pyctl.platform.tc.filters import GONE, TcFilters, refused
from pyctl.platform.tc.messages import (
    RTM_DELQDISC,
    RTM_GETQDISC,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    clsact,
    on_hook,
    qdiscs_of,
)


class RuleSets(TcFilters):
    """The tc hooks of one namespace, for whole sets of rules. NotFoundError where there is no such namespace."""

    def __init__(self, netns: Path | None = None) -> None:
        """Open a socket in the namespace; None: the calling thread's."""
        if netns is None:
            self._socket = RawNetlink()
            return
        with opened(netns) as fd:
            self._socket = raw_in(fd)

    def close(self) -> None:
        """Close the socket. Idempotent."""
        self._socket.close()

    def _link(self, ifindex: int) -> Link | None:
        return links.by_index(self._socket, ifindex)

    def _add_clsact(self, ifindex: int) -> None:
        self._socket.request(RTM_NEWQDISC, clsact(ifindex), NLM_F_CREATE | NLM_F_EXCL)

    def _remove_clsact(self, ifindex: int) -> None:
        self._socket.request(RTM_DELQDISC, clsact(ifindex))

    def _qdiscs(self) -> list[bytes]:
        return self._socket.dump(RTM_GETQDISC, qdiscs_of(0))

    def _filters(self, ifindex: int, hook: int, info: int) -> list[bytes]:
        return self._socket.dump(RTM_GETTFILTER, on_hook(ifindex, hook, info))

    def send(self, what: str, messages: Sequence[Message]) -> None:
        """Send all messages in one write. Those before a refused one take effect, and those after it may: the
        caller must undo them.
        """
        for error in self._socket.batch(messages):
            if error:
                raise refused(what, error.errno, error) from error

    def try_each(self, what: str, messages: Sequence[Message]) -> None:
        """Send messages that remove things; what is gone already is no error."""
        for error in self._socket.batch(messages):
            if error and error.errno not in GONE:
                raise refused(what, error.errno, error) from error
