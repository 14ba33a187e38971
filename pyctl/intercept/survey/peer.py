"""The other end of a workload's interface, wherever it is.

In: a Link and a socket in its namespace. Out: a MAC or None. I/O: the namespaces of the
host.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pyctl.intercept.enforcer import is_enforcer
from pyctl.intercept.kinds.choose import kind_of
from pyctl.model.instance import Instance
from pyctl.platform import netns
from pyctl.platform.absence import raise_if_blind
from pyctl.platform.netlink import links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import NetlinkError, RawNetlink


def _candidates() -> Iterator[Path]:
    """Yield the namespaces where a host peer can be: process 1's, our own, every named one."""
    yield Path("/proc/1/ns/net")
    yield Path("/proc/self/ns/net")
    yield from netns.named()


@contextlib.contextmanager
def at_host_peer(
    instance: Instance, nl: RawNetlink, link: Link, own_fd: int
) -> Iterator[tuple[RawNetlink, Link] | tuple[None, None]]:
    """Give a socket in the namespace of the interface's peer, and the peer. Both are None if that namespace
    is not found or is the enforcer's: there the peer is another workload's port.
    """
    with contextlib.ExitStack() as stack:
        fd = None
        if kind_of(link.kind).has_peer and link.link:
            here = link.link_nsid is None
            fd = own_fd if here else netns_numbered(nl, link.link_nsid, stack)
        if fd is None or is_enforcer(instance, netns.identity(fd)):
            yield None, None
            return
        there = stack.enter_context(netns.raw_in(fd))
        peer = links.by_index(there, link.link)
        yield (there, peer) if peer else (None, None)


def host_side_numbers(nl: RawNetlink, own_fd: int) -> frozenset[int]:
    """Return the nsids that the host's namespaces have here. An interface whose other end or lower device is
    in one of them does not lead to a container inside the workload.
    """
    own = netns.identity(own_fd)
    return frozenset(
        number for number, fd in _numbered(nl) if netns.identity(fd) != own
    )


def netns_numbered(
    nl: RawNetlink, number: int | None, stack: contextlib.ExitStack
) -> int | None:
    """Return a descriptor, which `stack` closes, of the namespace with this nsid; None if none has it."""
    for found, fd in _numbered(nl):
        if found == number:
            kept = os.dup(fd)
            stack.callback(os.close, kept)
            return kept
    return None


def _numbered(nl: RawNetlink) -> Iterator[tuple[int, int]]:
    """Yield (nsid, descriptor) of each candidate that has one; a descriptor is open until the next."""
    for path in _candidates():
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise_if_blind(error)
            continue
        try:
            number = None
            # What lies in the directories need not be a namespace; then the kernel says EINVAL.
            with contextlib.suppress(NetlinkError):
                number = links.nsid(nl, fd)
            if number is not None:
                yield number, fd
        finally:
            os.close(fd)


def host_peer_mac(
    instance: Instance, nl: RawNetlink, link: Link, own_fd: int
) -> str | None:
    """Return the peer's MAC if it stands alone (routed CNI). None if it is a bridge's port, is unknown, or
    has an XDP program, which bpf_redirect_peer would bypass.
    """
    with at_host_peer(instance, nl, link, own_fd) as (_there, peer):
        return peer.mac if peer and not (peer.master or peer.xdp) else None
