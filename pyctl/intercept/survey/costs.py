"""What the move of an interface costs, weighed before anything is touched.

In: where the interface that moves is seen, and where what it carries is. Out: Costs, for people. I/O: reads
only. At an attach both are the workload's namespace; at a detach vex moves, and our interface carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyctl.errors import RefusedError
from pyctl.intercept.restore.snapshot import ROUTES_MAX
from pyctl.intercept.survey.peer import at_host_peer
from pyctl.model.instance import Instance
from pyctl.platform import netns
from pyctl.platform.bridge.spanning_tree import forward_delay
from pyctl.platform.netlink import l3
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import RawNetlink
from pyctl.platform.sockets import protocols as sockets

LONG_SECONDS = 1.0
"""A longer cut-off needs --force."""
UNASKED_ADDRESSES_MAX = 1024
UNASKED_ROUTES_MAX = 4 * UNASKED_ADDRESSES_MAX
"""The most of an interface that a workload makes itself, to be spliced without an order: the controller is busy with
them for about 0.2 s, and a workload may make such interfaces for ever. An address brings up to three routes.
"""


@dataclass(frozen=True)
class Place:
    """An interface, with a socket in its namespace."""

    nl: RawNetlink
    netns_fd: int
    link: Link


@dataclass(frozen=True)
class Cost:
    """A cost of the move."""

    what: str
    """A sentence."""
    seconds: float = 0.0
    """How many seconds the workload is cut off."""
    loses: bool = False
    """Something does not come back by itself."""

    @property
    def needs_force(self) -> bool:
        """Return whether the cost is too high to accept without --force."""
        return self.loses or self.seconds > LONG_SECONDS


def weigh(instance: Instance, moves: Place, carries: Place) -> tuple[Cost, ...]:
    """Return all costs that are known before; what is put back within milliseconds is no cost."""
    name = carries.link.name
    found = []
    host = at_host_peer(instance, moves.nl, moves.link, moves.netns_fd)
    with host as (there, peer):
        silent = forward_delay(there, peer) if there and peer else 0.0
    inside = forward_delay(carries.nl, carries.link)
    for whose, seconds in (("host", silent), ("workload", inside)):
        if seconds:
            what = f"the {whose}'s bridge runs a spanning tree (STP): it does not forward for {name} for {seconds:g} s"
            found.append(Cost(what, seconds=seconds))
    routes = len(l3.dump_routes_over(carries.nl, carries.link.index))
    if routes > ROUTES_MAX:
        what = f"{name} has {routes} routes, and only {ROUTES_MAX} are put back"
        found.append(Cost(what, loses=True))
    with netns.entered(carries.netns_fd):
        spoken = sockets.routing_protocols()
        bound = sockets.packet_sockets(carries.link.index)
    if spoken:
        what = f"the workload speaks {', '.join(spoken)}: routing sessions over {name} may end and begin anew"
        found.append(Cost(what))
    if bound:
        what = f"{bound} packet sockets are bound to {name} (tcpdump, a DHCP client): they hear nothing any more"
        found.append(Cost(what))
    return tuple(found)


def too_much_unasked(nl: RawNetlink, link: Link) -> str:
    """Return why an interface that its workload made itself is not spliced without an order, a clause; empty if it
    carries no more than others do.
    """
    bounds = (
        (UNASKED_ADDRESSES_MAX, "addresses", l3.dump_addresses),
        (UNASKED_ROUTES_MAX, "routes", l3.dump_routes_over),
    )
    for most, what, dump in bounds:
        if len(dump(nl, link.index)) > most:
            return (
                f"it has more than {most} {what}, which is too much to splice it unasked "
                f"(`segctl attach --interface {link.name}` does)"
            )
    return ""


def refuse_costs(link: Link, costs: Sequence[Cost], *, force: bool) -> tuple[str, ...]:
    """Raise RefusedError if a cost needs --force and `force` is not set; return the costs as sentences."""
    heavy = [cost.what for cost in costs if cost.needs_force]
    if heavy and not force:
        raise RefusedError(
            f"attaching {link.name} costs too much: {'; '.join(heavy)}",
            state="nothing was changed",
            advice="attach it at another time, or now with --force",
        )
    return tuple(cost.what for cost in costs)
