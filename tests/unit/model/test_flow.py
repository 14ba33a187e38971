"""An end of a flow is written in one way, which tells where the address ends and the port begins."""

from __future__ import annotations

import pytest

from pyctl.model.flow import endpoint, shown_app
from tests import packets


@pytest.mark.parametrize(
    ("address", "protocol", "port", "written"),
    [
        (packets.pod_one_ip4, "tcp", 80, f"{packets.pod_one_ip4}:80"),
        (packets.pod_one_ip6, "udp", 53, f"[{packets.pod_one_ip6}]:53"),
        ("web", "sctp", None, "web:*"),
        (packets.pod_one_ip6, "icmp6", 128 << 8, packets.pod_one_ip6),
        (packets.pod_one_ip4, "47", 0, packets.pod_one_ip4),
    ],
)
def test_an_end_has_its_port_where_there_are_ports(address, protocol, port, written):
    assert endpoint(address, protocol, port) == written


def test_a_guess_of_an_application_is_shown_as_one():
    assert shown_app("Redis", guessed=True) == "Redis?"
    assert shown_app("Redis", guessed=False) == "Redis"
    assert shown_app(None, guessed=False) is None
