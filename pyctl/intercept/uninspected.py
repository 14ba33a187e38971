"""The interfaces of a workload that lead out of its namespace and are not spliced, and what can be done
about one of them.

In: an instance, a process. Out: Uninspected, each with the reason. I/O: rtnetlink in the workload's
namespace and in that of the host's end. What stands on top of a spliced interface (a tunnel, a bridge, a
macvlan) does not lead out by itself: its frames go through that one.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyctl.intercept.attach import Handles, handles
from pyctl.intercept.kinds.choose import KINDS
from pyctl.intercept.restore.master import unfit_master
from pyctl.intercept.steps.ops import ours
from pyctl.intercept.survey.costs import too_much_unasked
from pyctl.intercept.survey.peer import at_host_peer, host_side_numbers
from pyctl.intercept.survey.select import addressed
from pyctl.model.instance import Instance
from pyctl.model.workload import ProcessRef
from pyctl.platform.netlink import links
from pyctl.platform.netlink.links import Link
from pyctl.platform.process import netns_of

_LOWER_ELSEWHERE = frozenset({"macvtap", "ipvlan", "ipvtap", "vlan", "netkit"})


@dataclass(frozen=True)
class Uninspected:
    """An interface that leads out and is not inspected."""

    interface: str
    reason: str
    """Why it is not spliced: a clause without its subject."""


def uninspected(instance: Instance, process: ProcessRef) -> tuple[Uninspected, ...]:
    """Return the workload's uninspected interfaces. NotFoundError if the workload or enforcer is gone."""
    with netns_of(process) as fd, handles(instance, fd) as ends:
        view = _View(
            ends,
            links.nsid(ends.enforcer, fd),
            addressed(ends.workload),
            host_side_numbers(ends.workload, fd),
        )
        return tuple(
            Uninspected(link.name, reason)
            for link in links.dump(ends.workload)
            if (reason := _why(view, link))
        )


@dataclass(frozen=True)
class _View:
    """The facts about a workload that all checks need, read once: it may have thousands of interfaces."""

    ends: Handles
    nsid: int | None
    """The workload's, as the enforcer numbers it."""
    addressed: frozenset[int]
    host_sides: frozenset[int]


def _why(view: _View, link: Link) -> str | None:
    """Return why the interface is not inspected; None if it is, or leads nowhere."""
    why = None
    if link.kind in KINDS:
        if _leads_out(view, link) and not _is_spliced(view.ends, link, view.nsid):
            why = "it is not spliced" if link.up else "it is down, and not spliced yet"
            own = link.link_nsid not in view.host_sides
            if own and (much := too_much_unasked(view.ends.workload, link)):
                why = much
            if unfit := unfit_master(view.ends.workload, link):
                why = f"it is a port of {unfit}"
    elif not link.kind:
        why = "it is a physical interface"
    elif link.kind in _LOWER_ELSEWHERE and link.link_nsid is not None:
        why = f"it is of kind {link.kind}"
    elif link.kind == "tun" and link.index in view.addressed:
        why = "it is of kind tun, and leads to a process"
    return None if link.flags & links.IFF_LOOPBACK else why


def _is_spliced(ends: Handles, link: Link, workload_nsid: int | None) -> bool:
    if link.link_nsid is None:
        return False
    return ours(link, links.by_index(ends.enforcer, link.link), workload_nsid)


def _leads_out(view: _View, link: Link) -> bool:
    """Return whether a veth leads out. One to a container inside has no address and no host side."""
    out = link.index in view.addressed or link.link_nsid in view.host_sides
    return link.link_nsid is not None and out


def set_host_side(
    instance: Instance, process: ProcessRef, interface: str, *, up: bool
) -> bool:
    """Set the host's end of the interface up or down, even if it was spliced meanwhile; return True if it has
    one. Otherwise set the interface itself, which the workload may set up again.
    """
    with netns_of(process) as fd, handles(instance, fd) as ends:
        link = links.by_name(ends.workload, interface)
        if link is None:
            return True
        nl, cable, own_fd = ends.workload, link, fd
        if _is_spliced(ends, link, links.nsid(ends.enforcer, ends.workload_fd)):
            vin = links.by_index(ends.enforcer, link.link)
            vex = links.by_name(ends.enforcer, "vex" + vin.name[3:]) if vin else None
            if vex:
                nl, cable, own_fd = ends.enforcer, vex, ends.enforcer_fd
        with at_host_peer(instance, nl, cable, own_fd) as (there, peer):
            if there is not None and peer is not None:
                links.set_link(there, peer.index, up=up)
                return True
        links.set_link(ends.workload, link.index, up=up)
    return False
