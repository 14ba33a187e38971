"""Put back the routes that an interface took along.

In: a socket in the workload's namespace, the Snapshot, and what was prepared of it before the workload was cut
off. Out: what could not be put back, a sentence each. I/O: rtnetlink. What is there is compared with what was,
and only the difference changed.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from pyctl.intercept.restore.snapshot import (
    PARK_PRIORITY,
    Snapshot,
    is_way_out,
    routes_now,
)
from pyctl.platform.netlink import advertised, l3, links, nexthops
from pyctl.platform.netlink.raw import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    NetlinkError,
    RawNetlink,
    attrs,
    u32,
)
from pyctl.platform.netlink.route_text import nexthop_text, route_text

_LATER = frozenset(
    {
        *(errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.ENETDOWN),
        *(errno.ENOENT, errno.ENODEV),
    }
)
"""The errors for a route whose gateway does not resolve yet, or whose interface has just gone."""
PASSES_MAX = 16
"""The most passes; chains of gateways are not longer."""
MANY = 500
_FIRST_MAX = 1000


@dataclass(frozen=True)
class Bulk:
    """A set of many routes as ready messages, so that the workload is cut off for less time."""

    first: tuple[Message, ...] = ()
    """Default routes, and before them what their gateways may lie behind."""
    rest: tuple[Message, ...] = ()


def prepare(snapshot: Snapshot) -> Bulk:
    """Return messages for the interface's own routes if there are many. Routes that share a place with
    another route are left out, because their order counts; `routes` restores these, and all if there are few.
    """
    index = snapshot.link.index
    own = [
        body
        for body in snapshot.routes
        if l3.route_oifs(body) == {index}
        and not (l3.made_by_kernel(body) or l3.made_by_advertisement(body))
    ]
    if len(own) < MANY:
        return Bulk()
    slots = Counter(map(l3.route_slot, snapshot.routes))
    alone = [body for body in own if slots[l3.route_slot(body)] == 1]
    near = [body for body in alone if not l3.needs_gateway(body)]
    far = [body for body in alone if l3.needs_gateway(body)]
    defaults = [body for body in far if l3.is_default(body)]
    others = [body for body in far if not l3.is_default(body)]
    return Bulk(
        tuple(map(l3.route_message, near[:_FIRST_MAX] + defaults)),
        tuple(map(l3.route_message, near[_FIRST_MAX:] + others)),
    )


def ways_out(nl: RawNetlink, snapshot: Snapshot, bulk: Bulk) -> list[str]:
    """Restore nexthop objects, and default routes of a Bulk first: most packets need no other."""
    lost = _nexthops(nl, snapshot)
    nl.batch(bulk.first)
    return lost


def advertise(snapshot: Snapshot, bodies: Collection[bytes]) -> list[str]:
    """Restore these advertised routes in the thread's namespace; return a sentence for each lost one."""
    return [
        f"{snapshot.link.name} lost its advertised route {route_text(body)}: {why}"
        for body, why in (advertised.put_back(bodies) if bodies else ())
    ]


def _is_park(body: bytes) -> bool:
    return u32(attrs(body[12:]).get(l3.RTA_PRIORITY)) == PARK_PRIORITY


def _route_changes(
    nl: RawNetlink, snapshot: Snapshot, refused: Collection[bytes]
) -> tuple[list[bytes], list[bytes]]:
    """Return (missing routes, routes in the way); `refused` ones do not count as missing."""
    index = snapshot.link.index if snapshot.routes_over else None
    # The kernel shows routes made by an ioctl like any others.
    told = set(map(advertised.place, snapshot.advertised))
    now = [
        body
        for body in routes_now(nl, index)
        if not (told and body[0] == socket.AF_INET6 and advertised.place(body) in told)
    ]
    # Most routes are byte for byte the same.
    was = frozenset(snapshot.routes)
    if was.issubset(now) and not any(
        snapshot.link.index in l3.route_oifs(body) for body in now if body not in was
    ):
        return [], []
    there = {l3.route_key(body): body for body in now}
    wanted = {l3.route_key(body): body for body in snapshot.routes}
    missing = [
        body
        for key, body in wanted.items()
        if key not in there and not l3.made_by_kernel(body) and body not in refused
    ]
    gone = _gone(nl, set().union(*map(l3.route_oifs, missing)), snapshot)
    missing = [body for body in missing if l3.route_oifs(body).isdisjoint(gone)]
    if missing:
        missing += _followers(missing, wanted, there)
    slots = {l3.route_slot(body) for body in missing}
    again = {l3.route_key(body) for body in missing}
    extra = [
        body
        for key, body in there.items()
        if (key not in wanted or key in again)
        and (l3.comes_along(body) or not l3.made_by_kernel(body))
        and not (l3.made_by_advertisement(body) or _is_park(body))
        and (snapshot.link.index in l3.route_oifs(body) or l3.route_slot(body) in slots)
    ]
    return sorted(missing, key=l3.needs_gateway), extra


def _gone(nl: RawNetlink, over: set[int], snapshot: Snapshot) -> set[int]:
    """Return those of these interfaces that are gone; the snapshot's own does not count."""
    others = over - {0, snapshot.link.index}
    return {index for index in others if links.by_index(nl, index) is None}


def _followers(
    missing: list[bytes], wanted: dict[bytes, bytes], there: dict[bytes, bytes]
) -> list[bytes]:
    """Return standing routes that must be added again after a missing one: of IPv4 routes with one prefix and
    metric the first is used, whatever interface it leads over.
    """
    gone: set[bytes] = set()
    followers = []
    absent = {l3.route_key(body) for body in missing}
    for key, body in wanted.items():
        if body[0] != socket.AF_INET:
            continue
        slot = l3.route_slot(body)
        if key in absent:
            gone.add(slot)
        elif key in there and slot in gone and not l3.made_by_kernel(body):
            followers.append(body)
    return followers


def routes(nl: RawNetlink, snapshot: Snapshot, bulk: Bulk) -> list[str]:
    """Restore every route of every table that went with the interface; return what is lost, a sentence each.

    On-link routes go first. Routes that do not resolve yet are tried again as long as others succeed, at last
    with their gateways made reachable. After PASSES_MAX passes it stops, so that a workload that changes its
    routes cannot hold it; VERIFY tells what differs. A route that the kernel refuses for good is lost or
    becomes an onlink route; NetlinkError if it was the only way out.
    """
    # Refused ones are found missing below.
    nl.batch(bulk.rest)
    before = None
    refused: dict[bytes, NetlinkError] = {}
    for _ in range(PASSES_MAX):
        missing, extra = _route_changes(nl, snapshot, refused.keys())
        if not missing and not extra:
            break
        messages: list[Message] = [l3.delete_route(body) for body in extra]
        wanted = [l3.route_message(body) for body in missing]
        stuck = len(missing) == before
        ways = set().union(*map(l3.gateways, missing)) if stuck else set()
        with _reachable(nl, ways):
            results = nl.batch(messages + wanted)[len(messages) :]
        if stuck and not any(results):
            break
        final = frozenset() if stuck else _LATER | {errno.EEXIST}
        refused |= {
            body: error
            for body, error in zip(missing, results, strict=True)
            if error and error.errno not in final
        }
        before = len(missing)
    return _told(nl, snapshot, refused)


def _told(
    nl: RawNetlink, snapshot: Snapshot, refused: dict[bytes, NetlinkError]
) -> list[str]:
    lost = []
    carried = (*snapshot.addresses, *snapshot.loopback_addresses)
    own = {l3.address_raw(body)[1] for body in carried}
    for body, error in refused.items():
        by_force = l3.onlink_message(body, own)
        (still,) = nl.batch([by_force]) if by_force else (error,)
        said = f"{snapshot.link.name}: its route {route_text(body)}"
        if still is None:
            lost.append(f"{said} leads over its gateway as if that were on the link")
            continue
        lost.append(f"{said} is lost: {error}")
        if is_way_out(body) and not any(
            other[0] == body[0] and is_way_out(other)
            for other in routes_now(nl, snapshot.link.index)
        ):
            raise NetlinkError(error.errno or 0, lost[-1])
    return lost


@contextlib.contextmanager
def _reachable(
    nl: RawNetlink, gateways: Iterable[tuple[int, bytes, int]]
) -> Iterator[None]:
    """Make these gateways reachable on the link while the block runs. An old route may stand though the
    address that made its gateway reachable has gone; the kernel takes no new one like it.
    """
    bodies = [l3.host_route(*gateway) for gateway in sorted(gateways)]
    create = NLM_F_CREATE | NLM_F_EXCL
    results = nl.batch([Message(l3.RTM_NEWROUTE, body, create) for body in bodies])
    try:
        yield
    finally:
        added = [body for body, no in zip(bodies, results, strict=True) if no is None]
        nl.batch([l3.delete_route(body) for body in added])


def _nexthops(nl: RawNetlink, snapshot: Snapshot) -> list[str]:
    if not snapshot.nexthops:
        return []
    there = {nexthops.key(body) for body in nexthops.dump(nl)}
    missing = [body for body in snapshot.nexthops if nexthops.key(body) not in there]
    gone = _gone(nl, set(map(nexthops.oif, missing)), snapshot)
    missing = [body for body in missing if nexthops.oif(body) not in gone]
    messages = [nexthops.message(body) for body in missing]
    refused = nl.batch(messages)
    if any(refused):
        ways = set().union(*map(nexthops.gateways, missing))
        with _reachable(nl, ways):
            refused = nl.batch(messages)
    return [
        f"{snapshot.link.name} lost its nexthop {nexthop_text(body)}: {why}"
        for body, why in zip(missing, refused, strict=True)
        if why
    ]
