"""What hangs on an interface, and what a splice makes of it.

In: a Link and sockets in its namespace. Out: Obstacles. I/O: reads only. Nothing that a workload puts on
its own interface keeps it from being inspected: what can be put back is (its place in a bridge,
qdiscs without filters); the rest is lost, and whoever attaches by hand decides whether it may be.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyctl.errors import RefusedError
from pyctl.intercept.kinds.choose import kind_of
from pyctl.platform import netns, sysctl
from pyctl.platform.bpf import tcx as bpf_tcx
from pyctl.platform.bpf import xdp as bpf_xdp
from pyctl.platform.bridge import fdb
from pyctl.platform.bridge import port as bridge_port
from pyctl.platform.netfilter import nftables
from pyctl.platform.netlink import links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import RawNetlink
from pyctl.platform.tc import qdiscs

_TUNNELS = frozenset(
    {
        *("ipip", "sit", "gre", "gretap", "erspan", "vti"),
        *("ip6tnl", "ip6gre", "ip6gretap", "ip6erspan", "vti6"),
    }
)
"""Tunnels name their interface by index and outlive it: the next interface with the index carries them."""


@dataclass(frozen=True)
class Obstacle:
    """A thing that a splice of the interface destroys or cuts off."""

    what: str
    """"an XDP program": what the interface has."""
    becomes: str
    """"is taken off": what becomes of it."""


def lost_by_move(nl: RawNetlink, link: Link, netns_fd: int) -> tuple[Obstacle, ...]:
    """Return what is lost when the interface moves to another namespace. At a detach, this is what came onto
    our interface meanwhile.
    """
    found = [
        Obstacle(f"{upper.name} on top of it", "is deleted")
        for upper in _uppers(nl, link)
    ]
    if not found:
        found += [
            Obstacle(
                f"the MAC {mac} of a device elsewhere on top of it, or of a static entry (bridge fdb … self)",
                "is cut off",
            )
            for mac in fdb.other_macs(nl, link)
        ]
    if link.master:
        gone = bridge_port.cannot_come_back(nl, link.index)
        found += [Obstacle(what, "is lost") for what in gone]
    if link.xdp:
        found.append(Obstacle("an XDP program", "is taken off"))
    if bpf_tcx.count_programs(netns_fd, link.index):
        found.append(Obstacle("a tcx program", "is taken off"))
    if kinds := filtered_qdiscs(nl, link.index):
        named = " and ".join(f"a {kind} qdisc" for kind in kinds)
        found.append(Obstacle(f"{named} with filters", "is taken off"))
    found += [
        Obstacle(f"the nftables {hook}", "is gone for good")
        for hook in nftables.lost_hooks(netns_fd, link.name)
    ]
    with netns.entered(netns_fd):
        if sysctl.routes_multicast(link.name):
            what = "a multicast router's virtual interface"
            found.append(Obstacle(what, "is gone until the router makes it again"))
    return tuple(found)


def filtered_qdiscs(nl: RawNetlink, index: int) -> tuple[str, ...]:
    """Return the kinds of the interface's qdiscs that have filters, which are not put back."""
    found = qdiscs.dump(nl, index)
    with_filters = (one for one in found if qdiscs.count_filters(nl, index, (one,)))
    return tuple(dict.fromkeys(map(qdiscs.kind_of, with_filters)))


def strip(nl: RawNetlink, link: Link, netns_fd: int) -> Link:
    """Remove what would see frames before us, or pass us by, after the move: XDP and tcx programs, and
    devices on top of the interface. Return the Link as it is then. RefusedError if a program cannot be
    removed.
    """
    off = not link.xdp or bpf_xdp.take_off(nl, link)
    if not (bpf_tcx.take_off(netns_fd, link.index) and off):
        raise RefusedError(
            f"{link.name} has a BPF program that cannot be taken off",
            state="nothing else was changed",
            advice="end the process that holds it there",
        )
    delete_uppers(nl, link)
    return links.by_index(nl, link.index) or link


def delete_uppers(nl: RawNetlink, link: Link) -> list[str]:
    """Delete the devices on top of the interface, which the kernel would delete with it; return their names.
    Call it before a snapshot is taken: their addresses and routes cannot come back.
    """
    return [upper.name for upper in _uppers(nl, link) if links.delete(nl, upper.index)]


def _uppers(nl: RawNetlink, link: Link) -> list[Link]:
    return [
        other
        for other in links.naming(nl, link.index)
        if other.link == link.index
        and other.link_nsid is None
        and not (kind_of(other.kind).has_peer or other.kind in _TUNNELS)
    ]
