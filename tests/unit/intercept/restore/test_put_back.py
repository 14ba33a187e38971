"""What an interface is told otherwise while it is filled, and what is told of it that the kernel refuses."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import pytest

from pyctl.intercept.restore import put_back
from pyctl.intercept.restore.put_back import meanwhile
from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.platform import sysctl
from pyctl.platform.netlink import l3, links, neighbours
from pyctl.platform.netlink.raw import (
    Message,
    NetlinkError,
    RawNetlink,
    attr,
    attr_u32,
)
from tests import packets
from tests.unit.intercept.conftest import address
from tests.unit.intercept.played import Kernel as Host


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


NL = cast("RawNetlink", Refusing())


def test_an_address_that_lasts_is_worth_a_splice_and_a_lease_is_told(
    snapshot: Snapshot,
) -> None:
    with pytest.raises(NetlinkError):
        put_back.addresses(NL, snapshot)
    clock = attr(l3.IFA_CACHEINFO, struct.pack("=IIII", 60, 60, 0, 0))
    lease = address(packets.leased_ip4, packets.prefix_ip4) + clock
    (told,) = put_back.addresses(NL, replace(snapshot, addresses=(lease,)))
    assert told.startswith(f"eth0 lost its address {packets.leased_ip4}/")


def test_of_neighbours_those_that_somebody_set_are_told(snapshot: Snapshot) -> None:
    def known(state: int) -> bytes:
        head = struct.pack("=BxxxiHBB", 2, 2, state, 0, l3.RTN_UNICAST)
        return head + attr(neighbours.NDA_DST, bytes((192, 0, 2, state & 0xF)))

    both = (known(neighbours.NUD_STALE), known(neighbours.NUD_PERMANENT))
    (told,) = put_back.neighbours(NL, replace(snapshot, neighbours=both))
    assert told.startswith("eth0 lost its neighbour 192.0.2.0: ")


def test_a_token_that_is_refused_is_told(snapshot: Snapshot) -> None:
    assert put_back.token(NL, snapshot) == []
    set_one = replace(snapshot, link=replace(snapshot.link, token="00" * 15 + "05"))
    (told,) = put_back.token(NL, set_one)
    assert told.startswith("eth0 lost its IPv6 token ::5: ")


def test_a_qdisc_that_is_refused_is_told(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def refused(_nl: object, *wanted: object) -> list[str]:
        asked.append(wanted)
        return ["fq: not here"]

    monkeypatch.setattr(put_back.qdiscs, "put_back", refused)
    assert put_back.queues(NL, snapshot) == []
    with_one = replace(snapshot, qdiscs=(b"fq",), classes=(b"1:1",))
    assert put_back.queues(NL, with_one) == ["eth0 lost its qdisc fq: not here"]
    assert asked == [((b"fq",), (b"1:1",))]


def test_what_the_kernel_makes_of_an_address_meanwhile_is_looked_at_again(
    kernel: Host, snapshot: Snapshot
) -> None:
    """It adds a temporary one by itself."""
    makes = address(packets.pod_one_ip6, 64)
    makes += attr_u32(l3.IFA_FLAGS, l3.IFA_F_MANAGETEMPADDR)
    kernel.pod.addresses.clear()
    temporary = address(packets.pod_two_ip6, 64)

    def adds(_number: int, what: str) -> None:
        if what == "_new_address" and temporary not in kernel.pod.addresses:
            kernel.pod.addresses.append(temporary)

    kernel.fault = adds
    was = replace(snapshot, addresses=(makes,))
    assert put_back.addresses(kernel.socket(kernel.pod), was) == []
    there = [l3.address_text(one) for one in kernel.pod.addresses]
    assert there == [f"{packets.pod_one_ip6}/64"]


def settled(kernel: Host, was: Snapshot) -> list[bool]:
    """Whether the kernel's work counts as done, in the order of asking."""
    nl, seen = kernel.socket(kernel.pod), list[bool]()
    nl.wait_event = lambda done, _seconds: seen.append(done())  # type: ignore[method-assign]
    put_back.settle(nl, was)
    return seen


def test_it_is_settled_with_its_local_routes_or_where_none_will_come(
    kernel: Host, snapshot: Snapshot
) -> None:
    local = l3.host_route(2, socket.inet_aton(packets.pod_one_ip4), 2)
    local = local[:5] + bytes([l3.RTPROT_KERNEL]) + local[6:]
    local = local[:4] + bytes([l3.RT_TABLE_LOCAL]) + local[5:]
    was = replace(snapshot, routes=(local,))
    assert settled(kernel, was) == [False]
    kernel.pod.routes.append(local)
    assert settled(kernel, was) == [True]
    kernel.pod.routes.clear()
    kernel.eth0.other.flags &= ~links.IFF_UP
    assert settled(kernel, was) == [True], "without a carrier the kernel makes none"
    kernel.lose(kernel.eth0)
    assert settled(kernel, was) == [True]


def test_a_mode_that_is_refused_at_the_end_is_told(snapshot: Snapshot) -> None:
    class Here(Refusing):
        def wait_event(self, _done: object, _seconds: float) -> bool:
            return True

    (told,) = put_back.settle(cast("RawNetlink", Here()), snapshot)
    assert told.startswith("eth0 lost a setting: ")
    without = replace(snapshot, link=replace(snapshot.link, addr_gen_mode=None))
    assert put_back.settle(cast("RawNetlink", Here()), without) == [], "no IPv6"
