"""A port's protocol is a number that depends on the IP version only for ICMP."""

from __future__ import annotations

import pytest

from pyctl.policy.document import PortSpec


@pytest.mark.parametrize(
    ("proto", "four", "six"),
    [("tcp", 6, 6), ("udp", 17, 17), ("icmp", 1, 58), ("any", 0, 0)],
)
def test_icmp_is_another_protocol_in_ipv6(proto, four, six):
    spec = PortSpec(proto, proto)
    assert (spec.number(4), spec.number(6)) == (four, six)
