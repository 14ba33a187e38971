"""A file descriptor that becomes readable when links, addresses or filters of a netns change.

In: the path of a network namespace. Out: a netlink socket bound to the groups of rtnetlink(7) that
tell of them; what they say is not parsed here, whoever wakes up reads the state.
The socket pins its namespace: close it when the workload's process ends.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from pyctl.platform.netlink.client import kernel_socket, receive
from pyctl.platform.netns import entered, opened

RTMGRP_LINK = 0x1
RTMGRP_TC = 0x8
RTMGRP_IPV4_IFADDR = 0x10
RTMGRP_IPV6_IFADDR = 0x100
AT_ONCE = 4096
"""Datagrams of one look; 4 MiB of receive buffer hold about as many."""
LINKS_AND_ADDRESSES = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR


class ChangeWatch:
    """Watches one namespace. NotFoundError where it does not exist."""

    def __init__(self, netns: str, groups: int = LINKS_AND_ADDRESSES) -> None:
        with opened(netns) as fd, entered(fd):
            self._socket = kernel_socket(groups)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """For poll(2)."""
        return self._socket.fileno()

    def drain(self, tell: Callable[[bytes], object] = lambda _: None) -> bool:
        """Hand over what was told so far, and forget it. False where something was lost (ENOBUFS),
        which is a change as well. OSError when it is closed. Who changes things faster than they
        are read keeps it readable, and nobody in here.
        """
        whole = True
        for _ in range(AT_ONCE):
            try:
                if told := receive(self._socket):
                    tell(told)
            except BlockingIOError:
                break
            except OSError as error:
                # All else lasts, as that of a closed socket does.
                if error.errno != errno.ENOBUFS:
                    raise
                whole = False
        return whole

    def close(self) -> None:
        """Let the namespace go."""
        self._socket.close()
