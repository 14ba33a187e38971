"""Nexthop objects come back as the kernel takes them."""

from __future__ import annotations

import socket
import struct

from pyctl.platform.netlink import nexthops
from pyctl.platform.netlink.raw import NLA_F_NESTED, attr, attr_u32, attrs
from tests import packets

V4 = socket.AF_INET
GATEWAY = socket.inet_aton(packets.gateway_ip4)


def nexthop(*found: bytes, flags: int = 0) -> bytes:
    return struct.pack("=BBBBI", V4, 253, 3, 0, flags) + b"".join(found)


def resilient(clock: int) -> bytes:
    """A group whose buckets have been uneven for so long."""
    wishes = attr(1, struct.pack("=H", 32)) + attr_u32(2, 120)
    wishes += attr(nexthops.NHA_RES_GROUP_UNBALANCED_TIME, struct.pack("=Q", clock))
    group = attr(nexthops.NHA_GROUP, struct.pack("=IBBH", 5, 0, 0, 0))
    return nexthop(group, attr(nexthops.NHA_RES_GROUP | NLA_F_NESTED, wishes))


def test_a_resilient_group_is_the_same_at_any_time() -> None:
    assert nexthops.key(resilient(0)) == nexthops.key(resilient(99))
    sent = attrs(nexthops.message(resilient(99)).body[8:])
    wishes = attrs(sent[nexthops.NHA_RES_GROUP])
    assert set(wishes) == {1, 2}


def test_nests_say_that_they_are() -> None:
    """The kernel refuses those of a nexthop that do not."""
    body = nexthops.message(resilient(0)).body[8:]
    kind = nexthops.NHA_RES_GROUP | NLA_F_NESTED
    assert struct.pack("=H", kind) in (body[at : at + 2] for at in range(len(body)))


def test_what_the_kernel_only_says_is_not_sent() -> None:
    way = attr(nexthops.NHA_GATEWAY, GATEWAY) + attr_u32(nexthops.NHA_OIF, 4)
    shown = nexthop(attr_u32(nexthops.NHA_ID, 7), way, attr_u32(14, 3), flags=0x10)
    sent = nexthops.message(shown).body
    assert set(attrs(sent[8:])) == {1, 5, 6}
    assert sent[:8] == struct.pack("=BBBBI", V4, 0, 3, 0, 0)
    assert nexthops.gateways(shown) == {(V4, GATEWAY, 4)}
    assert nexthops.oif(shown) == 4
    assert nexthops.gateways(resilient(0)) == set()
