"""A file descriptor that becomes readable when links, addresses or filters of a netns change.

In: the path of a network namespace. Out: a netlink socket bound to the groups of rtnetlink(7) that
tell of them; what they say is not parsed here, whoever wakes up reads the state.
The socket pins its namespace: close it when the workload's process ends.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from pyctl.platform.netns import entered, opened

RTMGRP_LINK = 0x1
RTMGRP_TC = 0x8
RTMGRP_IPV4_IFADDR = 0x10
RTMGRP_IPV6_IFADDR = 0x100
LINKS_AND_ADDRESSES = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR
_ENOUGH = 1 << 16


class ChangeWatch:
    """Watches one namespace. NotFoundError where it does not exist."""

    def __init__(self, netns: str, groups: int = LINKS_AND_ADDRESSES) -> None:
        with opened(netns) as fd, entered(fd):
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0
            )
        self._socket.bind((0, groups))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """For poll(2)."""
        return self._socket.fileno()

    def drain(self, tell: Callable[[bytes], object] = lambda _: None) -> bool:
        """Hand over what was told so far, and forget it. False where something was lost (ENOBUFS),
        which is a change as well. OSError when it is closed.
        """
        whole = True
        while True:
            try:
                tell(self._socket.recv(_ENOUGH))
            except BlockingIOError:
                return whole
            except OSError as error:
                # All else lasts, as that of a closed socket does.
                if error.errno != errno.ENOBUFS:
                    raise
                whole = False

    def close(self) -> None:
        """Let the namespace go."""
        self._socket.close()
