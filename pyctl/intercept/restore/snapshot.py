"""What a workload's interface is and carries: read, compared, kept in the journal.

In: an rtnetlink socket in the workload's namespace, and its descriptor for the sysctls.
Out: Snapshot, the list of differences between two. I/O: `read` only. Message bodies
stay as the kernel wrote them (see pyctl.platform.netlink.l3), so nothing is lost for want of a
name.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pyctl.platform import memberships, netns, offloads, sysctl
from pyctl.platform.bridge import port as bridge_port
from pyctl.platform.bridge.port import BridgePort
from pyctl.platform.netlink import advertised, l3, links, neighbours, nexthops
from pyctl.platform.netlink import route_text as l3_text
from pyctl.platform.netlink.announced import comes_by_itself
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import RawNetlink
from pyctl.platform.tc import qdiscs

PARK_PRIORITY = 0xFFFFFFFF
ROUTES_ALL = 5000
"""A workload may have any number of routes; the splice of one interface must not go through all of them."""
ROUTES_MAX = 65_536
"""The most routes of one interface. Others wait for the agent meanwhile, some 20 µs for each route."""


@dataclass(frozen=True)
class Snapshot:
    """The state of one interface and of what depends on it in its namespace."""

    link: Link
    addresses: tuple[bytes, ...]
    """In an order in which adding them gives the same order."""
    routes: tuple[bytes, ...]
    """Of the whole namespace, since other routes may stand in one place with this interface's; but see
    `routes_over`.
    """
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
    qdiscs: tuple[bytes, ...] = ()
    """Those that somebody set, without those that filters hang on, which nothing puts back."""
    classes: tuple[bytes, ...] = ()
    groups: tuple[bytes, ...] = ()
    """Multicast groups that sockets have joined, as raw addresses."""
    link_groups: tuple[bytes, ...] = ()
    """Link-layer groups that somebody set."""
    advertised: tuple[bytes, ...] = ()
    """The routes that the kernel made of router advertisements; they are not among `routes`."""
    behind: tuple[bytes, ...] = ()
    """Those of `advertised` that come after one of `routes` in the same place, which is used first."""
    routes_over: bool = False
    """There are more than ROUTES_ALL: `routes` are only those that lead over this interface."""
    port: BridgePort | None = None
    """What a bridge inside the workload keeps of the interface; None: it is in no bridge."""

    def to_json(self) -> dict[str, Any]:
        """Return the snapshot as JSON data, for the journal."""
        return _plain(self)  # type: ignore[no-any-return]


_BODIES = (
    *("addresses", "routes", "nexthops", "rules", "neighbours", "loopback_addresses"),
    *("qdiscs", "classes", "groups", "link_groups", "advertised", "behind"),
)


def _plain(value: Any) -> Any:
    # Not asdict: its deep copies cost more than all else that the journal does.
    if isinstance(value, (Snapshot, Link, BridgePort)):
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


def _port_from(data: dict[str, Any]) -> BridgePort:
    return BridgePort(
        data["bridge"],
        tuple((kind, bytes.fromhex(raw)) for kind, raw in data["settings"]),
        tuple(data["backs"]),
        *(
            tuple(bytes.fromhex(raw) for raw in data[key])
            for key in ("vlans", "stations", "groups")
        ),
    )


def from_json(data: dict[str, Any]) -> Snapshot:
    """Return the snapshot from Snapshot.to_json's data. Raises KeyError, TypeError, ValueError."""
    bodies = {
        key: tuple(bytes.fromhex(raw) for raw in data.get(key, ())) for key in _BODIES
    }
    loopback = data["loopback"]
    return Snapshot(
        link=_link_from(data["link"]),
        loopback=_link_from(loopback) if loopback else None,
        sysctls=dict(data["sysctls"]),
        defaults=dict(data["defaults"]),
        offloads=tuple(data["offloads"]),
        routes_over=data.get("routes_over", False),
        port=_port_from(data["port"]) if data.get("port") else None,
        **bodies,
    )


def read(
    nl: RawNetlink,
    netns_fd: int,
    link: Link,
    *,
    like: Snapshot | None = None,
) -> Snapshot:
    """Read the interface's state; an earlier snapshot `like` gives `defaults` and `routes_over`."""
    loopback = links.by_name(nl, "lo")
    with netns.entered(netns_fd):
        sysctls = sysctl.read_interface(link.name)
        sysctls |= sysctl.smaller_mtu6(link.name, link.mtu)
        defaults = like.defaults if like else sysctl.read_defaults()
        asked = _best(lambda: offloads.requested(link.name))
        groups = _best(lambda: memberships.joined(link.index))
        link_groups = _best(lambda: memberships.set_groups(link.index))
    queues = qdiscs.restorable(nl, link.index)
    every = () if like and like.routes_over else tuple(l3.dump_routes(nl))
    routes_over = like.routes_over if like else len(every) > ROUTES_ALL
    if routes_over:
        # Beyond ROUTES_MAX, host routes are dropped before network routes.
        every = tuple(sorted(routes_now(nl, link.index), key=l3.prefix_length))
    told = _advertised(every, link, netns_fd)
    on_loopback = l3.dump_addresses(nl, loopback.index) if loopback else []
    return Snapshot(
        link=link,
        addresses=tuple(l3.dump_addresses(nl, link.index)),
        routes=tuple(body for body in every if body not in told)[:ROUTES_MAX],
        advertised=tuple(told),
        behind=_behind(every, told),
        groups=groups,
        link_groups=link_groups,
        routes_over=routes_over,
        nexthops=tuple(nexthops.dump(nl)),
        rules=tuple(l3.dump_rules(nl)),
        neighbours=tuple(neighbours.dump_neighbours(nl, link.index)),
        sysctls=sysctls,
        defaults=defaults,
        loopback=loopback,
        loopback_addresses=tuple(on_loopback),
        offloads=asked,
        qdiscs=queues,
        classes=qdiscs.dump_classes(nl, link.index) if queues else (),
        port=bridge_port.read(nl, link.index) if link.master else None,
    )


def _advertised(
    routes: Iterable[bytes], link: Link, netns_fd: int
) -> dict[bytes, None]:
    """Return the routes that the kernel made of advertisements over the interface, in their order."""
    likely = [body for body in routes if advertised.likely(body, link.index)]
    if not likely:
        return {}
    with netns.entered(netns_fd):
        places = advertised.marked(link.name, link.index)
    return dict.fromkeys(body for body in likely if advertised.place(body) in places)


def _behind(routes: Iterable[bytes], told: Collection[bytes]) -> tuple[bytes, ...]:
    slots, seen, found = set(map(l3.route_slot, told)), set(), []
    for body in routes:
        if body in told and l3.route_slot(body) in seen:
            found.append(body)
        elif slots and body[0] == socket.AF_INET6 and body not in told:
            seen |= slots & {l3.route_slot(body)}
    return tuple(found)


_T = TypeVar("_T")


def _best(read_it: Callable[[], tuple[_T, ...]]) -> tuple[_T, ...]:
    """Return what the kernel shows of a detail, or nothing on any error: no splice fails for it."""
    try:
        return read_it()
    except Exception:  # noqa: BLE001
        return ()


def routes_now(nl: RawNetlink, index: int | None) -> list[bytes]:
    """Return the routes over an interface; None: all of the namespace."""
    return l3.dump_routes(nl) if index is None else l3.dump_routes_over(nl, index)


_COMPARED = (
    *("index", "name", "mac", "txqlen", "group", "alias", "sizes"),
    *("addr_gen_mode", "altnames", "queues"),
)
"""The MTU is not compared, because a parent device may lower it at any time; nor the token, because its
refusal is reported elsewhere."""


def _changes(
    what: str,
    before: Iterable[bytes],
    after: Iterable[bytes],
    key: Callable[[bytes], bytes],
    say: Callable[[bytes], str],
) -> list[str]:
    old, new = {key(body): body for body in before}, {key(body): body for body in after}
    lost = [f"{what} lost: {say(old[k])}" for k in old if k not in new]
    return lost + [f"{what} added: {say(new[k])}" for k in new if k not in old]


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the differences, one line each, without state that the kernel alone keeps."""
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
    found += _address_changes(before.addresses, after.addresses)
    found += _route_changes(before, after)
    found += _changes(
        "nexthop",
        before.nexthops,
        after.nexthops,
        nexthops.key,
        l3_text.nexthop_text,
    )
    found += _changes("rule", before.rules, after.rules, bytes, l3_text.rule_text)
    found += _changes(
        "neighbour",
        _set(before.neighbours),
        _set(after.neighbours),
        neighbours.neighbour_key,
        l3_text.neighbour_text,
    )
    found += _changes(
        "address on lo",
        before.loopback_addresses,
        after.loopback_addresses,
        l3.address_key,
        l3.address_text,
    )
    if before.link.kind == after.link.kind and before.offloads != after.offloads:
        found.append(f"offloads: {before.offloads} are now {after.offloads}")
    for key, value in before.sysctls.items():
        if after.sysctls.get(key) != value:
            found.append(f"sysctl {key}: {value!r} is now {after.sysctls.get(key)!r}")
    return found


def cut_off(before: Snapshot, after: Snapshot) -> list[str]:
    """Return what cuts the workload off, one line each: the link is down, or an IP version has lost all of
    its addresses or default routes.
    """
    found = []
    if before.link.up and not after.link.up:
        found.append(f"{before.link.name} is down")
    there: set[int] = set()
    for body in after.addresses:
        # One of each family is enough to know.
        if body[0] not in there and l3.address_is_lasting(body):
            there.add(body[0])
    found += [
        f"address lost: {l3.address_text(body)}"
        for body in before.addresses
        if body[0] not in there and l3.address_is_lasting(body)
    ]
    ways = {body[0] for body in _ways_out(after)}
    return found + [
        f"route lost: {l3_text.route_text(body)}"
        for body in _ways_out(before)
        if before.link.index in l3.route_oifs(body) and body[0] not in ways
    ]


def _ways_out(snapshot: Snapshot) -> list[bytes]:
    """Return the default routes that stay by themselves, and those that routers advertised."""
    lasting = (
        body
        for body in snapshot.routes
        if not (l3.made_by_advertisement(body) or l3.made_by_daemon(body))
    )
    return list(filter(is_way_out, (*lasting, *snapshot.advertised)))


def is_way_out(body: bytes) -> bool:
    """Return whether the route is a unicast default route of the main table."""
    main = l3.route_table(body) == l3.RT_TABLE_MAIN
    return body[7] == l3.RTN_UNICAST and main and l3.is_default(body)


def _address_changes(before: Collection[bytes], after: Iterable[bytes]) -> list[str]:
    """Return the differences of addresses. Addresses that routers announce, temporary ones and the kernel's
    link-local ones come by themselves and do not count.
    """
    # By dict, not list: a workload may have tens of thousands of addresses.
    was = dict.fromkeys(map(l3.address_key, before))
    now = [
        body
        for body in after
        if l3.address_key(body) in was or not comes_by_itself(body)
    ]
    found = _changes("address", before, now, l3.address_key, l3.address_text)
    doubted = {l3.address_key(body) for body in before if l3.in_doubt(body)}
    order = [key for key in was if key not in doubted]
    if found or order == [k for k in map(l3.address_key, now) if k not in doubted]:
        return found
    return ["addresses: another order"]


def _route_changes(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the differences of routes. The kernel's own local routes follow carrier and duplicate detection:
    new ones do not count, lost ones only if the carrier is as before. Routes of daemons never count.
    """
    carrier = before.link.flags & after.link.flags & links.IFF_LOWER_UP
    index = before.link.index
    now, was = frozenset(after.routes), frozenset(before.routes)
    old = [
        r
        for r in before.routes
        if r not in now
        and (carrier or not l3.made_by_kernel(r))
        and not l3.made_by_daemon(r)
    ]
    wanted = {l3.route_key(body) for body in old}
    new = [
        r
        for r in after.routes
        if r not in was
        and not l3.made_by_daemon(r)
        and (
            l3.route_key(r) in wanted
            or (
                index in l3.route_oifs(r)
                and not (l3.made_by_kernel(r) or l3.made_by_advertisement(r))
            )
        )
    ]
    there = {advertised.place(body) for body in after.advertised}
    gone = [r for r in before.advertised if advertised.place(r) not in there]
    return [
        *_changes("route", old, new, l3.route_key, l3_text.route_text),
        *_changes("advertised route", gone, (), advertised.place, l3_text.route_text),
    ]


def leads_elsewhere(snapshot: Snapshot) -> frozenset[int]:
    """Return the other interfaces that the routes and nexthop objects lead over."""
    routes = (l3.route_oifs(body) for body in snapshot.routes)
    objects = map(nexthops.oif, snapshot.nexthops)
    return frozenset().union(*routes, objects) - {0, snapshot.link.index}


def without(snapshot: Snapshot, gone: Collection[int]) -> Snapshot:
    """Return the snapshot without the routes and nexthop objects that went with other interfaces."""
    routes = (r for r in snapshot.routes if l3.route_oifs(r).isdisjoint(gone))
    objects = (one for one in snapshot.nexthops if nexthops.oif(one) not in gone)
    return replace(snapshot, routes=tuple(routes), nexthops=tuple(objects))


def _set(bodies: Iterable[bytes]) -> list[bytes]:
    return [body for body in bodies if neighbours.is_set(body)]
