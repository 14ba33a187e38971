"""A recorded flow in the words of a policy."""

from __future__ import annotations

import pytest

from tests import packets
from tests.unit.policy.flows import seen


@pytest.mark.parametrize(
    ("protocol", "number", "service", "proto"),
    [
        ("tcp", 80, "tcp/80", 6),
        ("udp", None, "udp/*", 17),
        ("icmp", 8, "icmp", 1),
        ("icmp6", 128, "icmp", 58),
        ("47", 0, "47", 47),
    ],
)
def test_what_is_spoken_has_a_name_and_a_number(protocol, number, service, proto):
    flow = seen("web-1", "app", number, protocol=protocol)
    assert (flow.service, flow.number) == (service, proto)


def test_ends_are_shown_by_name_where_they_have_one():
    flow = seen("web-1", packets.world_ip6)
    assert (flow.source.shown, flow.target.shown) == ("web-1", packets.world_ip6)
    assert flow.version == 6
