"""Addresses as people write them."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from pyctl.api.schema.identity import Address
from tests import packets

ADDRESS = TypeAdapter(Address)


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        (packets.pod_one_ip4, f"{packets.pod_one_ip4}/32"),
        (f"{packets.pod_one_ip4}/24", f"{packets.pod_one_ip4}/24"),
        (packets.pod_one_ip6, f"{packets.pod_one_ip6}/128"),
        ("192.0.2.0/31", "192.0.2.0/31"),
        ("2001:db8::/127", "2001:db8::/127"),
        ("192.0.2.0", "192.0.2.0/32"),
        ("fe80::1/64", "fe80::1/64"),
    ],
)
def test_without_a_length_it_is_one_address(written, taken):
    assert ADDRESS.validate_python(written) == taken


@pytest.mark.parametrize("written", ["", "web", "10.0.0.0/33", "fe80::1/", "eth0"])
def test_what_is_no_address_is_refused(written):
    with pytest.raises(ValidationError, match="is no IP address"):
        ADDRESS.validate_python(written)


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("0.0.0.0/0", "a network"),
        ("::/0", "a network"),
        ("192.0.2.0/24", "a network"),
        ("2001:db8::/64", "a network"),
        ("192.0.2.255/24", "the broadcast address of its network"),
        ("255.255.255.255", "the broadcast address"),
        ("0.0.0.0", "the unspecified address"),
        ("::", "the unspecified address"),
        ("127.0.0.53/8", "a loopback address"),
        ("::1", "a loopback address"),
        ("224.0.0.5", "a multicast address"),
        ("ff02::1/64", "a multicast address"),
        (
            f"::ffff:{packets.pod_one_ip4}",
            "an IPv4-mapped address, which no packet has",
        ),
    ],
)
def test_what_no_single_host_has_is_refused(written, what):
    with pytest.raises(ValidationError, match=f"{what}, not an address of one host"):
        ADDRESS.validate_python(written)
