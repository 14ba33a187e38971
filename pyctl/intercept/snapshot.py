"""What a workload's interface is and carries: read, compared, kept in the journal.

In: an rtnetlink socket in the workload's namespace, and its descriptor for the sysctls.
Out: Snapshot, the list of differences between two. I/O: `read` only. Message bodies
stay as the kernel wrote them (see pyctl.platform.l3), so nothing is lost for want of a
name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pyctl.platform import l3, links, netns, offloads, sysctl
from pyctl.platform.links import Link
from pyctl.platform.netlink import NetlinkSocket

PARK_PRIORITY = 0xFFFFFFFF


@dataclass(frozen=True)
class Snapshot:
    """One interface, and of its namespace what hangs on it."""

    link: Link
    addresses: tuple[bytes, ...]
    """In an order in which adding them gives the same order."""
    routes: tuple[bytes, ...]
    """Of the whole namespace: a multipath route may use this interface among others."""
    nexthops: tuple[bytes, ...]
    rules: tuple[bytes, ...]
    neighbours: tuple[bytes, ...]
    sysctls: dict[str, str]
    defaults: dict[str, str]
    """What the kernel gives a new interface there."""
    loopback: Link | None
    loopback_addresses: tuple[bytes, ...]
    offloads: tuple[int, ...] = ()
    """As pyctl.platform.offloads has them."""

    def to_json(self) -> dict[str, Any]:
        """For the journal."""
        return _plain(self)  # type: ignore[no-any-return]


_BODIES = (
    "addresses",
    "routes",
    "nexthops",
    "rules",
    "neighbours",
    "loopback_addresses",
)


def _plain(value: Any) -> Any:
    # Not asdict: its deep copies cost more than all else that the journal does.
    if isinstance(value, (Snapshot, Link)):
        value = vars(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _link_from(data: dict[str, Any]) -> Link:
    data = dict(data)
    data["queues"] = tuple(data["queues"])
    data["sizes"] = tuple((kind, value) for kind, value in data["sizes"])
    data["altnames"] = tuple(data["altnames"])
    return Link(**data)


def from_json(data: dict[str, Any]) -> Snapshot:
    """The inverse of Snapshot.to_json. Raises KeyError, TypeError, ValueError."""
    bodies = {key: tuple(bytes.fromhex(raw) for raw in data[key]) for key in _BODIES}
    loopback = data["loopback"]
    return Snapshot(
        link=_link_from(data["link"]),
        loopback=_link_from(loopback) if loopback else None,
        sysctls=dict(data["sysctls"]),
        defaults=dict(data["defaults"]),
        offloads=tuple(data["offloads"]),
        **bodies,
    )


def read(
    nl: NetlinkSocket,
    netns_fd: int,
    link: Link,
    *,
    defaults: dict[str, str] | None = None,
) -> Snapshot:
    """The interface as it is now; with `defaults` that are known, which takes as long as its own."""
    loopback = links.by_name(nl, "lo")
    with netns.entered(netns_fd):
        sysctls = sysctl.read_interface(link.name)
        if defaults is None:
            defaults = sysctl.read_interface("default")
        asked = offloads.requested(link.name)
    on_loopback = l3.dump_addresses(nl, loopback.index) if loopback else []
    return Snapshot(
        link=link,
        addresses=tuple(l3.dump_addresses(nl, link.index)),
        routes=tuple(l3.dump_routes(nl)),
        nexthops=tuple(l3.dump_nexthops(nl)),
        rules=tuple(l3.dump_rules(nl)),
        neighbours=tuple(l3.dump_neighbours(nl, link.index)),
        sysctls=sysctls,
        defaults=defaults,
        loopback=loopback,
        loopback_addresses=tuple(on_loopback),
        offloads=asked,
    )


_COMPARED = (
    *("index", "name", "mac", "mtu", "txqlen", "group", "alias", "sizes"),
    *("addr_gen_mode", "token", "altnames", "queues", "xdp"),
)


def _changes(
    what: str,
    before: Iterable[bytes],
    after: Iterable[bytes],
    key: Callable[[bytes], bytes],
) -> list[str]:
    old, new = {key(body): body for body in before}, {key(body): body for body in after}
    lost = [f"{what} lost: {old[k].hex()}" for k in old if k not in new]
    return lost + [f"{what} added: {new[k].hex()}" for k in new if k not in old]


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What is not as it was, one line each; state that the kernel alone keeps does not
    count.
    """
    found = []
    for name in _COMPARED:
        old, new = getattr(before.link, name), getattr(after.link, name)
        if old != new:
            found.append(f"link {name}: {old!r} is now {new!r}")
    old_flags, new_flags = (
        snap.link.flags & (links.SETTABLE_FLAGS | links.IFF_UP)
        for snap in (before, after)
    )
    if old_flags != new_flags:
        found.append(f"link flags: {old_flags:#x} is now {new_flags:#x}")
    if [l3.address_key(a) for a in before.addresses] != [
        l3.address_key(a) for a in after.addresses
    ]:
        found += _changes(
            "address", before.addresses, after.addresses, l3.address_key
        ) or ["addresses: another order"]
    found += _route_changes(before, after)
    found += _changes("nexthop", before.nexthops, after.nexthops, l3.nexthop_key)
    found += _changes("rule", before.rules, after.rules, bytes)
    found += _changes(
        "neighbour",
        _permanent(before.neighbours),
        _permanent(after.neighbours),
        l3.neighbour_key,
    )
    found += _changes(
        "address on lo",
        before.loopback_addresses,
        after.loopback_addresses,
        l3.address_key,
    )
    if before.link.kind == after.link.kind and before.offloads != after.offloads:
        found.append(f"offloads: {before.offloads} are now {after.offloads}")
    for key, value in before.sysctls.items():
        if after.sysctls.get(key) != value:
            found.append(f"sysctl {key}: {value!r} is now {after.sysctls.get(key)!r}")
    return found


def _route_changes(before: Snapshot, after: Snapshot) -> list[str]:
    """The kernel's own local routes follow carrier and duplicate detection: one that is
    new is no difference, one that is lost only while there is a carrier as before.
    """
    carrier = before.link.flags & after.link.flags & links.IFF_LOWER_UP
    old = [r for r in before.routes if carrier or not l3.made_by_kernel(r)]
    wanted = {l3.route_key(body) for body in old}
    index = before.link.index
    new = [
        r
        for r in after.routes
        if l3.route_key(r) in wanted
        or (index in l3.route_oifs(r) and not l3.made_by_kernel(r))
    ]
    return _changes("route", old, new, l3.route_key)


def _permanent(neighbours: Iterable[bytes]) -> list[bytes]:
    return [body for body in neighbours if l3.neighbour_is_permanent(body)]
