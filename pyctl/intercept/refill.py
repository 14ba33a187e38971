"""Put back what an interface carried: names, addresses, routes, neighbours.

In: a socket in the workload's namespace, the Snapshot. Out: nothing. I/O: rtnetlink.
Each function compares what is there with what was, and changes only the difference. The
interface is ours or the original; both stand at the same index.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable, Iterator

from pyctl.intercept.snapshot import PARK_PRIORITY, Snapshot
from pyctl.platform import l3, links
from pyctl.platform.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    NetlinkSocket,
    attrs,
    u32,
)

GROUPS = (1, 7, 9, 11)
"""RTNLGRP_LINK, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE"""
SETTLE_SECONDS = 3.0
_LATER = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.ENETDOWN, errno.ENOENT}
)
"""What a route is refused with whose gateway does not resolve yet."""


def link_up(nl: NetlinkSocket, snapshot: Snapshot) -> None:
    """Alternative names, and up where it was."""
    link = snapshot.link
    now = links.by_index(nl, link.index)
    missing = tuple(name for name in link.altnames if now and name not in now.altnames)
    messages = [links.altname_message(link.index, missing, add=True)] if missing else []
    messages.append(links.set_message(link.index, up=link.up))
    for refused in nl.batch(messages):
        if refused:
            raise refused


def addresses(nl: NetlinkSocket, snapshot: Snapshot) -> None:
    """Every address, in the order it had, usable at once."""
    _addresses(nl, snapshot)
    if any(l3.makes_addresses(body) for body in snapshot.addresses):
        _addresses(nl, snapshot)


def _addresses(nl: NetlinkSocket, snapshot: Snapshot) -> None:
    wanted = {l3.address_key(body): body for body in snapshot.addresses}
    there = {
        l3.address_key(body): body
        for body in l3.dump_addresses(nl, snapshot.link.index)
    }
    messages = [l3.delete_address(there[key]) for key in there if key not in wanted]
    for key, body in wanted.items():
        if key not in there:
            messages += l3.address_messages(body)
    for refused in nl.batch(messages):
        if refused and refused.errno != errno.EEXIST:
            raise refused


def _is_park(body: bytes) -> bool:
    return u32(attrs(body[12:]).get(l3.RTA_PRIORITY)) == PARK_PRIORITY


def _route_changes(
    nl: NetlinkSocket, snapshot: Snapshot
) -> tuple[list[bytes], list[bytes]]:
    """(missing, in the way)."""
    there = {l3.route_key(body): body for body in l3.dump_routes(nl)}
    wanted = {l3.route_key(body): body for body in snapshot.routes}
    missing = [
        body
        for key, body in wanted.items()
        if key not in there and not l3.made_by_kernel(body)
    ]
    missing += _followers(missing, wanted, there)
    slots = {l3.route_slot(body) for body in missing}
    again = {l3.route_key(body) for body in missing}
    extra = [
        body
        for key, body in there.items()
        if (key not in wanted or key in again)
        and not l3.made_by_kernel(body)
        and not _is_park(body)
        and (snapshot.link.index in l3.route_oifs(body) or l3.route_slot(body) in slots)
    ]
    return sorted(missing, key=l3.needs_gateway), extra


def _followers(
    missing: list[bytes], wanted: dict[bytes, bytes], there: dict[bytes, bytes]
) -> list[bytes]:
    """Routes that stand, and must come again behind a missing one: of IPv4 routes with
    one prefix and metric the first is used, whatever interface it leads over.
    """
    gone: set[tuple[object, ...]] = set()
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


def routes(nl: NetlinkSocket, snapshot: Snapshot) -> None:
    """Every route of every table that went with the interface, nexthop objects before
    them.

    On-link routes go first; what still does not resolve is tried again as long as
    others get through, at last with its gateways made reachable. Raises NetlinkError
    for a route that the kernel refuses for good.
    """
    _nexthops(nl, snapshot)
    before = None
    while True:
        missing, extra = _route_changes(nl, snapshot)
        if not missing and not extra:
            return
        messages: list[Message] = [l3.delete_route(body) for body in extra]
        wanted = [l3.route_message(body) for body in missing]
        if len(missing) == before:
            ways = set().union(*map(l3.gateways, missing))
            with _reachable(nl, ways):
                results = nl.batch(messages + wanted)
        else:
            results = nl.batch(messages + wanted)
        refused = [error for error in results[len(messages) :] if error]
        final = [
            e for e in refused if e.errno not in _LATER and e.errno != errno.EEXIST
        ]
        if final:
            raise final[0]
        if len(missing) == before:
            if refused:
                raise refused[0]
            return
        before = len(missing)


@contextlib.contextmanager
def _reachable(
    nl: NetlinkSocket, gateways: Iterable[tuple[int, bytes, int]]
) -> Iterator[None]:
    """For as long, these are on the link. A route stands that was made when they were,
    though the address that made them so has gone; the kernel takes no new one like it.
    """
    bodies = [l3.host_route(*gateway) for gateway in sorted(gateways)]
    create = NLM_F_CREATE | NLM_F_EXCL
    results = nl.batch([Message(l3.RTM_NEWROUTE, body, create) for body in bodies])
    try:
        yield
    finally:
        added = [body for body, no in zip(bodies, results, strict=True) if no is None]
        for refused in nl.batch([l3.delete_route(body) for body in added]):
            if refused:
                raise refused


def _nexthops(nl: NetlinkSocket, snapshot: Snapshot) -> None:
    if not snapshot.nexthops:
        return
    there = {l3.nexthop_key(body) for body in l3.dump_nexthops(nl)}
    missing = [body for body in snapshot.nexthops if l3.nexthop_key(body) not in there]
    messages = [l3.nexthop_message(body) for body in missing]
    refused = [error for error in nl.batch(messages) if error]
    if refused and all(error.errno in _LATER for error in refused):
        ways = set().union(*map(l3.nexthop_gateways, missing))
        with _reachable(nl, ways):
            refused = [error for error in nl.batch(messages) if error]
    if refused:
        raise refused[0]


def neighbours(nl: NetlinkSocket, snapshot: Snapshot) -> None:
    """Permanent and proxy ones as they were; learned ones, so that nobody has to ask
    first.
    """
    messages = [l3.neighbour_message(body) for body in snapshot.neighbours]
    for body, refused in zip(snapshot.neighbours, nl.batch(messages), strict=True):
        if refused and l3.neighbour_is_permanent(body):
            raise refused


def settle(nl: NetlinkSocket, snapshot: Snapshot) -> None:
    """Wait for what the kernel does in the background, then give back how addresses are
    made.

    That are the carrier's way to the IPv6 code, and the local routes of IPv6 addresses.
    Only afterwards may the address generation mode return: before, it would make an
    address of its own.
    """
    link = snapshot.link
    kernels = {
        l3.route_key(body) for body in snapshot.routes if l3.made_by_kernel(body)
    }

    def settled() -> bool:
        now = links.by_index(nl, link.index)
        if now is None or (now.up and not now.flags & links.IFF_LOWER_UP):
            return True
        if now.up and not now.flags & links.IFF_RUNNING:
            return False
        return kernels <= {l3.route_key(body) for body in l3.dump_routes(nl)}

    nl.wait_event(settled, SETTLE_SECONDS)
    if link.addr_gen_mode is not None:
        links.set_link(nl, link.index, addr_gen_mode=link.addr_gen_mode)
