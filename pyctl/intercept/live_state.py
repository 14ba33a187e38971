"""What stands right now: ports in the enforcer's namespace, addresses in a workload's.

In: an instance, a port. Out: names, the port as it is. I/O: rtnetlink.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_interface

from pyctl.errors import NotFoundError
from pyctl.intercept import offload_switch as classic
from pyctl.intercept.attach import existing_port, handles, marked_netns, port_addresses
from pyctl.intercept.detach import delete_ports, our_link
from pyctl.intercept.enforcer import fit_mtu
from pyctl.intercept.host_side import follow_host
from pyctl.intercept.kinds.choose import kind_of
from pyctl.intercept.names import port_names, read_mark
from pyctl.intercept.recover import Orphan
from pyctl.intercept.steps import journal
from pyctl.intercept.survey.costs import Place, weigh
from pyctl.intercept.survey.obstacles import lost_by_move
from pyctl.intercept.survey.peer import host_peer_mac
from pyctl.model.instance import Instance
from pyctl.model.workload import Offload, Port, ProcessRef
from pyctl.platform import netns
from pyctl.platform.netlink import l3, links
from pyctl.platform.netlink.links import Link
from pyctl.platform.process import netns_of


def present_ports(instance: Instance) -> frozenset[str]:
    """Names of all vex and vin that bear our mark; empty where there is no namespace."""
    try:
        with netns.opened(instance.netns) as fd, netns.netlink_in(fd) as nl:
            return frozenset(
                link.name for link in links.dump(nl) if read_mark(link.alias)
            )
    except NotFoundError:
        return frozenset()


def standing(instance: Instance, names: Iterable[str]) -> frozenset[str]:
    """Those of these ports that stand, or that an unfinished splice is about. Nothing is said where the
    namespace is not there, or where none of our ports is in it, as in a new one under its name: then
    all of them are given back.
    """
    wanted = frozenset(names)
    unfinished = wanted & journal.port_names(instance.journal_dir)
    try:
        with netns.opened(instance.netns) as fd, netns.netlink_in(fd) as nl:
            found = (links.by_name(nl, name) for name in wanted)
            there = frozenset(
                link.name for link in found if link and read_mark(link.alias)
            )
    except NotFoundError:
        return wanted
    return there | unfinished if there or present_ports(instance) else wanted


def remove_orphan(instance: Instance, orphan: Orphan) -> None:
    """Delete the ports of a workload that is gone. Idempotent."""
    try:
        with netns.opened(instance.netns) as fd, netns.netlink_in(fd) as nl:
            delete_ports(nl, orphan.vex, orphan.vin)
    except NotFoundError:
        return


def port_now(instance: Instance, process: ProcessRef, port: Port) -> Port:
    """The port with the name, the MAC and the MTU that its interface has by now; unchanged where the
    workload has thrown the interface away. NotFoundError where a namespace is gone.
    """
    with netns_of(process) as fd, handles(instance, fd) as ends:
        link = our_link(ends, port)
        return port if link is None else _as(port, link)


def with_indexes(instance: Instance, port: Port) -> Port:
    """The port with the indexes that vex and vin have by now; unchanged where one of them is gone.
    NotFoundError without the enforcer's namespace.
    """
    with netns.opened(instance.netns) as fd, netns.netlink_in(fd) as nl:
        vex, vin = links.by_name(nl, port.vex), links.by_name(nl, port.vin)
    if vex is None or vin is None:
        return port
    return replace(port, vex_ifindex=vex.index, vin_ifindex=vin.index)


def port_anew(instance: Instance, process: ProcessRef, port: Port) -> Port:
    """The port with all that its interface has by now, addresses too, as if it were attached now."""
    with netns_of(process) as fd, handles(instance, fd) as ends:
        link = our_link(ends, port)
        if link is None:
            return port
        bodies = l3.dump_addresses(ends.workload, link.index)
        return replace(_as(port, link), addresses=port_addresses(bodies))


def live_addresses(process: ProcessRef) -> tuple[tuple[str, str], ...]:
    """(interface, `address/length`) of all that a namespace has by now, without 127.0.0.0/8, ::1 and
    what another on the link has.
    NotFoundError where it is gone.
    """
    with netns_of(process) as fd, netns.netlink_in(fd) as nl:
        bodies = l3.dump_all_addresses(nl)
        names = links.names(nl)
    found = (
        (names.get(at, ""), l3.address_text(body))
        for at, body in bodies
        if not l3.is_duplicate(body)
    )
    return tuple(
        (name, text) for name, text in found if not ip_interface(text).is_loopback
    )


def _as(port: Port, link: Link) -> Port:
    return replace(port, interface=link.name, mac=link.mac, mtu=link.mtu, xdp=link.xdp)


def host_side_now(instance: Instance, port: Port) -> Port:
    """The port as the host's end of its link makes it by now; unchanged where vex is gone.
    NotFoundError without the enforcer's namespace.
    """
    with netns.opened(instance.netns) as fd, netns.netlink_in(fd) as nl:
        vex = links.by_name(nl, port.vex)
        if vex is None:
            return port
        return replace(port, host_mac=host_peer_mac(instance, nl, vex, fd))


def lost_by_detach(instance: Instance, port: Port) -> tuple[str, ...]:
    """Return what the workload has put onto our interface that goes with it, and what the way home costs
    besides, a sentence each. It is no reason to stay attached: whoever may put it there could forbid the
    detach for ever. Nothing where the workload's namespace is gone, which may outlive its process.
    """
    with netns.opened(instance.netns) as own, netns.netlink_in(own) as nl:
        vex = links.by_name(nl, port.vex)
    with marked_netns(read_mark(vex.alias) if vex else None) as fd:
        if vex is None or fd is None:
            return ()
        with handles(instance, fd) as ends:
            link = our_link(ends, port)
            if link is None:
                return ()
            found = lost_by_move(ends.workload, link, fd)
            moves = Place(ends.enforcer, ends.enforcer_fd, vex)
            costs = weigh(instance, moves, Place(ends.workload, fd, link))
    lost = (f"{port.interface} has {one.what}, which is lost" for one in found)
    return (*lost, *(cost.what for cost in costs))


def follow(instance: Instance, was: Port, now: Port) -> None:
    """Do to the ports what the workload did to its interface: the MTU on both, and the MAC on vex,
    which as a macvlan hears no other. A larger MTU than vex can have is taken back. NetlinkError where the
    kernel refuses.
    """
    if (was.mac, was.mtu) == (now.mac, now.mtu):
        return
    fit_mtu(instance, now.mtu)
    with netns.opened(instance.netns) as fd, netns.netlink_in(fd) as nl:
        vin, vex = links.by_name(nl, now.vin), links.by_name(nl, now.vex)
        if vin:
            links.set_link(nl, vin.index, mtu=now.mtu)
        if vex:
            links.set_link(nl, vex.index, mac=now.mac)
            nl.batch([links.set_message(vex.index, mtu=now.mtu)])
    follow_host(instance, now)
    fit_mtu(instance)


def switch_offloads(
    instance: Instance, process: ProcessRef, port: Port, offload: Offload
) -> None:
    """Those of our interface inside the workload; see `classic`. Nothing where it is gone. OSError
    where the kernel refuses.
    """
    with (
        contextlib.suppress(NotFoundError),
        netns_of(process) as fd,
        handles(instance, fd) as ends,
    ):
        if link := our_link(ends, port):
            classic.switch(ends, link, port, offload)


def far_vex(instance: Instance, vex: str) -> int | None:
    """The index of the vex at the other end of this one: two workloads joined by one veth, both
    attached. None where its peer is anywhere else.
    """
    with netns.opened(instance.netns) as fd, netns.netlink_in(fd) as nl:
        link = links.by_name(nl, vex)
    if link is None or link.link_nsid is not None:
        return None
    return link.link or None if kind_of(link.kind).has_peer else None


def unspliced(
    instance: Instance, process: ProcessRef, names: Iterable[str]
) -> tuple[str, ...]:
    """Those of a workload's interfaces that are its own still."""
    with netns_of(process) as fd, handles(instance, fd) as ends:
        found = [(name, links.by_name(ends.workload, name)) for name in names]
        return tuple(
            name
            for name, link in found
            if link and existing_port(ends, process, link) is None
        )


def draft_port(process: ProcessRef, interface: str, port_id: int) -> Port:
    """What a splice of the interface will make of it, as far as that is known before."""
    vex, vin = port_names(process.pid, interface)
    blank = Port(
        port_id=port_id,
        interface=interface,
        kind=links.VETH,
        vex=vex,
        vin=vin,
        vex_ifindex=0,
        vin_ifindex=0,
        mac="",
        host_mac=None,
        mtu=0,
        addresses=(),
    )
    with netns_of(process) as fd, netns.netlink_in(fd) as nl:
        link = links.by_name(nl, interface)
        if link is None:
            return blank
        bodies = l3.dump_addresses(nl, link.index)
        return replace(_as(blank, link), addresses=port_addresses(bodies))
