"""What each operation of a plan does, on the live kernel.

In: a Site. Out: nothing; the kernel's state. I/O: rtnetlink and sysctls, in two
namespaces. Every operation looks first and does what is missing, so that it may be
repeated after a kill. Raises NetlinkError, OSError, SegctlError.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from pyctl.errors import SegctlError
from pyctl.intercept import refill
from pyctl.intercept.names import read_mark
from pyctl.intercept.plan import Op, parked
from pyctl.intercept.snapshot import PARK_PRIORITY, Snapshot, differences, read
from pyctl.model.workload import LinkKind
from pyctl.platform import l3, links, offloads, sysctl
from pyctl.platform.links import Link, VethEnd
from pyctl.platform.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    NetlinkSocket,
)
from pyctl.platform.netns import entered

GONE = frozenset({errno.ENODEV, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENOENT})


@dataclass
class Site:
    """Where a plan is carried out, with everything opened before the workload is cut
    off.
    """

    snapshot: Snapshot
    vex: str
    vin: str
    mark: str
    """The alias of both ports."""
    workload: NetlinkSocket
    """With the events of refill.GROUPS."""
    workload_fd: int
    enforcer: NetlinkSocket
    enforcer_fd: int
    ports_ready: Callable[[int, int], None] = field(default=lambda _vex, _vin: None)
    """Called with both ifindexes."""
    before_restore: Callable[[], None] = field(default=lambda: None)
    take_turn: Callable[[], object] = field(default=lambda: None)
    """Returns when no other splice fills its interface (see detach.unsplice)."""

    @property
    def index(self) -> int:
        """The interface's index inside the workload, ours or the original's."""
        return self.snapshot.link.index

    def current(self) -> Link | None:
        """What stands at that index inside the workload now."""
        return links.by_index(self.workload, self.index)


def ours(link: Link, vin: Link | None, enforcer_nsid: int | None) -> bool:
    """`link`, in the workload, is the other end of our vin (and not of another workload's vex,
    which it may have been joined to all along).
    """
    return (
        vin is not None
        and vin.name.startswith("vin")
        and link.kind == "veth"
        and link.link == vin.index
        and link.link_nsid is not None
        and link.link_nsid == enforcer_nsid
    )


def _ours_now(site: Site) -> Link | None:
    link = site.current()
    vin = links.by_name(site.enforcer, site.vin)
    if link and ours(link, vin, links.nsid(site.workload, site.enforcer_fd)):
        return link
    return None


def _tolerant(
    nl: NetlinkSocket, messages: list[Message], ignore: frozenset[int]
) -> None:
    for refused in nl.batch(messages):
        if refused and refused.errno not in ignore:
            raise refused


def _park_routes(site: Site) -> list[bytes]:
    loopback = site.snapshot.loopback
    if loopback is None:
        return []
    families = sorted({body[0] for body in parked(site.snapshot)})
    mtu = site.snapshot.link.mtu
    return [
        l3.default_route(family, loopback.index, PARK_PRIORITY, mtu)
        for family in families
        if family in (socket.AF_INET, socket.AF_INET6)
    ]


def _park(site: Site) -> None:
    create = NLM_F_CREATE | NLM_F_EXCL
    messages = [Message(l3.RTM_NEWADDR, body, create) for body in parked(site.snapshot)]
    messages += [Message(l3.RTM_NEWROUTE, body, create) for body in _park_routes(site)]
    # EACCES: lo has IPv6 off, as in a container that was without it when it started. Its sends fail for
    # the moment then; that is no reason not to guard it.
    _tolerant(site.workload, messages, frozenset({errno.EEXIST, errno.EACCES}))


def _unpark(site: Site) -> None:
    messages = [l3.delete_route(body) for body in _park_routes(site)]
    messages += [l3.delete_address(body) for body in parked(site.snapshot)]
    _tolerant(site.workload, messages, GONE)


def _drop_altnames(site: Site) -> None:
    # Names live in one namespace: two workloads with equal ones could not both move out.
    link = site.current()
    if link and link.altnames:
        message = links.altname_message(link.index, link.altnames, add=False)
        site.workload.request(message.kind, message.body, message.flags)


def _original(site: Site) -> Link | None:
    """vex, where it is in the enforcer's namespace and carries our mark."""
    vex = links.by_name(site.enforcer, site.vex)
    return vex if vex and read_mark(vex.alias) else None


def _move_out(site: Site) -> None:
    if _original(site):
        return
    message = links.set_message(
        site.index, rename=site.vex, alias=site.mark, netns_fd=site.enforcer_fd
    )
    site.workload.request(message.kind, message.body)


def _move_in(site: Site) -> None:
    vex = links.by_name(site.enforcer, site.vex)
    if vex is None:
        if site.current() is None:
            raise SegctlError(f"the workload's own interface {site.vex} is gone")
        return
    link = site.snapshot.link
    # Without NOARP before it arrives, or the IPv6 code there switches its DAD off for good.
    quiet = links.set_message(vex.index, up=False, flags=link.flags)
    home = links.set_message(
        vex.index,
        rename=link.name,
        netns_fd=site.workload_fd,
        new_index=link.index,
        mac=link.mac,
        mtu=link.mtu,
        txqlen=link.txqlen,
        group=link.group,
        alias=link.alias,
    )
    _tolerant(site.enforcer, [quiet, home], frozenset())


def _create(site: Site) -> None:
    link = site.snapshot.link
    if _ours_now(site):
        return
    end = VethEnd(
        link.name,
        link.index,
        link.mac,
        link.mtu,
        txqlen=link.txqlen,
        queues=link.queues,
        flags=link.flags,
    )
    peer = VethEnd(
        site.vin,
        mtu=link.mtu,
        queues=link.queues,
        flags=links.IFF_NOARP | links.IFF_MULTICAST,
        netns_fd=site.enforcer_fd,
    )
    links.add_veth(site.workload, end, peer)
    index = _port_index(site, site.vin)
    links.set_link(site.enforcer, index, alias=site.mark, sizes=link.sizes)


def _remove(site: Site) -> None:
    link = _ours_now(site)
    if link:
        links.delete(site.workload, link.index)
    else:
        vin = links.by_name(site.enforcer, site.vin)
        if vin:
            links.delete(site.enforcer, vin.index)


def _port_index(site: Site, name: str) -> int:
    link = links.by_name(site.enforcer, name)
    if link is None:
        raise SegctlError(f"the port {name} is not there")
    return link.index


def _ports_ready(site: Site) -> None:
    site.ports_ready(_port_index(site, site.vex), _port_index(site, site.vin))


def _ports_up(site: Site) -> None:
    mute = links.IFF_NOARP | links.IFF_MULTICAST
    mark = read_mark(site.mark)
    # A macvlan filters on its own groups: without allmulti no neighbour solicitation comes in.
    macvlan = mark is not None and mark.kind == LinkKind.MACVLAN
    vex_flags = mute | (links.IFF_ALLMULTI if macvlan else 0)
    vex, vin = _port_index(site, site.vex), _port_index(site, site.vin)
    messages = [
        links.set_message(vin, up=True, flags=mute),
        links.set_message(vex, up=True, flags=vex_flags),
    ]
    _tolerant(site.enforcer, messages, frozenset())


def _settings(site: Site) -> None:
    snapshot = site.snapshot
    link = snapshot.link
    # No address may appear by itself while ours are put back; SETTLE gives the mode back.
    mode = None if link.addr_gen_mode is None else links.IN6_ADDR_GEN_MODE_NONE
    message = links.set_message(
        link.index,
        flags=link.flags,
        txqlen=link.txqlen,
        group=link.group,
        alias=link.alias or None,
        sizes=link.sizes,
        addr_gen_mode=mode,
    )
    site.workload.request(message.kind, message.body)
    # A new interface starts from "default"; so does one that changes its namespace.
    different = sysctl.changed(snapshot.sysctls, snapshot.defaults)
    with entered(site.workload_fd):
        sysctl.write_interface(link.name, different)
        # Another kind of device has other offloads; there each keeps its own.
        now = site.current()
        if now and now.kind == link.kind:
            offloads.request(link.name, snapshot.offloads)


def _settle(site: Site) -> None:
    refill.settle(site.workload, site.snapshot)
    # What "default" did not foretell: the kernel starts some kinds of device differently.
    with entered(site.workload_fd):
        name = site.snapshot.link.name
        now = sysctl.read_interface(name)
        sysctl.write_interface(name, sysctl.changed(site.snapshot.sysctls, now))


def _verify(site: Site) -> None:
    found = _compare(site)
    if found:
        raise SegctlError(
            "the workload's network is not as it was: " + "; ".join(found[:8])
        )


def _compare(site: Site) -> list[str]:
    link = site.current()
    if link is None:
        return [f"{site.snapshot.link.name} is not there"]
    was = site.snapshot
    now = read(site.workload, site.workload_fd, link, defaults=was.defaults)
    return differences(was, now)


def _before_restore(site: Site) -> None:
    site.before_restore()


def _take_turn(site: Site) -> None:
    site.take_turn()


def _fill(act: Callable[[NetlinkSocket, Snapshot], None]) -> Callable[[Site], None]:
    return lambda site: act(site.workload, site.snapshot)


ACTIONS: dict[Op, Callable[[Site], None]] = {
    Op.PARK: _park,
    Op.UNPARK: _unpark,
    Op.DROP_ALTNAMES: _drop_altnames,
    Op.MOVE_OUT: _move_out,
    Op.MOVE_IN: _move_in,
    Op.CREATE: _create,
    Op.REMOVE: _remove,
    Op.TAKE_TURN: _take_turn,
    Op.PORTS_READY: _ports_ready,
    Op.BEFORE_RESTORE: _before_restore,
    Op.PORTS_UP: _ports_up,
    Op.SETTINGS: _settings,
    Op.LINK_UP: _fill(refill.link_up),
    Op.ADDRESSES: _fill(refill.addresses),
    Op.ROUTES: _fill(refill.routes),
    Op.NEIGHBOURS: _fill(refill.neighbours),
    Op.SETTLE: _settle,
    Op.VERIFY: _verify,
}
