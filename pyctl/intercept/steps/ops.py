"""What each operation of a plan does, on the live kernel.

In: a Site. Out: nothing; the kernel's state. I/O: rtnetlink and sysctls, in two
namespaces. Every operation looks first and does what is missing, so that it may be
repeated after a kill. Raises NetlinkError, OSError, SegctlError.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from pyctl.errors import SegctlError
from pyctl.intercept.kinds.base import Kind
from pyctl.intercept.kinds.choose import kind_of
from pyctl.intercept.names import read_mark
from pyctl.intercept.restore import master, put_back, routes
from pyctl.intercept.restore.snapshot import (
    PARK_PRIORITY,
    Snapshot,
    cut_off,
    differences,
    leads_elsewhere,
    read,
    without,
)
from pyctl.intercept.steps.plan import Op, parked
from pyctl.platform import offloads, sysctl
from pyctl.platform.netfilter.conntrack import Translated
from pyctl.platform.netlink import l3, links
from pyctl.platform.netlink.links import Link, VethEnd
from pyctl.platform.netlink.raw import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    RawNetlink,
)
from pyctl.platform.netns import entered

GONE = frozenset({errno.ENODEV, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENOENT})
RETURNS = (Op.LINK_UP, Op.ADDRESSES, Op.WAYS_OUT, Op.ROUTES)
TOLD_MAX = 8
PORT_INDEXES = 10_100_000
"""Above those of the pair; a port's id is added."""


@dataclass
class Site:
    """The place of a splice, with everything opened before the workload is cut off."""

    snapshot: Snapshot
    vex: str
    vin: str
    mark: str
    """The alias of both ports."""
    workload: RawNetlink
    """With the events of put_back.GROUPS."""
    workload_fd: int
    enforcer: RawNetlink
    enforcer_fd: int
    ports_ready: Callable[[int, int], None] = field(default=lambda _vex, _vin: None)
    """Called with both ifindexes."""
    indexes: tuple[int, int] = (0, 0)
    """Those of vex and vin; known once both exist."""
    bulk: routes.Bulk = field(default_factory=routes.Bulk)
    take_turn: Callable[[], object] = field(default=lambda: None)
    """Returns when no other splice fills its interface (see detach.unsplice)."""
    lenient: bool = False
    """What its master does not take back is told, and no reason to fail: where somebody says so, and at a
    detach, which a workload could else forbid.
    """
    lost: list[str] = field(default_factory=list)
    """What could not be put back, and is no reason to end a splice: a sentence each."""
    force: bool = False
    """Nobody is asked: what would cut the workload off ends it neither."""
    advice: str = ""
    """To who is, where it does."""

    @property
    def index(self) -> int:
        """Return the interface's index inside the workload, the same for ours and the original."""
        return self.snapshot.link.index

    @property
    def kind(self) -> Kind:
        """Return the kind of the workload's own interface, wherever that is."""
        mark = read_mark(self.mark)
        return kind_of(mark.kind if mark else "")

    def current(self) -> Link | None:
        """Return the link at that index inside the workload now."""
        return links.by_index(self.workload, self.index)


def ours(link: Link, vin: Link | None, workload_nsid: int | None) -> bool:
    """Return whether `link`, in the workload, is the other end of our vin (and not of another workload's vex,
    to which it may have been joined before). vin decides, and `workload_nsid` is the enforcer's number for
    the workload: a workload controls neither.
    """
    return (
        vin is not None
        and vin.name.startswith("vin")
        and link.kind == links.VETH
        and vin.link == link.index
        and vin.link_nsid is not None
        and vin.link_nsid == workload_nsid
    )


def _ours_now(site: Site) -> Link | None:
    link = site.current()
    vin = links.by_name(site.enforcer, site.vin)
    if link and ours(link, vin, links.nsid(site.enforcer, site.workload_fd)):
        return link
    return None


def _tolerant(nl: RawNetlink, messages: list[Message], ignore: frozenset[int]) -> None:
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
    """Return vex, if it is in the enforcer's namespace and its mark names this workload."""
    vex = links.by_name(site.enforcer, site.vex)
    found, mark = read_mark(vex.alias) if vex else None, read_mark(site.mark)
    return vex if found and mark and found.is_of(mark.netns, mark.cookie) else None


def _move_out(site: Site) -> None:
    if _original(site):
        return
    translated = _translated(site)
    put_back.leave_groups(site.workload, site.index)
    message = links.set_message(
        site.index,
        rename=site.vex,
        alias=site.mark,
        netns_fd=site.enforcer_fd,
        new_index=_port_number(site),
    )
    site.workload.request(message.kind, message.body)
    translated.put_back()


def _translated(site: Site) -> Translated:
    found = Translated(site.workload_fd)
    if found.left_out:
        told = f"{found.left_out} connections that are masqueraded over it"
        site.lost.append(f"{site.snapshot.link.name} lost {told}")
    return found


def _port_number(site: Site) -> int | None:
    """Return vex's index: its own if no port has it, else one that no host uses; None: any.

    The kernel would choose a low index, which the peer of the next workload may have on the host: then that
    workload's vin could not have it (see _peer_index).
    """
    mark = read_mark(site.mark)
    wanted = (site.index, PORT_INDEXES + mark.port) if mark else ()
    free = (index for index in wanted if not links.by_index(site.enforcer, index))
    return next(free, None)


def _move_in(site: Site) -> None:
    link = site.snapshot.link
    vex = _original(site)
    if vex:
        # Without NOARP before it arrives, or the IPv6 code there switches its DAD off for good.
        quiet = links.set_message(vex.index, up=False, flags=link.flags)
        # Move and rename in one step: an observer must not take our interface for a new one.
        home = links.set_message(
            vex.index,
            rename=None if link.name in sysctl.RESERVED else link.name,
            netns_fd=site.workload_fd,
            new_index=link.index,
        )
        failed = [error for error in site.enforcer.batch([quiet, home]) if error]
        # If only the name was refused, the code below handles it.
        if failed and _homecomer(site) is None:
            raise failed[0]
    came = _homecomer(site)
    if came is None:
        if site.current() is None:
            raise SegctlError(f"the workload's own interface {site.vex} is gone")
        return
    must, may = site.kind.home_messages(came.index, link)
    refused = [error for error in site.workload.batch(must) if error]
    site.workload.batch(may)
    if refused:
        raise refused[0]
    # Set the alias last: a recovery finds the interface by the mark.
    links.set_link(site.workload, came.index, alias=link.alias)


def _homecomer(site: Site) -> Link | None:
    """Return the original inside the workload while it still has our mark: it is on its way home."""
    for link in (site.current(), links.by_name(site.workload, site.vex)):
        if link and read_mark(link.alias):
            return link
    return None


def _create(site: Site) -> None:
    link = site.snapshot.link
    if _ours_now(site):
        return
    # A reserved name can be given to an existing interface only, not to a new one.
    reserved = link.name in sysctl.RESERVED
    end = VethEnd(
        f"new{link.index}" if reserved else link.name,
        link.index,
        link.mac,
        link.mtu,
        txqlen=link.txqlen,
        queues=link.queues,
        flags=link.flags,
    )
    peer = VethEnd(
        site.vin,
        _peer_index(site),
        mtu=link.mtu,
        queues=link.queues,
        flags=links.IFF_NOARP | links.IFF_MULTICAST,
        netns_fd=site.enforcer_fd,
    )
    links.add_veth(site.workload, end, peer)
    index = _port_index(site, site.vin)
    links.set_link(site.enforcer, index, alias=site.mark, sizes=link.sizes)
    if reserved:
        links.set_link(site.workload, link.index, rename=link.name)


def _peer_index(site: Site) -> int:
    """Return the index that the interface's peer had, if no port has it; 0: any.

    The workload's side of a veth names its peer by this index (`ip link`, iflink in /sys), and a CNI plugin's
    CHECK finds the host's end by it.
    """
    link = site.snapshot.link
    free = kind_of(link.kind).has_peer and not links.by_index(site.enforcer, link.link)
    return link.link if free else 0


def _remove(site: Site) -> None:
    link = _ours_now(site)
    if link:
        translated = _translated(site)
        put_back.leave_groups(site.workload, link.index)
        links.delete(site.workload, link.index)
        translated.put_back()
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
    site.indexes = _port_index(site, site.vex), _port_index(site, site.vin)
    site.ports_ready(*site.indexes)


def _ports_up(site: Site) -> None:
    mute = links.IFF_NOARP | links.IFF_MULTICAST
    vex, vin = _port_index(site, site.vex), _port_index(site, site.vin)
    messages = [
        links.set_message(vin, flags=mute),
        links.set_message(vex, up=True, flags=mute | site.kind.vex_flags),
    ]
    _tolerant(site.enforcer, messages, frozenset())
    # vin is up only if the host's side gives vex a carrier.
    outside = links.by_index(site.enforcer, vex)
    links.set_link(site.enforcer, vin, up=outside is not None and outside.carrier)


def _settings(site: Site) -> None:
    snapshot = site.snapshot
    link = snapshot.link
    # No address may appear by itself while ours are put back; SETTLE gives the mode back.
    mode = None if link.addr_gen_mode is None else links.IN6_ADDR_GEN_MODE_NONE
    messages = [
        links.set_message(link.index, flags=link.flags),
        links.set_message(link.index, txqlen=link.txqlen, group=link.group),
        links.set_message(link.index, alias=link.alias or None, addr_gen_mode=mode),
        *(links.set_message(link.index, sizes=(size,)) for size in link.sizes),
    ]
    refused = [str(error) for error in site.workload.batch(messages) if error]
    quiet = links.set_message(link.index, addr_gen_mode=mode)
    # A new interface starts from "default"; so does one that changes its namespace.
    different = sysctl.changed(snapshot.sysctls, snapshot.defaults)
    different |= put_back.meanwhile(snapshot)
    with entered(site.workload_fd):
        refused += _refused(lambda: sysctl.write_interface(link.name, different))
        # Writing the secret sets the mode that makes addresses from it.
        site.workload.batch([quiet])
        site.lost += put_back.token(site.workload, snapshot)
        # Another kind of device has other offloads; there each keeps its own.
        now = site.current()
        if now and now.kind == link.kind:
            refused += _refused(lambda: offloads.request(link.name, snapshot.offloads))
    site.lost += [f"{link.name} lost a setting: {why}" for why in refused]


def _refused(act: Callable[[], object]) -> list[str]:
    try:
        act()
    except OSError as error:
        return [str(error)]
    return []


def _master(site: Site) -> None:
    # Done before it is up: ports isolated from it must never hear it.
    _raise_master(site, master.put_back(site.workload, site.snapshot))


def _raise_master(site: Site, refused: list[str]) -> None:
    # If the site is lenient, `_verify` reports it.
    if refused and not site.lenient:
        told = ", ".join(refused)
        name = site.snapshot.link.name
        raise SegctlError(f"the kernel refused what {name}'s master had of it: {told}")


def _ways_out(site: Site) -> None:
    was = site.snapshot
    _advertise(site, [body for body in was.advertised if body not in was.behind])
    site.lost += routes.ways_out(site.workload, was, site.bulk)


def _routes(site: Site) -> None:
    site.lost += routes.routes(site.workload, site.snapshot, site.bulk)
    _advertise(site, site.snapshot.behind)


def _advertise(site: Site, bodies: Collection[bytes]) -> None:
    with entered(site.workload_fd):
        site.lost += routes.advertise(site.snapshot, bodies)


def _groups(site: Site) -> None:
    site.lost += put_back.groups(site.workload_fd, site.snapshot)


def _settle(site: Site) -> None:
    lost = site.lost
    refused = _refused(
        lambda: lost.extend(put_back.settle(site.workload, site.snapshot))
    )
    # Some kinds of device start with other values than "default".
    link = site.snapshot.link
    with entered(site.workload_fd):
        now = sysctl.read_interface(link.name)
        different = sysctl.changed(site.snapshot.sysctls, now)
        refused += _refused(lambda: sysctl.write_interface(link.name, different))
    site.lost += [f"{link.name} lost a setting: {why}" for why in refused]
    _raise_master(site, master.put_back_running(site.workload, site.snapshot))


def _verify(site: Site) -> None:
    """Raise SegctlError for what cuts the workload off; add other differences to Site.lost."""
    now = _now(site)
    if cut_off(site.snapshot, now):
        # The loss came after we looked, or something removed it again.
        for operation in RETURNS:
            ACTIONS[operation](site)
        now = _now(site)
    cut = cut_off(site.snapshot, now)
    if cut:
        raise SegctlError(f"the workload is cut off: {'; '.join(cut[:TOLD_MAX])}")
    was = site.snapshot
    on_master = master.differences(was, now)
    if on_master and not site.lenient:
        raise SegctlError(f"its master is not as it was: {'; '.join(on_master)}")
    site.lost += [f"{was.link.name} lost: {what}" for what in on_master]
    found = differences(was, now)
    if not found:
        return
    there = {other.index for other in links.dump(site.workload)}
    gone = leads_elsewhere(was) - there
    if gone:
        site.lost.append(f"{was.link.name} lost what led over devices that are gone")
        found = differences(without(was, gone), now)
    if found:
        more = f" and {len(found) - TOLD_MAX} more" if len(found) > TOLD_MAX else ""
        told = "; ".join(found[:TOLD_MAX])
        site.lost.append(f"{was.link.name} is not as it was: {told}{more}")


def _now(site: Site) -> Snapshot:
    link = site.current()
    if link is None:
        raise SegctlError(f"{site.snapshot.link.name} is not there any more")
    return read(site.workload, site.workload_fd, link, like=site.snapshot)


def _fill(
    act: Callable[[RawNetlink, Snapshot], list[str]],
) -> Callable[[Site], None]:
    def fill(site: Site) -> None:
        site.lost += act(site.workload, site.snapshot)

    return fill


ACTIONS: dict[Op, Callable[[Site], object]] = {
    Op.PARK: _park,
    Op.UNPARK: _unpark,
    Op.DROP_ALTNAMES: _drop_altnames,
    Op.MOVE_OUT: _move_out,
    Op.MOVE_IN: _move_in,
    Op.CREATE: _create,
    Op.REMOVE: _remove,
    Op.TAKE_TURN: lambda site: site.take_turn(),
    Op.PORTS_READY: _ports_ready,
    Op.PORTS_UP: _ports_up,
    Op.SETTINGS: _settings,
    Op.LINK_UP: _fill(put_back.link_up),
    Op.ADDRESSES: _fill(put_back.addresses),
    Op.GROUPS: _groups,
    Op.WAYS_OUT: _ways_out,
    Op.ROUTES: _routes,
    Op.NEIGHBOURS: _fill(put_back.neighbours),
    Op.MASTER: _master,
    Op.QUEUES: _fill(put_back.queues),
    Op.SETTLE: _settle,
    Op.VERIFY: _verify,
}
