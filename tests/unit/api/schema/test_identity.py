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
    ],
)
def test_without_a_length_it_is_one_address(written, taken):
    assert ADDRESS.validate_python(written) == taken


@pytest.mark.parametrize("written", ["", "web", "10.0.0.0/33", "fe80::1/", "eth0"])
def test_what_is_no_address_is_refused(written):
    with pytest.raises(ValidationError, match="is no IP address"):
        ADDRESS.validate_python(written)
