"""Which addresses come by themselves."""

from __future__ import annotations

import socket
import struct

import pytest

from pyctl.platform.netlink import announced, l3
from pyctl.platform.netlink.raw import attr, attr_u32
from tests import packets


def address(text: str, flags: int, *more: bytes) -> bytes:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    body = struct.pack("=BBBBi", family, 64, flags & 0xFF, 0, 2)
    body += attr(l3.IFA_ADDRESS, socket.inet_pton(family, text))
    return body + attr_u32(l3.IFA_FLAGS, flags) + b"".join(more)


def lifetimes(valid: int) -> bytes:
    return attr(l3.IFA_CACHEINFO, struct.pack("=IIII", valid, valid, 1, 1))


@pytest.mark.parametrize(
    ("flags", "more", "made"),
    [
        (announced.IFA_F_TEMPORARY, (), True),
        (l3.IFA_F_MANAGETEMPADDR, (), True),
        (0, (attr(announced.IFA_PROTO, b"\2"),), True),
        (0, (attr(announced.IFA_PROTO, b"\3"),), False),
        (0, (lifetimes(600),), True),
        (0, (lifetimes(l3.INFINITE),), False),
        (l3.IFA_F_NODAD, (), False),
    ],
)
def test_it_is_known_by_its_flags_its_maker_or_its_lifetimes(flags, more, made):
    assert announced.made_by_router(address(packets.pod_one_ip6, flags, *more)) is made


def test_an_ipv4_address_is_somebodys():
    lease = address(packets.pod_one_ip4, announced.IFA_F_TEMPORARY, lifetimes(600))
    assert not announced.made_by_router(lease)


@pytest.mark.parametrize(
    ("scope", "more", "its_own"),
    [
        (l3.RT_SCOPE_LINK, (attr(announced.IFA_PROTO, b"\3"),), True),
        (l3.RT_SCOPE_LINK, (), True),
        (l3.RT_SCOPE_LINK, (attr(announced.IFA_PROTO, b"\4"),), False),
        (l3.RT_SCOPE_UNIVERSE, (attr(announced.IFA_PROTO, b"\3"),), False),
    ],
)
def test_a_link_local_one_that_the_kernel_makes_comes_by_itself(scope, more, its_own):
    body = address(packets.link_local_ip6, 0, *more)
    body = body[:3] + bytes([scope]) + body[4:]
    assert announced.comes_by_itself(body) is its_own
    assert announced.comes_by_itself(address(packets.pod_one_ip6, 0, lifetimes(60)))
