"""What an interface carries, as messages say it."""

from __future__ import annotations

import socket
import struct

import pytest

from pyctl.platform.netlink import l3, neighbours, nexthops
from pyctl.platform.netlink import route_text as l3_text
from pyctl.platform.netlink.raw import attr, attr_text, attr_u32
from tests import packets

NET = socket.inet_pton(socket.AF_INET, packets.pod_one_ip4)
GATEWAY = socket.inet_pton(socket.AF_INET, packets.gateway_ip4)
V4, V6 = socket.AF_INET, socket.AF_INET6


def head(family: int, to: int = 0, source: int = 0, table: int = 254, kind: int = 1):
    return struct.pack("=BBBBBBBBI", family, to, source, 0, table, 3, 0, kind, 0)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            head(V4, 24)
            + attr(l3.RTA_DST, NET)
            + attr(l3.RTA_GATEWAY, GATEWAY)
            + attr_u32(l3.RTA_OIF, 4)
            + attr_u32(l3.RTA_PRIORITY, 100),
            f"{packets.pod_one_ip4}/24 via {packets.gateway_ip4} dev 4 metric 100",
        ),
        (head(V6, table=7) + attr_u32(l3.RTA_OIF, 4), "default dev 4 table 7"),
        (
            head(V4, 32, kind=7) + attr(l3.RTA_DST, NET) + attr_u32(l3.RTA_NH_ID, 3),
            f"unreachable {packets.pod_one_ip4}/32 nhid 3",
        ),
    ],
)
def test_a_route_reads_as_ip_writes_it(body, text):
    assert l3_text.route_text(body) == text


def test_a_rule_reads_as_ip_writes_it():
    body = head(V4, 32, 24, 7) + attr(l3_text.FRA_SRC, NET)
    body += attr(l3_text.FRA_DST, GATEWAY) + attr_u32(l3_text.FRA_PRIORITY, 100)
    body += attr_text(l3_text.FRA_IIFNAME, "eth0")
    assert l3_text.rule_text(body) == (
        f"100: from {packets.pod_one_ip4}/24 to {packets.gateway_ip4}/32 iif eth0 table 7"
    )
    assert l3_text.rule_text(head(V6)) == "0: from all table 254"


def test_a_neighbour_is_told_with_its_mac():
    body = struct.pack("=BxxxiHBB", V4, 4, neighbours.NUD_PERMANENT, 0, 1)
    body += attr(neighbours.NDA_DST, NET)
    mac = bytes.fromhex(packets.pod_one_mac.replace(":", ""))
    known = body + attr(neighbours.NDA_LLADDR, mac)
    assert l3_text.neighbour_text(body) == packets.pod_one_ip4
    assert (
        l3_text.neighbour_text(known)
        == f"{packets.pod_one_ip4} at {packets.pod_one_mac}"
    )


def test_a_nexthop_is_told_by_its_number():
    body = struct.pack("=BBBBI", V4, 0, 3, 0, 0) + attr_u32(nexthops.NHA_ID, 5)
    ways = attr(nexthops.NHA_GATEWAY, GATEWAY) + attr_u32(nexthops.NHA_OIF, 4)
    assert l3_text.nexthop_text(body + ways) == f"5 via {packets.gateway_ip4} dev 4"
    group = attr(nexthops.NHA_GROUP, b"\1\0\0\0\0\0\0\0")
    assert l3_text.nexthop_text(body + group) == "5 a group"


def test_a_token_reads_as_an_address():
    assert l3_text.token_text("00" * 15 + "77") == "::77"
