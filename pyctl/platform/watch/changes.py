"""A file descriptor that becomes readable when links, addresses or filters of a netns change.

In: the path of a network namespace. Out: a netlink socket bound to the groups of rtnetlink(7) that
tell of them; what they say is not parsed here, whoever wakes up reads the state. The socket is a raw one: a workload
decides how many events there are, and those of a splice come while its workload is cut off (netlink.raw).
The socket pins its namespace: close it when the workload's process ends.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from pyctl.platform.netlink.raw import kernel_socket, receive
from pyctl.platform.netns import entered, opened

RTMGRP_LINK = 0x1
RTMGRP_TC = 0x8
RTMGRP_IPV4_IFADDR = 0x10
RTMGRP_IPV6_IFADDR = 0x100
AT_ONCE = 4096
"""The most datagrams of one look; the receive buffer of 4 MiB holds about as many."""
LINKS_AND_ADDRESSES = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR


class ChangeWatch:
    """The watch of one namespace. NotFoundError if that does not exist."""

    def __init__(self, netns: str, groups: int = LINKS_AND_ADDRESSES) -> None:
        with opened(netns) as fd, entered(fd):
            self._socket = kernel_socket(groups)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor, for poll(2)."""
        return self._socket.fileno()

    def drain(self, tell: Callable[[bytes], object] = lambda _: None) -> bool:
        """Pass on what was told so far, and forget it. Return False if something was lost (ENOBUFS), which is
        a change as well. OSError if the socket is closed. It stops after AT_ONCE datagrams, so that nobody
        can hold it here by changing things fast.
        """
        whole = True
        for _ in range(AT_ONCE):
            try:
                if told := receive(self._socket):
                    tell(told)
            except BlockingIOError:
                break
            except OSError as error:
                # Any other error lasts, like that of a closed socket.
                if error.errno != errno.ENOBUFS:
                    raise
                whole = False
        return whole

    def close(self) -> None:
        """Close the socket and release the namespace."""
        self._socket.close()
