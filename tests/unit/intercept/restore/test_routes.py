"""Many routes are made ready before the workload is cut off, the way out before the rest."""

from __future__ import annotations

import socket
import struct
from dataclasses import replace

from pyctl.intercept.restore.routes import MANY, prepare
from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.platform.netlink import l3
from pyctl.platform.netlink.client import attr, attr_u32
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
