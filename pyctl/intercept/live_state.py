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
from pyctl.intercept.detach import our_link
from pyctl.intercept.enforcer import fit_mtu
from pyctl.intercept.host_side import follow_host
from pyctl.intercept.kinds.choose import kind_of
from pyctl.intercept.names import read_mark
from pyctl.intercept.steps import journal
from pyctl.intercept.survey.costs import Place, too_much_unasked, weigh
from pyctl.intercept.survey.obstacles import lost_by_move
from pyctl.intercept.survey.peer import host_peer_mac
from pyctl.model.instance import Instance
from pyctl.model.workload import Offload, Port, ProcessRef
from pyctl.platform import netns
from pyctl.platform.iproute import links
from pyctl.platform.iproute.client import iproute_at, iproute_in
from pyctl.platform.netlink import l3
from pyctl.platform.netlink import links as raw_links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import NetlinkError
from pyctl.platform.process import netns_of

_ONE_BY_ONE = 16
"""Up to so many names are asked for alone: one costs as much as eight links of a dump, of which a node may have
thousands.
"""


def present_ports(instance: Instance) -> frozenset[str]:
    """Return the names of all vex and vin with our mark; empty if there is no namespace."""
    try:
        with iproute_at(instance.netns) as ip:
            return frozenset(
                link.name for link in links.dump(ip) if read_mark(link.alias)
            )
    except NotFoundError:
        return frozenset()


def standing(instance: Instance, names: Iterable[str]) -> frozenset[str]:
    """Return the names that exist or belong to an unfinished splice. All names are returned if nothing can be
    concluded: the namespace is missing, or has none of our ports, like a new one under its name.
    """
    wanted = frozenset(names)
    unfinished = wanted & journal.port_names(instance.journal_dir)
    try:
        with iproute_at(instance.netns) as ip:
            if len(wanted) <= _ONE_BY_ONE:
                found = [links.by_name(ip, name) for name in wanted]
            else:
                found = [*links.dump(ip)]
            there = wanted & {
                link.name for link in found if link and read_mark(link.alias)
            }
    except NotFoundError:
        return wanted
    return there | unfinished if there or present_ports(instance) else wanted


def port_now(instance: Instance, process: ProcessRef, port: Port) -> Port:
    """Return the port with its interface's current name, MAC and MTU; unchanged if the workload has deleted
    the interface. NotFoundError if a namespace is gone.
    """
    with netns_of(process) as fd, handles(instance, fd) as ends:
        link = our_link(ends, port)
        return port if link is None else _as(port, link)


def with_indexes(instance: Instance, port: Port) -> Port:
    """Return the port with the current indexes of vex and vin; unchanged if one of them is gone.
    NotFoundError without the enforcer's namespace.
    """
    with iproute_at(instance.netns) as ip:
        vex, vin = links.by_name(ip, port.vex), links.by_name(ip, port.vin)
    if vex is None or vin is None:
        return port
    return replace(port, vex_ifindex=vex.index, vin_ifindex=vin.index)


def port_anew(instance: Instance, process: ProcessRef, port: Port) -> Port:
    """Return the port with all that its interface has now, addresses too, as if it were attached now."""
    with netns_of(process) as fd, handles(instance, fd) as ends:
        link = our_link(ends, port)
        if link is None:
            return port
        bodies = l3.dump_addresses(ends.workload, link.index)
        return replace(_as(port, link), addresses=port_addresses(bodies))


def live_addresses(process: ProcessRef) -> tuple[tuple[str, str], ...]:
    """Return (interface, `address/length`) of all addresses in a namespace, without loopback ones and those
    that another on the link has. NotFoundError if the namespace is gone.
    """
    with netns_of(process) as fd, iproute_in(fd) as ip:
        bodies = links.addresses(ip)
        names = links.names(ip)
    found = (
        (names.get(l3.address_index(body), ""), l3.address_text(body))
        for body in bodies
        if not l3.is_duplicate(body)
    )
    return tuple(
        (name, text) for name, text in found if not ip_interface(text).is_loopback
    )


def _as(port: Port, link: Link) -> Port:
    return replace(port, interface=link.name, mac=link.mac, mtu=link.mtu, xdp=link.xdp)


def host_side_now(instance: Instance, port: Port) -> Port:
    """Return the port with the current MAC of its host peer; unchanged if vex is gone. NotFoundError without
    the enforcer's namespace.
    """
    with netns.opened(instance.netns) as fd, netns.raw_in(fd) as nl:
        vex = raw_links.by_name(nl, port.vex)
        if vex is None:
            return port
        return replace(port, host_mac=host_peer_mac(instance, nl, vex, fd))


def lost_by_detach(
    instance: Instance, port: Port, *, costs: bool = True
) -> tuple[str, ...]:
    """Return what a detach destroys on our interface, and with `costs` what the way home costs, a sentence
    each. Empty if the workload's namespace is gone, which may outlive its process.
    """
    with iproute_at(instance.netns) as ip:
        vex = links.by_name(ip, port.vex)
    with marked_netns(read_mark(vex.alias) if vex else None) as fd:
        if vex is None or fd is None:
            return ()
        with handles(instance, fd) as ends:
            link = our_link(ends, port)
            if link is None:
                return ()
            found = lost_by_move(ends.workload, link, fd)
            moves = Place(ends.enforcer, ends.enforcer_fd, vex)
            home = Place(ends.workload, fd, link)
            paid = weigh(instance, moves, home) if costs else ()
    lost = (f"{port.interface} has {one.what}, which is lost" for one in found)
    return (*lost, *(cost.what for cost in paid))


def follow(instance: Instance, was: Port, now: Port) -> None:
    """Apply a changed MTU of the workload's interface to both ports, and a changed MAC to vex, because a
    macvlan hears no other. An MTU larger than vex can have is taken back. NetlinkError if the kernel refuses.
    """
    if (was.mac, was.mtu) == (now.mac, now.mtu):
        return
    fit_mtu(instance, now.mtu)
    with iproute_at(instance.netns) as ip:
        vin, vex = links.by_name(ip, now.vin), links.by_name(ip, now.vex)
        if vin:
            links.change(ip, vin.index, mtu=now.mtu)
        if vex:
            links.change(ip, vex.index, address=now.mac)
            with contextlib.suppress(NetlinkError):
                links.change(ip, vex.index, mtu=now.mtu)
    follow_host(instance, now)
    fit_mtu(instance)


def switch_offloads(
    instance: Instance, process: ProcessRef, port: Port, offload: Offload
) -> None:
    """Switch the offloads of our interface inside the workload; see `offload_switch`. Does nothing if the
    interface is gone. OSError if the kernel refuses.
    """
    with (
        contextlib.suppress(NotFoundError),
        netns_of(process) as fd,
        handles(instance, fd) as ends,
    ):
        if link := our_link(ends, port):
            classic.switch(ends, link, port, offload)


def far_vex(instance: Instance, vex: str) -> int | None:
    """Return the index of the vex at the other end of this one, if one veth joins two attached workloads;
    None if its peer is anywhere else.
    """
    with iproute_at(instance.netns) as ip:
        link = links.by_name(ip, vex)
    if link is None or link.link_nsid is not None:
        return None
    return link.link or None if kind_of(link.kind).has_peer else None


def unspliced(
    instance: Instance, process: ProcessRef, names: Iterable[str]
) -> tuple[str, ...]:
    """Return those of a workload's interfaces that are not spliced."""
    with netns_of(process) as fd, handles(instance, fd) as ends:
        found = [(name, raw_links.by_name(ends.workload, name)) for name in names]
        return tuple(
            name
            for name, link in found
            if link and existing_port(ends, process, link) is None
        )


def too_much(process: ProcessRef, names: Iterable[str]) -> dict[str, str]:
    """Return, by name, why those of a workload's interfaces that carry too much are not spliced unasked."""
    with netns_of(process) as fd, netns.raw_in(fd) as nl:
        links_now = (raw_links.by_name(nl, name) for name in names)
        found = {link.name: too_much_unasked(nl, link) for link in links_now if link}
    return {name: why for name, why in found.items() if why}
