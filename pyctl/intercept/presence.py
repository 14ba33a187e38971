"""What stands right now: ports in the enforcer's namespace, addresses in a workload's.

In: an instance, a port. Out: names, the port as it is. I/O: rtnetlink.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pyctl.errors import NotFoundError
from pyctl.intercept import classic
from pyctl.intercept.attach import existing_port, handles, port_addresses
from pyctl.intercept.detach import delete_ports, our_link
from pyctl.intercept.enforcer import fit_mtu
from pyctl.intercept.names import port_names, read_mark
from pyctl.intercept.recover import Orphan
from pyctl.intercept.select import refuse_loss
from pyctl.model.instance import Instance
from pyctl.model.workload import LinkKind, Offload, Port, ProcessRef
from pyctl.platform import l3, links, netns
from pyctl.platform.links import Link
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
    """Those of these ports that stand. Nothing is said where the namespace is not there, or where
    none of our ports is in it, as in a new one under its name: then all of them are given back.
    """
    wanted = frozenset(names)
    try:
        with netns.opened(instance.netns) as fd, netns.netlink_in(fd) as nl:
            found = (links.by_name(nl, name) for name in wanted)
            there = frozenset(
                link.name for link in found if link and read_mark(link.alias)
            )
    except NotFoundError:
        return wanted
    return there if there or present_ports(instance) else wanted


def remove_orphan(instance: Instance, orphan: Orphan) -> None:
    """Delete the ports of a workload that is gone. Idempotent."""
    try:
        with netns.opened(instance.netns) as fd, netns.netlink_in(fd) as nl:
            delete_ports(nl, orphan.vex, orphan.vin)
    except NotFoundError:
        return


def port_now(instance: Instance, netns_path: str, port: Port) -> Port:
    """The port with the name, the MAC, the MTU and the addresses that its interface has by now;
    unchanged where the workload has thrown the interface away. NotFoundError where a namespace
    is gone.
    """
    with netns.opened(netns_path) as fd, handles(instance, fd) as ends:
        link = our_link(ends, port)
        if link is None:
            return port
        return _as(port, link, l3.dump_addresses(ends.workload, link.index))


def _as(port: Port, link: Link, addresses: Sequence[bytes]) -> Port:
    return replace(
        port,
        interface=link.name,
        mac=link.mac,
        mtu=link.mtu,
        addresses=port_addresses(addresses),
    )


def refuse_detach(instance: Instance, netns_path: str, port: Port) -> None:
    """RefusedError where the workload has put something onto our interface that a detach would
    destroy. Where the interface is gone there is nothing to lose.
    """
    with netns.opened(netns_path) as fd, handles(instance, fd) as ends:
        link = our_link(ends, port)
        if link:
            refuse_loss(ends.workload, link, fd)


def follow(instance: Instance, was: Port, now: Port) -> None:
    """Do to the ports what the workload did to its interface: the MTU on both, and the MAC on vex,
    which as a macvlan hears no other. NetlinkError where the kernel refuses.
    """
    if (was.mac, was.mtu) == (now.mac, now.mtu):
        return
    fit_mtu(instance, now.mtu)
    with netns.opened(instance.netns) as fd, netns.netlink_in(fd) as nl:
        vin, vex = links.by_name(nl, now.vin), links.by_name(nl, now.vex)
        if vin:
            links.set_link(nl, vin.index, mtu=now.mtu)
        if vex:
            links.set_link(nl, vex.index, mtu=now.mtu, mac=now.mac)
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
    if link is None or link.kind != "veth" or link.link_nsid is not None:
        return None
    return link.link or None


def unspliced(
    instance: Instance, process: ProcessRef, names: Iterable[str]
) -> tuple[str, ...]:
    """Those of a workload's interfaces that are its own still."""
    with (
        netns.opened(f"/proc/{process.pid}/ns/net") as fd,
        handles(instance, fd) as ends,
    ):
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
        kind=LinkKind.VETH,
        vex=vex,
        vin=vin,
        vex_ifindex=0,
        vin_ifindex=0,
        mac="",
        host_mac=None,
        mtu=0,
        addresses=(),
    )
    with (
        netns.opened(f"/proc/{process.pid}/ns/net") as fd,
        netns.netlink_in(fd) as nl,
    ):
        link = links.by_name(nl, interface)
        if link is None:
            return blank
        return _as(blank, link, l3.dump_addresses(nl, link.index))
