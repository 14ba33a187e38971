"""Put back what an interface carried: names, queues, addresses, groups, neighbours.

In: a socket in the workload's namespace or its descriptor, the Snapshot. Out: what the kernel refused and a
workload can do without, a sentence each. I/O: rtnetlink, sockets. Raises NetlinkError for what would cut it off.
Each function compares what is there with what was, and changes only the difference. The
interface is ours or the original; both stand at the same index.
"""

from __future__ import annotations

import errno
from ipaddress import ip_address

from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.platform import memberships, sysctl
from pyctl.platform.netlink import l3, links
from pyctl.platform.netlink import neighbours as neighbours_of
from pyctl.platform.netlink.raw import RawNetlink
from pyctl.platform.netlink.route_text import neighbour_text, token_text
from pyctl.platform.netns import entered, identity
from pyctl.platform.tc import qdiscs

GROUPS = (1, 7, 9, 11)
"""RTNLGRP_LINK, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE"""
SETTLE_SECONDS = 3.0


def meanwhile(snapshot: Snapshot) -> dict[str, str]:
    """Return the sysctls that have other values until SETTLE. No router is asked or heard while routes are
    put back. Duplicate detection starts at once and asks once more: the host's bridge may not forward yet.
    """
    other = {}
    if snapshot.advertised:
        other[sysctl.ACCEPT_RA] = "0"
    if any(map(l3.in_doubt, snapshot.addresses)):
        other[sysctl.SOLICITATION_DELAY] = "0"
        asked = int(snapshot.sysctls.get(sysctl.DAD_TRANSMITS, "0"))
        other[sysctl.DAD_TRANSMITS] = str(asked + 1 if asked else 0)
    return other


def token(nl: RawNetlink, snapshot: Snapshot) -> list[str]:
    """Restore the IPv6 token before the interface is up; return a sentence if it is lost. The kernel refuses
    a token set while the interface heard routers if it hears none now.
    """
    link = snapshot.link
    if not link.token:
        return []
    (error,) = nl.batch([links.set_message(link.index, token=link.token)])
    lost = f"{link.name} lost its IPv6 token {token_text(link.token)}: {error}"
    return [lost] if error else []


def queues(nl: RawNetlink, snapshot: Snapshot) -> list[str]:
    """Restore the interface's qdiscs and classes; return a sentence for each lost one."""
    if not snapshot.qdiscs:
        return []
    refused = qdiscs.put_back(nl, snapshot.qdiscs, snapshot.classes)
    return [f"{snapshot.link.name} lost its qdisc {why}" for why in refused]


def link_up(nl: RawNetlink, snapshot: Snapshot) -> list[str]:
    """Restore alternative names and the up state; return a sentence for each lost name."""
    link = snapshot.link
    now = links.by_index(nl, link.index)
    missing = [name for name in link.altnames if now and name not in now.altnames]
    messages = [
        links.altname_message(link.index, (name,), add=True) for name in missing
    ]
    *refused, not_up = nl.batch([*messages, links.set_message(link.index, up=link.up)])
    if not_up:
        raise not_up
    return [
        f"{link.name} lost its alternative name {name}: {why}"
        for name, why in zip(missing, refused, strict=True)
        if why
    ]


def addresses(nl: RawNetlink, snapshot: Snapshot) -> list[str]:
    """Restore every address in use, in its order and usable at once. Addresses in doubt follow in SETTLE: no
    route may lead over a gateway that is an own address.
    """
    lost = _addresses(nl, snapshot)
    if any(l3.makes_addresses(body) for body in snapshot.addresses):
        lost = _addresses(nl, snapshot)
    return lost


def _addresses(
    nl: RawNetlink, snapshot: Snapshot, *, doubted: bool = False
) -> list[str]:
    wanted = {l3.address_key(body): body for body in snapshot.addresses}
    there = {
        l3.address_key(body): body
        for body in l3.dump_addresses(nl, snapshot.link.index)
    }
    extra = [l3.delete_address(there[key]) for key in there if key not in wanted]
    pairs = [
        (body, message)
        for key, body in wanted.items()
        if key not in there and l3.in_doubt(body) == doubted
        for message in l3.address_messages(body)
    ]
    results = nl.batch([*extra, *(message for _, message in pairs)])[len(extra) :]
    lost = []
    for (body, _), refused in zip(pairs, results, strict=True):
        if not refused or refused.errno == errno.EEXIST:
            continue
        if l3.address_is_lasting(body):
            raise refused
        what = f"{snapshot.link.name} lost its address {l3.address_text(body)}"
        lost.append(f"{what}: {refused}")
    return lost


def groups(netns_fd: int, snapshot: Snapshot) -> list[str]:
    """Restore the multicast groups of sockets and link-layer groups; return a sentence for each lost one."""
    link, missing = snapshot.link, list[bytes]()
    with entered(netns_fd):
        refused = memberships.set_again(link.name, snapshot.link_groups)
        if snapshot.groups:
            now = memberships.joined(link.index)
            missing = [group for group in snapshot.groups if group not in now]
    if missing:
        memberships.join_again(identity(netns_fd), link.index, missing)
        with entered(netns_fd):
            now = memberships.joined(link.index)
        missing = [group for group in missing if group not in now]
    return [
        *(f"{link.name} lost the link-layer group {why}" for why in refused),
        *(f"{link.name} lost the multicast group {ip_address(g)}" for g in missing),
    ]


def leave_groups(nl: RawNetlink, index: int) -> None:
    """Delete the addresses that hold kernel multicast memberships: the kernel does not leave the groups when
    the interface goes, and then does not join again on one with the same index.
    """
    nl.batch(
        l3.delete_address(body)
        for body in l3.dump_addresses(nl, index)
        if l3.address_joins(body)
    )


def neighbours(nl: RawNetlink, snapshot: Snapshot) -> list[str]:
    """Restore permanent and proxy neighbours, and learned ones, so that nobody has to ask first."""
    messages = [neighbours_of.neighbour_message(body) for body in snapshot.neighbours]
    return [
        f"{snapshot.link.name} lost its neighbour {neighbour_text(body)}: {refused}"
        for body, refused in zip(snapshot.neighbours, nl.batch(messages), strict=True)
        if refused and neighbours_of.is_set(body)
    ]


def settle(nl: RawNetlink, snapshot: Snapshot) -> list[str]:
    """Wait for the kernel's background work, then restore the address generation mode; return what is lost.

    The background work is the carrier's way to the IPv6 code, and the local routes of IPv6 addresses. If the
    mode returned before, the kernel would make an address of its own.
    """
    link = snapshot.link
    lost = _addresses(nl, snapshot, doubted=True)
    kernels = {
        l3.route_key(body) for body in snapshot.routes if l3.made_by_kernel(body)
    }

    def settled() -> bool:
        now = links.by_index(nl, link.index)
        if now is None or (now.up and not now.flags & links.IFF_LOWER_UP):
            return True
        if now.up and not now.flags & links.IFF_RUNNING:
            return False
        return kernels <= {l3.route_key(body) for body in l3.dump_local_routes(nl)}

    nl.wait_event(settled, SETTLE_SECONDS)
    if link.addr_gen_mode is not None:
        mode = links.set_message(link.index, addr_gen_mode=link.addr_gen_mode)
        lost += [
            f"{link.name} lost a setting: {why}" for why in nl.batch([mode]) if why
        ]
    return lost
