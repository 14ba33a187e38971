"""What an interface is told otherwise while it is filled, and what is told of it that the kernel refuses."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import pytest

from pyctl.intercept.restore import refill
from pyctl.intercept.restore.refill import meanwhile
from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.platform import sysctl
from pyctl.platform.netlink import l3, neighbours
from pyctl.platform.netlink.client import (
    Message,
    NetlinkError,
    NetlinkSocket,
    attr,
    attr_u32,
)
from tests import packets
from tests.unit.intercept.conftest import address


def test_nothing_is_without_routers_and_doubt(snapshot: Snapshot) -> None:
    assert meanwhile(snapshot) == {}


def test_no_router_is_heard_while_what_it_said_is_put_back(snapshot: Snapshot) -> None:
    told = replace(snapshot, advertised=(l3.default_route(10, 2, 1024, 1500),))
    assert meanwhile(told) == {sysctl.ACCEPT_RA: "0"}


def test_a_doubted_address_is_asked_for_at_once(snapshot: Snapshot) -> None:
    body = address(packets.pod_one_ip6, 64)
    doubted = body + attr_u32(l3.IFA_FLAGS, l3.IFA_F_DADFAILED)
    found = replace(snapshot, addresses=(*snapshot.addresses, doubted))
    for own, asked in (("1", "2"), ("0", "0")):
        as_set = replace(found, sysctls={sysctl.DAD_TRANSMITS: own})
        assert meanwhile(as_set) == {
            sysctl.SOLICITATION_DELAY: "0",
            sysctl.DAD_TRANSMITS: asked,
        }


class Refusing:
    """A kernel that has nothing and takes nothing."""

    def filtered(self, _kind: int, _wish: bytes) -> list[bytes]:
        return []

    def batch(self, messages: Iterable[Message]) -> list[NetlinkError | None]:
        return [NetlinkError(errno.EPERM, "not here") for _ in messages]


NL = cast("NetlinkSocket", Refusing())


def test_an_address_that_lasts_is_worth_a_splice_and_a_lease_is_told(
    snapshot: Snapshot,
) -> None:
    with pytest.raises(NetlinkError):
        refill.addresses(NL, snapshot)
    clock = attr(l3.IFA_CACHEINFO, struct.pack("=IIII", 60, 60, 0, 0))
    lease = address(packets.leased_ip4, packets.prefix_ip4) + clock
    (told,) = refill.addresses(NL, replace(snapshot, addresses=(lease,)))
    assert told.startswith(f"eth0 lost its address {packets.leased_ip4}/")


def test_of_neighbours_those_that_somebody_set_are_told(snapshot: Snapshot) -> None:
    def known(state: int) -> bytes:
        head = struct.pack("=BxxxiHBB", 2, 2, state, 0, l3.RTN_UNICAST)
        return head + attr(neighbours.NDA_DST, bytes((192, 0, 2, state & 0xF)))

    both = (known(neighbours.NUD_STALE), known(neighbours.NUD_PERMANENT))
    (told,) = refill.neighbours(NL, replace(snapshot, neighbours=both))
    assert told.startswith("eth0 lost its neighbour 192.0.2.0: ")


def test_a_token_that_is_refused_is_told(snapshot: Snapshot) -> None:
    assert refill.token(NL, snapshot) == []
    set_one = replace(snapshot, link=replace(snapshot.link, token="00" * 15 + "05"))
    (told,) = refill.token(NL, set_one)
    assert told.startswith("eth0 lost its IPv6 token ::5: ")
