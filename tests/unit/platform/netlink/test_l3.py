"""Message bodies: what counts, what is the kernel's own, what is sent back."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl.platform.netlink import l3
from pyctl.platform.netlink.raw import attr, attr_u32, attrs, u32
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


@pytest.mark.parametrize("flag", [l3.IFA_F_TENTATIVE, l3.IFA_F_DADFAILED])
def test_an_address_that_another_may_have_is_looked_for_again(flag: int) -> None:
    body = address(packets.pod_one_ip6, 64)
    doubted = body[:8] + attr_u32(l3.IFA_FLAGS, 0x80 | flag) + attr(1, b"\1" * 16)
    (only,) = l3.address_messages(doubted)
    assert not u32(attrs(only.body[8:])[l3.IFA_FLAGS]) & l3.IFA_F_NODAD
    assert l3.in_doubt(doubted)
    assert l3.is_duplicate(doubted) == (flag == l3.IFA_F_DADFAILED)
    assert not l3.in_doubt(body)


OWN = socket.inet_aton(packets.pod_one_ip4)


def default_by(*ways: bytes) -> bytes:
    head = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 3, 0, 1, 0)
    table = attr_u32(l3.RTA_TABLE, l3.RT_TABLE_MAIN)
    if len(ways) == 1:
        one = attr(l3.RTA_GATEWAY, ways[0]) + attr_u32(l3.RTA_OIF, 2)
        return head + table + one
    each = (attr(l3.RTA_GATEWAY, way) for way in ways)
    hops = b"".join(struct.pack("=HBBi", 8 + len(a), 0, 0, 2) + a for a in each)
    return head + table + attr(l3.RTA_MULTIPATH, hops)


def test_a_gateway_that_no_route_leads_to_is_put_on_the_link() -> None:
    gateway = socket.inet_aton(packets.gateway_ip4)
    by_id = default_by(gateway) + attr_u32(l3.RTA_NH_ID, 7)
    for body in (default_by(gateway), by_id):
        message = l3.onlink_message(body, {OWN})
        assert message is not None
        assert struct.unpack_from("=I", message.body, 8)[0] == l3.RTNH_F_ONLINK
        assert l3.RTA_NH_ID not in attrs(message.body[12:])
        assert l3.gateways(message.body) == {(socket.AF_INET, gateway, 2)}
        assert l3.is_default(message.body)
    both = l3.onlink_message(default_by(gateway, OWN), {OWN})
    assert both is not None
    hops = l3.hops(attrs(both.body[12:])[l3.RTA_MULTIPATH])
    assert [flags for flags, *_ in hops] == [l3.RTNH_F_ONLINK, 0]


def test_a_route_without_a_gateway_is_not_put_anywhere_else() -> None:
    assert l3.onlink_message(l3.default_route(socket.AF_INET, 2, 0, 1500), ()) is None


@pytest.mark.parametrize(
    ("text", "valid", "lasting"),
    [
        (packets.pod_one_ip4, l3.INFINITE, True),
        (packets.pod_one_ip6, l3.INFINITE, True),
        (packets.pod_one_ip4, 60, False),
        (packets.group_ip4, l3.INFINITE, False),
        (packets.group_ip6, l3.INFINITE, False),
    ],
)
def test_groups_and_leases_are_no_lasting_addresses(
    text: str, valid: int, lasting: bool
) -> None:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    body = l3.host_address(family, socket.inet_pton(family, text), 2, "eth0")
    body += attr(l3.IFA_CACHEINFO, struct.pack("=IIII", valid, valid, 0, 0))
    assert l3.address_is_lasting(body) is lasting
