"""Many routes are made ready before the workload is cut off; all come back, in an order that resolves."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import cast

import pytest

from pyctl.intercept.restore.routes import (
    MANY,
    PASSES_MAX,
    Bulk,
    advertise,
    prepare,
    routes,
    ways_out,
)
from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.platform.netlink import advertised, l3, links, nexthops
from pyctl.platform.netlink.raw import (
    Message,
    NetlinkError,
    RawNetlink,
    attr,
    attr_u32,
    attrs,
    u32,
)
from tests import packets

GATEWAY = attr(l3.RTA_GATEWAY, socket.inet_aton(packets.gateway_ip4))
TABLE = attr_u32(l3.RTA_TABLE, l3.RT_TABLE_MAIN)


def route(number: int | None, *, oif: int = 2, via: bytes = GATEWAY) -> bytes:
    """To one address, None: to all; as a dump gives it."""
    length, to = (
        (0, b"") if number is None else (32, attr(1, struct.pack(">I", number)))
    )
    head = struct.pack("=BBBBBBBBI", 2, length, 0, 0, 254, 3, 0, 1, 0)
    return head + TABLE + to + via + attr_u32(l3.RTA_OIF, oif)


FAR = tuple(route(number) for number in range(1, MANY + 1))


def test_few_routes_are_not_made_ready(snapshot: Snapshot) -> None:
    bulk = prepare(replace(snapshot, routes=FAR[1:]))
    assert (bulk.first, bulk.rest) == ((), ())


def test_the_way_out_goes_first(snapshot: Snapshot) -> None:
    near, default = route(9999, via=b""), route(None)
    bulk = prepare(replace(snapshot, routes=(*FAR, default, near)))
    assert [message.body for message in bulk.first] == [near, default]
    assert [message.body for message in bulk.rest] == list(FAR)


def test_what_stands_in_one_place_with_another_is_left_to_who_keeps_the_order(
    snapshot: Snapshot,
) -> None:
    beside = route(1, oif=5)
    bulk = prepare(replace(snapshot, routes=(*FAR, FAR[1], beside)))
    sent = {message.body for message in bulk.first + bulk.rest}
    assert sent == set(FAR[2:])


def test_a_plain_route_is_read_as_any_other() -> None:
    """Of many nothing is taken apart: one with a flag goes the long way and says the same."""
    plain = route(7)
    other = plain[:8] + struct.pack("=I", 0x10) + plain[12:]
    for read in (l3.route_oifs, l3.route_slot, l3.needs_gateway, l3.route_key):
        assert read(plain) == read(other)
    assert l3.route_key(l3.route_message(other).body) == l3.route_key(plain)
    assert l3.route_message(plain).body == plain
    assert not l3.needs_gateway(route(7, via=b""))


class Table:
    """A routing table: takes what it is sent, refuses what `refuses` says, and may be changed by others."""

    def __init__(self, *there: bytes) -> None:
        self.there = list(there)
        self.refuses: Callable[[bytes], int] = lambda _: 0
        self.asked: list[bytes] = []
        self.devices = {2, 5}

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        if kind != l3.RTM_GETROUTE:
            return []
        return [one for one in self.there if one[0] == body[0]]

    def filtered(self, kind: int, body: bytes) -> list[bytes]:
        over = u32(attrs(body[12:]).get(l3.RTA_OIF))
        return [one for one in self.dump(kind, body) if over in l3.route_oifs(one)]

    def get(self, kind: int, body: bytes) -> bytes:
        assert kind == links.RTM_GETLINK
        if struct.unpack_from("=i", body, 4)[0] not in self.devices:
            raise NetlinkError(errno.ENODEV, "No such device")
        return links.ifinfo(5)

    def batch(self, messages: Iterable[Message]) -> list[NetlinkError | None]:
        return [self._take(one) for one in messages]

    def _take(self, message: Message) -> NetlinkError | None:
        key = l3.route_key(message.body)
        if message.kind == l3.RTM_DELROUTE:
            self.there = [one for one in self.there if l3.route_key(one) != key]
            return None
        self.asked.append(message.body)
        if code := self.refuses(message.body):
            return NetlinkError(code, errno.errorcode[code])
        if key in map(l3.route_key, self.there):
            return NetlinkError(errno.EEXIST, "EEXIST")
        self.there.append(message.body)
        return None


def restored(table: Table, snapshot: Snapshot) -> list[str]:
    return routes(cast("RawNetlink", table), snapshot, Bulk())


def keys(*bodies: bytes) -> list[bytes]:
    return [l3.route_key(one) for one in bodies]


NEAR, FAR_ONE, DEFAULT = route(1, via=b""), route(2), route(None)


def test_what_is_missing_is_put_back_the_nearest_first(snapshot: Snapshot) -> None:
    was = replace(snapshot, routes=(DEFAULT, FAR_ONE, NEAR))
    table = Table()
    assert restored(table, was) == []
    assert table.asked[0] == NEAR, "a gateway may lie behind it"
    assert sorted(keys(*table.there)) == sorted(keys(*was.routes))


def test_what_is_there_is_not_sent_again_and_what_was_not_goes(
    snapshot: Snapshot,
) -> None:
    was = replace(snapshot, routes=(NEAR, DEFAULT))
    table = Table(NEAR, DEFAULT)
    assert restored(table, was) == []
    assert table.asked == []
    foreign = route(9, oif=5)
    table = Table(NEAR, DEFAULT, route(8), foreign)
    assert restored(table, was) == []
    assert table.there == [NEAR, DEFAULT, foreign], "another interface's stays"


def test_a_gateway_that_does_not_resolve_yet_is_tried_again(snapshot: Snapshot) -> None:
    was = replace(snapshot, routes=(FAR_ONE, DEFAULT))
    table = Table()
    # The second resolves by the first.
    table.refuses = lambda body: (
        errno.ENETUNREACH if body == DEFAULT and FAR_ONE not in table.there else 0
    )
    assert restored(table, was) == []
    assert keys(*table.there) == keys(FAR_ONE, DEFAULT)


def test_a_gateway_that_nothing_leads_to_any_more_is_made_reachable_meanwhile(
    snapshot: Snapshot,
) -> None:
    """Its route stood, though the address that had made it resolvable had gone."""
    was, table = replace(snapshot, routes=(FAR_ONE,)), Table()
    (bridge,) = (l3.host_route(*way) for way in l3.gateways(FAR_ONE))
    table.refuses = lambda body: (
        errno.ENETUNREACH if body == FAR_ONE and bridge not in table.there else 0
    )
    assert restored(table, was) == []
    assert keys(*table.there) == keys(FAR_ONE), "and that only for the moment"


def test_a_route_that_is_refused_for_good_leads_over_its_gateway_as_if_on_the_link(
    snapshot: Snapshot,
) -> None:
    was, table = replace(snapshot, routes=(FAR_ONE,)), Table()
    table.refuses = lambda body: errno.EPERM if body == FAR_ONE else 0
    (told,) = restored(table, was)
    assert "leads over its gateway as if that were on the link" in told


def test_a_route_that_is_lost_is_told_and_the_only_way_out_is_an_error(
    snapshot: Snapshot,
) -> None:
    was, table = replace(snapshot, routes=(NEAR, DEFAULT)), Table()
    table.refuses = lambda body: 0 if l3.is_default(body) else errno.EPERM
    (told,) = restored(table, was)
    assert told.startswith("eth0: its route ")
    assert " is lost: " in told
    table.refuses = lambda _: errno.EPERM
    table.there.clear()
    with pytest.raises(NetlinkError, match="is lost"):
        restored(table, was)


def test_one_of_two_ways_out_may_be_lost(snapshot: Snapshot) -> None:
    other = l3.default_route(socket.AF_INET, 2, 900, 1500)
    was, table = replace(snapshot, routes=(DEFAULT, other)), Table()
    table.refuses = lambda body: errno.EPERM if l3.needs_gateway(body) else 0
    (told,) = restored(table, was)
    assert "is lost" in told
    assert keys(*table.there) == keys(other)


def test_routes_over_devices_that_are_gone_are_not_asked_for(
    snapshot: Snapshot,
) -> None:
    table = Table()
    table.devices.discard(5)
    assert restored(table, replace(snapshot, routes=(route(3, oif=5), NEAR))) == []
    assert table.asked == [NEAR]


def test_of_routes_in_one_place_the_first_is_first_again(snapshot: Snapshot) -> None:
    first, second = route(1, via=b""), route(1, oif=5, via=b"")
    was, table = replace(snapshot, routes=(first, second)), Table(second)
    assert restored(table, was) == []
    assert table.there == [first, second]


def test_a_workload_that_takes_its_routes_away_all_the_time_does_not_hold_us(
    snapshot: Snapshot,
) -> None:
    table = Table()
    table.refuses = lambda _: table.there.clear() or 0
    assert restored(table, replace(snapshot, routes=(NEAR, FAR_ONE))) == []
    assert len(table.asked) <= 2 * PASSES_MAX


def nexthop(number: int, oif: int = 2) -> bytes:
    head = struct.pack("=BBBBI", 2, 0, 0, 0, 0)
    gateway = attr(nexthops.NHA_GATEWAY, socket.inet_aton(packets.gateway_ip4))
    over = attr_u32(nexthops.NHA_OIF, oif)
    return head + attr_u32(nexthops.NHA_ID, number) + gateway + over


class Nexthops(Table):
    """Nexthop objects, of which none is taken without a way to its gateway."""

    ways = 0

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        return list(self.there) if kind == nexthops.RTM_GETNEXTHOP else []

    def _take(self, message: Message) -> NetlinkError | None:
        if message.kind in (l3.RTM_NEWROUTE, l3.RTM_DELROUTE):
            self.ways += 1 if message.kind == l3.RTM_NEWROUTE else -1
            return None
        if code := self.refuses(message.body):
            return NetlinkError(code, "refused")
        self.there.append(message.body)
        return None


def test_nexthop_objects_come_back_by_a_way_that_lasts_as_long(
    snapshot: Snapshot,
) -> None:
    table = Nexthops()
    table.devices.discard(5)
    table.refuses = lambda _: 0 if table.ways else errno.ENETUNREACH
    was = replace(snapshot, nexthops=(nexthop(11), nexthop(12, oif=5)))
    assert ways_out(cast("RawNetlink", table), was, Bulk()) == []
    (there,) = map(nexthops.key, table.there)
    assert there == nexthops.key(nexthop(11)), "the other's device is gone"
    assert table.ways == 0
    table.there.clear()
    table.refuses = lambda _: errno.EPERM
    (told,) = ways_out(cast("RawNetlink", table), was, Bulk())
    assert told.startswith("eth0 lost its nexthop ")


def test_advertised_routes_that_are_refused_are_told(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = l3.default_route(socket.AF_INET6, 2, 1024, 1500)
    put = lambda bodies: [(one, OSError(errno.EPERM, "not here")) for one in bodies]  # noqa: E731
    monkeypatch.setattr(advertised, "put_back", put)
    assert advertise(snapshot, ()) == []
    (told,) = advertise(snapshot, (body,))
    assert told.startswith("eth0 lost its advertised route ")
