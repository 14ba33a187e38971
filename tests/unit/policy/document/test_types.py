"""A port's protocol is one number, but for ICMP, which IPv6 has another of."""

from __future__ import annotations

import pytest

from pyctl.policy.document.types import PortSpec


@pytest.mark.parametrize(
    ("proto", "numbers"),
    [("tcp", (6,)), ("icmp", (1, 58)), ("icmpv6", (58,)), ("any", (0,))],
)
def test_icmp_is_another_protocol_in_ipv6(proto, numbers):
    assert PortSpec(proto, proto).numbers == numbers
