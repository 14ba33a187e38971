"""Interfaces and their addresses, read and changed off the cut-off time.

In: an IprouteClient, names, indexes. Out: Links, bodies of addresses (netlink.l3 reads them). I/O: rtnetlink.
Errors: NetlinkError as the kernel gave it; absence is None or False where it says so.
"""

from __future__ import annotations

import errno
import socket
import sys
from typing import Any

from pyctl.platform.iproute.client import IprouteClient
from pyctl.platform.netlink.links import (
    IFLA_IFNAME,
    RTEXT_FILTER_SKIP_STATS,
    VETH,
    Link,
    flag_change,
    parse,
)
from pyctl.platform.netlink.raw import NetlinkError, attrs, text


def by_name(ip: IprouteClient, name: str) -> Link | None:
    """Return the interface with that name, or None."""
    # As bytes: a workload may have given it a name that is no UTF-8.
    return _get(ip, ifname=name.encode(errors="surrogateescape"))


def by_index(ip: IprouteClient, index: int) -> Link | None:
    """Return the interface with that index, or None."""
    return _get(ip, index=index)


def _get(ip: IprouteClient, **which: Any) -> Link | None:
    try:
        (body,) = ip.ask("link", "get", ext_mask=RTEXT_FILTER_SKIP_STATS, **which)
    except NetlinkError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return parse(body)


def dump(ip: IprouteClient) -> list[Link]:
    """Return every interface of the namespace."""
    return [
        parse(body) for body in ip.ask("link", "dump", ext_mask=RTEXT_FILTER_SKIP_STATS)
    ]


def names(ip: IprouteClient) -> dict[int, str]:
    """Return the name of every interface of the namespace, by index; faster than `dump`."""
    return {
        int.from_bytes(body[4:8], sys.byteorder): text(attrs(body[16:])[IFLA_IFNAME])
        for body in ip.ask("link", "dump", ext_mask=RTEXT_FILTER_SKIP_STATS)
    }


def change(
    ip: IprouteClient,
    index: int,
    *,
    up: bool | None = None,
    flags: int | None = None,
    **changes: int | str,
) -> None:
    """Change what is given. `flags`: the wanted SETTABLE_FLAGS; others are cleared. `changes`: as pyroute2 names
    them, `mtu`, `address`.
    """
    value, mask = flag_change(up, flags)
    ip.ask("link", "set", index=index, flags=value, change=mask, **changes)


def add_veth(
    ip: IprouteClient, end: tuple[str, int], peer: tuple[str, int], mtu: int, flags: int
) -> None:
    """Create both ends (name, index), down, in one request. NetlinkError EEXIST if a name is taken."""
    value, mask = flag_change(None, flags)
    head: dict[str, Any] = {"flags": value, "change": mask}
    # With pyroute2's own `peer=` the peer would have no index and no flags.
    other = {**head, "index": peer[1]}
    other["attrs"] = [("IFLA_IFNAME", peer[0]), ("IFLA_MTU", mtu)]
    made = {**head, "kind": VETH, "ifname": end[0], "index": end[1], "mtu": mtu}
    ip.ask("link", "add", VETH_INFO_PEER=other, **made)


def delete(ip: IprouteClient, index: int) -> bool:
    """Delete the interface; return False if it was gone."""
    try:
        ip.ask("link", "del", index=index)
    except NetlinkError as error:
        if error.errno == errno.ENODEV:
            return False
        raise
    return True


def addresses(ip: IprouteClient, index: int = 0) -> list[bytes]:
    """Return the addresses of an interface, 0: of all; IPv4 oldest first, then IPv6, which the kernel lists newest
    first, as they would be added.
    """
    try:
        ip4, ip6 = (
            # The kernel filters; pyroute2 would have to decode for it.
            ip.ask("addr", "dump", family=family, index=index, dump_filter=None)
            for family in (socket.AF_INET, socket.AF_INET6)
        )
    except NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise
        return []
    return [*ip4, *reversed(ip6)]
