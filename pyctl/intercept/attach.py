"""Splice one interface of a running workload.

In: instance, process, interface, port id. Out: model.Port. I/O: through platform and
ops. Everything that can be read or refused is, before the first change: then the
workload is cut off for the time of one namespace move and a handful of batched
requests.

What the kernel ties to the device itself is lost, and cannot be given back from
outside: packet sockets bound to the interface (a running tcpdump) and the multicast
groups that open sockets joined on it. Seen: the group is missing from `ip maddr` after
a splice.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pyctl.errors import NotFoundError, RefusedError
from pyctl.intercept import apply, journal, plan, refill, select, snapshot
from pyctl.intercept.enforcer import ensure_enforcer, fit_mtu
from pyctl.intercept.names import Mark, port_names, read_mark
from pyctl.intercept.ops import Site, ours
from pyctl.intercept.peer import host_peer_mac
from pyctl.model.instance import Instance
from pyctl.model.workload import LinkKind, Port, ProcessRef
from pyctl.platform import l3, links, netns
from pyctl.platform.links import Link
from pyctl.platform.netlink import NetlinkSocket
from pyctl.platform.process import netns_of

ADDRESSES_MAX = 256
"""A port's own. What a workload adds to its interface fills the node's map and every policy that
names its group: more than this would be an attack on the others.
"""


@dataclass(frozen=True)
class Handles:
    """The open ends of one splice."""

    workload: NetlinkSocket
    workload_fd: int
    enforcer: NetlinkSocket
    enforcer_fd: int


@contextlib.contextmanager
def handles(instance: Instance, workload_fd: int) -> Iterator[Handles]:
    """Handles, closed at the end; NotFoundError where there is no enforcer namespace."""
    with contextlib.ExitStack() as stack:
        enforcer_fd = stack.enter_context(netns.opened(instance.netns))
        enforcer = stack.enter_context(netns.netlink_in(enforcer_fd))
        workload = stack.enter_context(netns.netlink_in(workload_fd, refill.GROUPS))
        yield Handles(workload, workload_fd, enforcer, enforcer_fd)


def splice(
    instance: Instance,
    process: ProcessRef,
    interface: str,
    port_id: int,
    ports_ready: Callable[[Port], None],
    *,
    fault: apply.Fault | None = None,
) -> Port:
    """Put our veth in the place of one interface.

    `ports_ready` is called with the port once vex and vin exist and before they are up:
    the datapath is set there, and an exception of its own rolls everything back. An
    interface that is spliced already is left as it is; `ports_ready` is called again,
    and the port that it has is returned, with its own port id.

    Blocks for about 50 ms, of which the workload is cut off for the namespace move and
    little more. Raises NotFoundError, RefusedError (nothing was touched), SegctlError
    (rolled back; its text says so).
    """
    select.refuse_netns(instance, process)
    with netns_of(process) as fd:
        ensure_enforcer(instance)
        with handles(instance, fd) as ends:
            link = links.by_name(ends.workload, interface)
            if link is None:
                raise NotFoundError(
                    f"process {process.pid} has no interface {interface}",
                    state=select.UNTOUCHED,
                )
            known = existing_port(ends, process, link)
            if known:
                ports_ready(known)
                return known
            select.refuse_link(ends.workload, link, fd)
            return _splice(instance, process, link, port_id, ports_ready, ends, fault)


def _splice(
    instance: Instance,
    process: ProcessRef,
    link: Link,
    port_id: int,
    ports_ready: Callable[[Port], None],
    ends: Handles,
    fault: apply.Fault | None,
) -> Port:
    vex, vin = port_names(process.pid, link.name)
    _clear_names(ends, vex, vin)
    mark = Mark(
        port=port_id,
        pid=process.pid,
        start=process.start_time,
        netns=process.netns,
        cookie=netns.cookie(ends.workload_fd),
        interface=link.name,
        index=link.index,
        kind=link.kind,
        host_mac=host_peer_mac(instance, ends.workload, link, ends.workload_fd),
    )
    before = snapshot.read(ends.workload, ends.workload_fd, link)
    steps = plan.attach_plan(before, vex, vin)
    addresses = port_addresses(before.addresses)
    made: list[Port] = []

    def ready(vex_ifindex: int, vin_ifindex: int) -> None:
        made.append(
            port_of(mark, vex, vin, (vex_ifindex, vin_ifindex), before.link, addresses)
        )
        ports_ready(made[-1])

    site = Site(
        before,
        vex,
        vin,
        mark.text(),
        ends.workload,
        ends.workload_fd,
        ends.enforcer,
        ends.enforcer_fd,
        ports_ready=ready,
    )
    record = journal.Record(
        "attach", process, mark.cookie, vex, vin, mark.text(), before
    )
    path = journal.journal_path(instance.journal_dir, process, link.index)
    fit_mtu(instance, link.mtu)
    with journal.created(path, record) as book:
        tried = f"attaching {link.name} of process {process.pid}"
        apply.run(tried, "the workload is as it was", steps, site, book, fault)
    return made[-1]


def _clear_names(ends: Handles, vex: str, vin: str) -> None:
    """Ports of a workload that is gone, whose pid was used again, make room.

    Raises RefusedError where the names are a living workload's.
    """
    for name in (vin, vex):
        link = links.by_name(ends.enforcer, name)
        if link is None:
            continue
        mark = read_mark(link.alias)
        alive = netns.find(mark.netns, mark.cookie, mark.pid) if mark else None
        if mark is None or alive is not None:
            if alive is not None:
                os.close(alive)
            raise RefusedError(
                f"the port name {name} is taken already",
                state=select.UNTOUCHED,
                advice="detach the workload first",
            )
        links.delete(ends.enforcer, link.index)


def existing_port(ends: Handles, process: ProcessRef, link: Link) -> Port | None:
    """The port of an interface that is spliced already, None where it is not."""
    vin = _vin_of(ends, link)
    mark = read_mark(vin.alias) if vin else None
    if vin is None or mark is None:
        return None
    vex = links.by_name(ends.enforcer, "vex" + vin.name[3:])
    if vex is None:
        raise RefusedError(
            f"{link.name} of process {process.pid} is ours, but its original interface is gone",
            state=select.UNTOUCHED,
            advice="create the workload again",
        )
    addresses = port_addresses(l3.dump_addresses(ends.workload, link.index))
    return port_of(mark, vex.name, vin.name, (vex.index, vin.index), link, addresses)


def _vin_of(ends: Handles, link: Link) -> Link | None:
    if link.kind != "veth" or link.link_nsid is None:
        return None
    vin = links.by_index(ends.enforcer, link.link)
    nsid = links.nsid(ends.workload, ends.enforcer_fd)
    return vin if ours(link, vin, nsid) else None


def port_addresses(bodies: Sequence[bytes]) -> tuple[str, ...]:
    """`address/length` of each; of more than ADDRESSES_MAX the first ones."""
    return tuple(l3.address_text(body) for body in bodies[:ADDRESSES_MAX])


def port_of(
    mark: Mark,
    vex: str,
    vin: str,
    indexes: tuple[int, int],
    link: Link,
    addresses: tuple[str, ...],
) -> Port:
    """The Port that a mark and the workload's interface describe; indexes: (vex, vin)."""
    return Port(
        port_id=mark.port,
        interface=link.name,
        kind=LinkKind(mark.kind),
        vex=vex,
        vin=vin,
        vex_ifindex=indexes[0],
        vin_ifindex=indexes[1],
        mac=link.mac,
        host_mac=mark.host_mac,
        mtu=link.mtu,
        addresses=addresses,
    )


def preview(instance: Instance, process: ProcessRef, interface: str) -> tuple[str, ...]:
    """The plan for one interface in words, for --dry-run; refuses as `splice` does.
    Reads only.
    """
    select.refuse_netns(instance, process)
    with netns_of(process) as fd, netns.netlink_in(fd) as nl:
        link = links.by_name(nl, interface)
        if link is None:
            raise NotFoundError(
                f"process {process.pid} has no interface {interface}",
                state=select.UNTOUCHED,
            )
        select.refuse_link(nl, link, fd)
        before = snapshot.read(nl, fd, link)
        return plan.describe(
            plan.attach_plan(before, *port_names(process.pid, interface))
        )
