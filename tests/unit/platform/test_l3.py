"""Message bodies: what counts, what is the kernel's own, what is sent back."""

from __future__ import annotations

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from pyctl.platform import l3
from pyctl.platform.netlink import attr, attr_u32, attrs, u32
from tests import packets
from tests.unit.intercept.conftest import address

UNKNOWN = 0x1234
DEAD_LINKDOWN = 0x1 | 0x10


def route(
    flags: int = 0, *more: bytes, family: int = socket.AF_INET, proto: int = 3
) -> bytes:
    head = struct.pack("=BBBBBBBBI", family, 24, 0, 0, 254, proto, 0, 1, flags)
    return head + attr_u32(l3.RTA_OIF, 2) + b"".join(more)


@given(st.binary(min_size=1, max_size=32))
def test_an_attribute_without_a_name_here_is_sent_back(payload: bytes) -> None:
    unknown = attr(UNKNOWN, payload)
    assert attrs(l3.route_message(route(0, unknown)).body[12:])[UNKNOWN] == payload
    body = address(packets.pod_one_ip4, 24) + unknown
    assert attrs(l3.address_messages(body)[0].body[8:])[UNKNOWN] == payload


def test_a_dead_or_carrierless_route_is_the_same_route() -> None:
    assert l3.route_key(route(DEAD_LINKDOWN)) == l3.route_key(route())
    assert l3.route_key(route(l3.RTNH_F_ONLINK)) != l3.route_key(route())


def test_a_running_expiry_is_kept_and_compared_only_as_such() -> None:
    def expiring(ticks: int) -> bytes:
        cache = struct.pack("=IIiI", 0, 0, ticks, 0) + b"\0" * 16
        return route(0, attr(l3.RTA_CACHEINFO, cache), family=socket.AF_INET6)

    assert l3.route_key(expiring(5000)) == l3.route_key(expiring(4000))
    assert l3.route_key(expiring(5000)) != l3.route_key(expiring(0))
    sent = attrs(l3.route_message(expiring(5000)).body[12:])
    assert u32(sent[l3.RTA_EXPIRES]) == 50


def test_a_route_by_nexthop_object_sends_only_its_number() -> None:
    body = route(0, attr_u32(l3.RTA_NH_ID, 7), attr(l3.RTA_GATEWAY, b"\1\2\3\4"))
    sent = attrs(l3.route_message(body).body[12:])
    assert l3.RTA_NH_ID in sent
    assert not {l3.RTA_OIF, l3.RTA_GATEWAY} & sent.keys()


def test_a_multipath_route_leads_over_each_of_its_interfaces() -> None:
    hops = b"".join(
        struct.pack("=HBBi", 8, flags, 0, index) for flags, index in ((1, 2), (0, 3))
    )
    body = route(0, attr(l3.RTA_MULTIPATH, hops))
    assert l3.route_oifs(body) == {2, 3}
    alive = hops.replace(b"\x08\x00\x01", b"\x08\x00\x00")
    assert l3.route_key(body) == l3.route_key(route(0, attr(l3.RTA_MULTIPATH, alive)))


def test_local_kernel_routes_come_by_themselves() -> None:
    local = route(0, attr_u32(l3.RTA_TABLE, 255), proto=l3.RTPROT_KERNEL)
    assert l3.made_by_kernel(local)
    assert not l3.made_by_kernel(route(proto=l3.RTPROT_KERNEL))
    assert not l3.made_by_kernel(route(0, attr_u32(l3.RTA_TABLE, 255)))


def test_an_ipv6_address_is_never_tentative_and_keeps_its_flags() -> None:
    (only,) = l3.address_messages(address(packets.pod_one_ip6, 64))
    assert u32(attrs(only.body[8:])[l3.IFA_FLAGS]) & l3.IFA_F_NODAD
    wanted = address(packets.leased_ip6, 64)
    plain = wanted[:8] + attr_u32(l3.IFA_FLAGS, 0x80) + attr(1, b"\1" * 16)
    first, then = l3.address_messages(plain)
    assert u32(attrs(first.body[8:])[l3.IFA_FLAGS]) == l3.IFA_F_NODAD
    assert u32(attrs(then.body[8:])[l3.IFA_FLAGS]) == 0


def test_a_learned_neighbour_comes_back_stale_and_a_set_one_as_it_was() -> None:
    def neighbour(state: int, flags: int = 0) -> bytes:
        head = struct.pack("=BxxxiHBB", socket.AF_INET, 2, state, flags, 1)
        return head + attr(l3.NDA_DST, b"\1\2\3\4") + attr(l3.NDA_CACHEINFO, b"\0" * 16)

    def state_of(body: bytes) -> int:
        return int(struct.unpack_from("=BxxxiHBB", l3.neighbour_message(body).body)[2])

    assert state_of(neighbour(0x02)) == l3.NUD_STALE
    assert state_of(neighbour(l3.NUD_PERMANENT)) == l3.NUD_PERMANENT
    assert l3.neighbour_key(neighbour(0x02)) == l3.neighbour_key(neighbour(0x08))
    assert l3.neighbour_is_permanent(neighbour(0, l3.NTF_PROXY))
