"""Neighbours: who set them, what is sent back, what counts."""

from __future__ import annotations

import socket
import struct

import pytest

from pyctl.platform.netlink import l3, neighbours
from pyctl.platform.netlink.raw import attr, attr_u32, attrs

REACHABLE, INCOMPLETE = 0x02, 0x01
MAC = attr(neighbours.NDA_LLADDR, b"\2\0\0\0\0\7")
MANAGED = attr_u32(neighbours.NDA_FLAGS_EXT, neighbours.NTF_EXT_MANAGED)
GROUP = 5


def neighbour(state: int, *more: bytes, flags: int = 0, kind: int = l3.RTN_UNICAST):
    head = struct.pack("=BxxxiHBB", socket.AF_INET, 2, state, flags, kind)
    found = attr(neighbours.NDA_DST, b"\1\2\3\4")
    return head + found + attr(neighbours.NDA_CACHEINFO, bytes(16)) + b"".join(more)


def state_of(body: bytes) -> int:
    sent = neighbours.neighbour_message(body).body
    return int(struct.unpack_from("=BxxxiHBB", sent)[2])


@pytest.mark.parametrize(
    ("body", "is_set"),
    [
        (neighbour(REACHABLE, MAC), False),
        (neighbour(neighbours.NUD_PERMANENT, MAC), True),
        (neighbour(neighbours.NUD_NOARP, MAC), True),
        (neighbour(neighbours.NUD_NOARP, MAC, kind=GROUP), False),
        (neighbour(0, flags=neighbours.NTF_PROXY), True),
        (neighbour(REACHABLE, MAC, flags=neighbours.NTF_EXT_LEARNED), True),
        (neighbour(INCOMPLETE, MANAGED), True),
    ],
    ids=["learned", "permanent", "noarp", "group", "proxy", "told", "managed"],
)
def test_who_made_it_is_known(body: bytes, *, is_set: bool) -> None:
    assert neighbours.is_set(body) is is_set


def test_a_learned_one_comes_back_stale_and_a_set_one_as_it_was() -> None:
    assert state_of(neighbour(REACHABLE, MAC)) == neighbours.NUD_STALE
    for state in (neighbours.NUD_PERMANENT, neighbours.NUD_NOARP):
        assert state_of(neighbour(state, MAC)) == state
    one, two = neighbour(REACHABLE, MAC), neighbour(0x08, MAC)
    assert neighbours.neighbour_key(one) == neighbours.neighbour_key(two)


def test_the_kernel_goes_on_looking_for_a_managed_one() -> None:
    known, sought = neighbour(REACHABLE, MAC, MANAGED), neighbour(INCOMPLETE, MANAGED)
    assert state_of(known) == neighbours.NUD_STALE
    assert state_of(sought) == neighbours.NUD_NONE
    sent = attrs(neighbours.neighbour_message(sought).body[12:])
    assert neighbours.NDA_FLAGS_EXT in sent
    assert neighbours.neighbour_key(known) == neighbours.neighbour_key(sought)
