"""Give a workload its own interface back, or remove what is left of a workload that is
gone.

In: instance, process, port. Out: nothing. I/O: through platform and ops. What the
workload has NOW is what it keeps: addresses, routes, MTU or MAC may have changed since
the attach, so all is read from our interface again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from pyctl.errors import NotFoundError, SegctlError
from pyctl.intercept import offload_switch as classic
from pyctl.intercept.attach import (
    Handles,
    handles,
    marked_netns,
    port_addresses,
    port_of,
)
from pyctl.intercept.enforcer import fit_mtu
from pyctl.intercept.names import Mark, read_mark
from pyctl.intercept.restore import routes, snapshot
from pyctl.intercept.steps import apply, journal, plan
from pyctl.intercept.steps.ops import Site, ours
from pyctl.intercept.survey import obstacles
from pyctl.model.instance import Instance
from pyctl.model.workload import Offload, Port, ProcessRef
from pyctl.platform import netns
from pyctl.platform.inhabitants import search
from pyctl.platform.iproute import links
from pyctl.platform.iproute.client import IprouteClient, iproute_at
from pyctl.platform.netlink import links as raw_links
from pyctl.platform.netlink.links import Link


def unsplice(
    instance: Instance,
    process: ProcessRef,
    port: Port,
    *,
    ports_ready: Callable[[Port], None] | None = None,
    fault: apply.Fault | None = None,
    turns: contextlib.AbstractContextManager[object] | None = None,
    give_way: Callable[[], object] = lambda: None,
) -> list[str]:
    """Give the workload its interface back, the inverse of a Splice, and return a sentence for each thing lost.
    Does nothing if the port is not spliced.

    The datapath's rules go with our interface. If a later step fails, all is rolled back to the spliced state
    and `ports_ready` is called, because the ports then have no datapath; without `ports_ready` the error's text
    says so. A workload that is gone is cleaned up.

    Devices on top of our interface are deleted first, with their addresses and routes, which nobody could put
    back. live_state.lost_by_detach names them before.

    Several calls may run at once, for different workloads: the kernel waits for grace periods most of the
    time, and those of deletions run side by side. It moves an interface while it holds the lock of all
    networking, for 20 ms; a workload that is filled meanwhile waits so long at each of its steps. So from the
    move on only one goes on at a time: the one that holds `turns`. `give_way` is called now and then. Raises
    SegctlError.
    """
    try:
        with iproute_at(instance.netns) as ip:
            vex, vin = links.by_name(ip, port.vex), links.by_name(ip, port.vin)
    except NotFoundError:
        return []
    if port.vex in journal.port_names(instance.journal_dir):
        raise SegctlError(
            f"an interrupted splice of {port.interface} of process {process.pid} could not be finished",
            state="its journal and its events say how far it came",
            advice="the agent tries again with each attach and detach, and when it starts",
        )
    mark = read_mark(vex.alias) if vex else None
    if vex and (mark is None or mark.port != port.port_id):
        # The link has the same name but is another port.
        return []
    # Without vex (the host deleted its peer) there is nothing to give back.
    with contextlib.ExitStack() as turn, marked_netns(mark) as fd:
        if fd is None or mark is None:
            if vex or vin:
                cleanup(instance, port.vex, port.vin)
            return []
        ends = turn.enter_context(handles(instance, fd))
        link = our_link(ends, port)
        if link is None:
            elsewhere = turn.enter_context(_moved_to(ends, port))
            if elsewhere is not None:
                ends = turn.enter_context(handles(instance, elsewhere))
                link = our_link(ends, port)
        if link is None:
            # The workload threw our interface away; its own is all that is left to remove.
            cleanup(instance, port.vex, port.vin)
            return []
        whose = instance, process, port, link, mark, ends
        take_turn = partial(turn.enter_context, turns or contextlib.nullcontext())
        lost = _unsplice(*whose, ports_ready, fault, take_turn, give_way)
    fit_mtu(instance)
    return lost


@contextlib.contextmanager
def _moved_to(ends: Handles, port: Port) -> Iterator[int | None]:
    """Open the namespace that the workload moved our interface to, closed at the end; None if nobody can be
    seen to have it.
    """
    vin = raw_links.by_name(ends.enforcer, port.vin)
    number = vin.link_nsid if vin else None
    fd = None
    if number is not None:
        fd = search(lambda fd: raw_links.nsid(ends.enforcer, fd) == number)
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def our_link(ends: Handles, port: Port) -> Link | None:
    """Return the workload's end of vin, whatever its name is now; None if it is gone."""
    vin = raw_links.by_name(ends.enforcer, port.vin)
    link = raw_links.by_index(ends.workload, vin.link) if vin else None
    nsid = raw_links.nsid(ends.enforcer, ends.workload_fd)
    return link if link and ours(link, vin, nsid) else None


def _unsplice(
    instance: Instance,
    process: ProcessRef,
    port: Port,
    link: Link,
    mark: Mark,
    ends: Handles,
    ports_ready: Callable[[Port], None] | None,
    fault: apply.Fault | None,
    take_turn: Callable[[], object],
    give_way: Callable[[], object],
) -> list[str]:
    uppers = obstacles.delete_uppers(ends.workload, link)
    link = raw_links.by_index(ends.workload, link.index) or link
    # Offloads that we switched off are not the workload's choice.
    classic.switch(ends, link, port, Offload.ON)
    before = snapshot.read(ends.workload, ends.workload_fd, link)
    mark = replace(mark, index=link.index, interface=link.name)
    addresses = port_addresses(before.addresses)
    bare: list[Port] = []

    def back(vex_ifindex: int, vin_ifindex: int) -> None:
        again = port_of(
            mark, port.vex, port.vin, (vex_ifindex, vin_ifindex), before.link, addresses
        )
        bare.append(again)
        if ports_ready:
            ports_ready(again)

    site = Site(
        before,
        port.vex,
        port.vin,
        mark.text(),
        *ends,
        ports_ready=back,
        bulk=routes.prepare(before),
        take_turn=take_turn,
        lenient=True,
    )
    # Where the interface is, which may be another namespace by now than the process's.
    place = replace(process, netns=netns.identity(ends.workload_fd))
    cookie = netns.cookie(ends.workload_fd)
    record = journal.Record(
        "detach", place, cookie, port.vex, port.vin, mark.text(), before
    )
    steps = plan.detach_plan(before, port.vex, port.vin)
    path = journal.journal_path(instance.journal_dir, place, link.index)
    with journal.created(path, record) as book:
        tried = f"detaching {link.name} of process {process.pid}"
        try:
            with apply.Run(
                tried, "the workload is attached as before", steps, site, book, fault
            ) as run:
                run.commit(give_way)
        except SegctlError as error:
            if uppers:
                error.state += f"; {', '.join(uppers)} on top of it is deleted"
            if bare and ports_ready is None:
                error.state += "; its ports have no datapath until it is attached again"
            raise
    return list(dict.fromkeys(site.lost))


def cleanup(instance: Instance, *names: str) -> None:
    """Delete the ports of a workload that is gone; the host peer goes with vex. Idempotent."""
    try:
        with iproute_at(instance.netns) as ip:
            delete_ports(ip, *names)
    except NotFoundError:
        return
    fit_mtu(instance)


def delete_ports(ip: IprouteClient, *names: str) -> None:
    """Delete the links of these names that have our mark; missing links are no error."""
    for name in names:
        link = links.by_name(ip, name)
        if link and read_mark(link.alias):
            links.delete(ip, link.index)
