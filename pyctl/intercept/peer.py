"""The other end of a workload's interface, wherever it is.

In: a Link and a socket in its namespace. Out: a MAC or None. I/O: the namespaces of the
host.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pyctl.model.instance import Instance
from pyctl.platform import links, netns
from pyctl.platform.links import Link
from pyctl.platform.netlink import NetlinkError, NetlinkSocket


def _candidates() -> Iterator[Path]:
    """Where a host peer can be: process 1's namespace, our own, every named one."""
    yield Path("/proc/1/ns/net")
    yield Path("/proc/self/ns/net")
    yield from netns.named()


def host_peer(
    instance: Instance, nl: NetlinkSocket, link: Link, own_fd: int
) -> Link | None:
    """The peer of a veth in any namespace that can be found; None otherwise.

    None too where it is in the enforcer's own namespace: it is another workload's port
    there.
    """
    if link.kind != "veth" or not link.link:
        return None
    with contextlib.ExitStack() as stack:
        fd = own_fd if link.link_nsid is None else None
        if fd is None:
            fd = _netns_numbered(nl, link.link_nsid, stack)
        if fd is None:
            return None
        with contextlib.suppress(OSError):
            enforcer = instance.netns.stat()
            if netns.identity(fd) == (enforcer.st_dev, enforcer.st_ino):
                return None
        with netns.netlink_in(fd) as there:
            return links.by_index(there, link.link)


def _netns_numbered(
    nl: NetlinkSocket, number: int | None, stack: contextlib.ExitStack
) -> int | None:
    for path in _candidates():
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            # What lies in the directories need not be a namespace; then the kernel says EINVAL.
            found = links.nsid(nl, fd)
        except NetlinkError:
            found = None
        if found is not None and found == number:
            stack.callback(os.close, fd)
            return fd
        os.close(fd)
    return None


def host_peer_mac(
    instance: Instance, nl: NetlinkSocket, link: Link, own_fd: int
) -> str | None:
    """The peer's MAC where it stands alone (routed CNI); None where it is a bridge's
    port, or unknown.
    """
    peer = host_peer(instance, nl, link, own_fd)
    return peer.mac if peer and not peer.master else None
