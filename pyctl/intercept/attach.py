"""Splice one interface of a running workload.

In: instance, process, interface, port id. Out: a Splice, which is taken step by step; model.Port. I/O: through
platform and ops. Everything that can be read or refused is, before the first change: then the workload is cut
off for the time of one namespace move and a handful of batched requests.

What the kernel ties to the device itself is lost, and cannot be given back from
outside: packet sockets bound to the interface (a running tcpdump). The multicast groups
of open sockets are joined again.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from pyctl.errors import NotFoundError, RefusedError
from pyctl.intercept.enforcer import ensure_enforcer, fit_mtu
from pyctl.intercept.names import Mark, port_names, read_mark
from pyctl.intercept.restore import put_back, routes, snapshot
from pyctl.intercept.restore.master import refuse_master
from pyctl.intercept.steps import apply, journal, plan
from pyctl.intercept.steps.ops import Site, ours
from pyctl.intercept.survey import select
from pyctl.intercept.survey.costs import Place, refuse_costs, weigh
from pyctl.intercept.survey.obstacles import strip
from pyctl.intercept.survey.peer import host_peer_mac
from pyctl.intercept.survey.segments import segment_of
from pyctl.model.instance import Instance
from pyctl.model.workload import Port, ProcessRef
from pyctl.platform import netns
from pyctl.platform.inhabitants import find
from pyctl.platform.netlink import l3, links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import RawNetlink
from pyctl.platform.process import netns_of

_TRIES = 16
"""Tries to find free names; a hash has 65,536 values."""
FORCED = "attach it with --force: then it is inspected, without what cannot be put back"
ADDRESSES_MAX = 256
"""The most addresses of a port. What a workload adds to its interface fills the node's map and every policy
that names its group, so more would be an attack on the others.
"""


class Handles(NamedTuple):
    """The open sockets and namespace descriptors of one splice, in the order of Site's fields."""

    workload: RawNetlink
    workload_fd: int
    enforcer: RawNetlink
    enforcer_fd: int


@contextlib.contextmanager
def handles(instance: Instance, workload_fd: int) -> Iterator[Handles]:
    """Open the handles of a splice, closed at the end; NotFoundError if there is no enforcer namespace."""
    with contextlib.ExitStack() as stack:
        enforcer_fd = stack.enter_context(netns.opened(instance.netns))
        enforcer = stack.enter_context(netns.raw_in(enforcer_fd))
        workload = stack.enter_context(netns.raw_in(workload_fd, put_back.GROUPS))
        yield Handles(workload, workload_fd, enforcer, enforcer_fd)


@contextlib.contextmanager
def marked_netns(mark: Mark | None) -> Iterator[int | None]:
    """Open the workload's namespace that a mark names, closed at the end; None if it is gone."""
    fd = find(mark.netns, mark.cookie, mark.pid) if mark else None
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


@dataclass
class Splice:
    """One interface's splice, in the steps that the controller takes: `prepare`, `cut`, `commit`. An interface
    that is spliced already is in its place: both do nothing.
    """

    port: Port
    """As it will be. The indexes of vex and vin are known after `cut`."""
    segment: int = 0
    """The bridge at the host's side (see survey.segments), as long as the port does not exist."""

    def cut(self, port: Port) -> Port:
        """Replace the interface, up to where the datapath must be set on both ports, which are down; return
        `port` with their indexes.
        """
        return port

    def commit(self, give_way: Callable[[], object] = lambda: None) -> list[str]:
        """Set the ports up and give the interface back what it had; return a sentence for each thing lost.
        `give_way` is called now and then.
        """
        del give_way
        return []


@dataclass(kw_only=True)
class _NewSplice(Splice):
    """The splice of an interface that is not spliced yet."""

    instance: Instance
    process: ProcessRef
    mark: Mark
    ends: Handles
    told: list[str]
    """What the survey says: things that get lost, and costs."""
    strips: bool
    force: bool
    fault: apply.Fault | None
    under_way: contextlib.ExitStack
    """Its end takes all back that was not committed."""

    def cut(self, port: Port) -> Port:
        ends, mark = self.ends, self.mark
        # The last look: what the workload changed since the survey is kept too.
        link = links.by_index(ends.workload, mark.index)
        if link is None:
            raise _no_interface(self.process, mark.interface)
        if self.strips:
            link = strip(ends.workload, link, ends.workload_fd)
        mark = replace(mark, interface=link.name)
        before = snapshot.read(ends.workload, ends.workload_fd, link)
        names = port.vex, port.vin
        self._site = Site(
            before,
            *names,
            mark.text(),
            *ends,
            bulk=routes.prepare(before),
            lenient=self.force,
            force=self.force,
            advice="" if self.force else FORCED,
        )
        record = journal.Record(
            "attach", self.process, mark.cookie, *names, mark.text(), before
        )
        path = journal.journal_path(self.instance.journal_dir, self.process, link.index)
        fit_mtu(self.instance, link.mtu)
        book = self.under_way.enter_context(journal.created(path, record))
        self._run = self.under_way.enter_context(
            apply.Run(
                f"attaching {link.name} of process {self.process.pid}",
                "the workload is as it was",
                plan.attach_plan(before, *names),
                self._site,
                book,
                self.fault,
            )
        )
        self._run.until(plan.Op.PORTS_READY)
        vex, vin = self._site.indexes
        return replace(
            port,
            interface=link.name,
            mac=link.mac,
            mtu=link.mtu,
            vex_ifindex=vex,
            vin_ifindex=vin,
        )

    def commit(self, give_way: Callable[[], object] = lambda: None) -> list[str]:
        self._run.commit(give_way)
        return [*self.told, *dict.fromkeys(self._site.lost)]


@contextlib.contextmanager
def prepare(
    instance: Instance,
    process: ProcessRef,
    interface: str,
    port_id: int,
    *,
    force: bool = False,
    fault: apply.Fault | None = None,
) -> Iterator[Splice]:
    """Survey one interface of the workload and give the splice that replaces it by our veth; nothing of the
    workload has been touched then. An end of the block by an exception takes back what was cut.

    An interface that is spliced already stays as it is; its port has its own port id. Unless `force`, the
    splice is refused if it would destroy what hangs on the interface, or if the kernel does not take an
    address or a way out back.

    The workload is cut off from within `cut` to the middle of `commit`: for the namespace move and little more,
    about 50 ms. Raises NotFoundError, RefusedError (nothing was touched), SegctlError (rolled back; its text
    says so).
    """
    select.refuse_netns(instance, process)
    with netns_of(process) as fd:
        ensure_enforcer(instance)
        with handles(instance, fd) as ends, contextlib.ExitStack() as under_way:
            link = _named(ends.workload, process, interface)
            known = existing_port(ends, process, link)
            if known:
                yield Splice(known)
                return
            _refuse_anothers(ends, process, link)
            lost, costs = _survey(instance, ends.workload, fd, link, force=force)
            vex, vin = _free_names(ends, process.pid, link.name)
            mark = Mark(
                port=port_id,
                pid=process.pid,
                start=process.start_time,
                netns=process.netns,
                cookie=netns.cookie(fd),
                interface=link.name,
                index=link.index,
                kind=link.kind,
                host_mac=host_peer_mac(instance, ends.workload, link, fd),
            )
            # Ours has no XDP program, whatever the workload's own had.
            ours_will_be = replace(link, xdp=False)
            addresses = port_addresses(l3.dump_addresses(ends.workload, link.index))
            yield _NewSplice(
                port_of(mark, vex, vin, (0, 0), ours_will_be, addresses),
                segment_of(ends.workload, link),
                instance=instance,
                process=process,
                mark=mark,
                ends=ends,
                told=[*lost, *costs],
                strips=bool(lost),
                force=force,
                fault=fault,
                under_way=under_way,
            )


def _named(nl: RawNetlink, process: ProcessRef, interface: str) -> Link:
    link = links.by_name(nl, interface)
    if link is None:
        raise _no_interface(process, interface)
    return link


def _no_interface(process: ProcessRef, interface: str) -> NotFoundError:
    return NotFoundError(
        f"process {process.pid} has no interface {interface}", state=select.UNTOUCHED
    )


def _survey(
    instance: Instance, nl: RawNetlink, netns_fd: int, link: Link, *, force: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what splicing the interface loses, and what it costs, a sentence each; RefusedError if it must
    not be.
    """
    refuse_master(nl, link)
    lost = select.refuse_link(nl, link, netns_fd, force=force)
    here = Place(nl, netns_fd, link)
    return lost, refuse_costs(link, weigh(instance, here, here), force=force)


def _free_names(ends: Handles, pid: int, interface: str) -> tuple[str, str]:
    """Return free names for the ports. The usual names may be taken: a workload can choose interface names
    with equal hashes, and one that goes on with another process keeps the ended one's pid in its names.
    """
    vex, vin = port_names(pid, interface)
    for _ in range(_TRIES):
        if not (_is_taken(ends, vin) or _is_taken(ends, vex)):
            return vex, vin
        vex, vin = port_names(pid, interface, secrets.token_hex(8))
    raise RefusedError(
        f"no name for the ports of {interface} of process {pid} is free",
        state=select.UNTOUCHED,
        advice="detach workloads that are not needed",
    )


def _is_taken(ends: Handles, name: str) -> bool:
    """Return whether a living workload's port has the name; delete a port whose workload is gone."""
    link = links.by_name(ends.enforcer, name)
    if link is None:
        return False
    mark = read_mark(link.alias)
    with marked_netns(mark) as alive:
        if mark is None or alive is not None:
            return True
    links.delete(ends.enforcer, link.index)
    return False


def existing_port(ends: Handles, process: ProcessRef, link: Link) -> Port | None:
    """Return the port of an interface that is spliced already; None if it is not spliced."""
    vin = _vin_of(ends, link)
    mark = read_mark(vin.alias) if vin else None
    cookie = netns.cookie(ends.workload_fd)
    if vin is None or mark is None or not mark.is_of(process.netns, cookie):
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
    if link.kind != links.VETH or link.link_nsid is None:
        return None
    vin = links.by_index(ends.enforcer, link.link)
    nsid = links.nsid(ends.enforcer, ends.workload_fd)
    return vin if ours(link, vin, nsid) else None


def _refuse_anothers(ends: Handles, process: ProcessRef, link: Link) -> None:
    """Raise RefusedError if the interface is a spliced one of another workload, which was moved here."""
    vin = _vin_of(ends, link)
    if vin is None:
        return
    mark = read_mark(vin.alias)
    owner = f"process {mark.pid}" if mark else f"another workload ({vin.name})"
    raise RefusedError(
        f"{link.name} of process {process.pid} is the inspected interface of {owner}, moved here",
        state=select.UNTOUCHED,
        advice="detach that workload first",
    )


def port_addresses(bodies: Sequence[bytes]) -> tuple[str, ...]:
    """Return the addresses as `address/length`, without DAD duplicates, at most ADDRESSES_MAX."""
    own = (body for body in bodies if not l3.is_duplicate(body))
    return tuple(l3.address_text(body) for body in islice(own, ADDRESSES_MAX))


def port_of(
    mark: Mark,
    vex: str,
    vin: str,
    indexes: tuple[int, int],
    link: Link,
    addresses: tuple[str, ...],
) -> Port:
    """Return the Port that a mark and the workload's interface describe; indexes: (vex, vin)."""
    return Port(
        port_id=mark.port,
        interface=link.name,
        kind=mark.kind,
        vex=vex,
        vin=vin,
        vex_ifindex=indexes[0],
        vin_ifindex=indexes[1],
        mac=link.mac,
        host_mac=mark.host_mac,
        mtu=link.mtu,
        addresses=addresses,
        xdp=link.xdp,
    )


def preview(
    instance: Instance, process: ProcessRef, interface: str, *, force: bool = False
) -> tuple[str, ...]:
    """Return the plan for one interface in words, for --dry-run; refuses as `prepare` does and only reads."""
    select.refuse_netns(instance, process)
    with netns_of(process) as fd, netns.raw_in(fd) as nl:
        link = _named(nl, process, interface)
        lost, costs = _survey(instance, nl, fd, link, force=force)
        before = snapshot.read(nl, fd, link)
        steps = plan.attach_plan(before, *port_names(process.pid, interface))
        return (
            *(f"lose: {sentence}" for sentence in lost),
            *(f"cost: {sentence}" for sentence in costs),
            *plan.describe(steps),
        )
