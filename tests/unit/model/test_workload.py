"""A port's detour MAC is its id behind the fixed head."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl import abi
from tests.unit.policy.makers import port


@pytest.mark.parametrize("port_id", [1, 255, 256, 65535])
def test_the_detour_mac_is_the_abis(port_id):
    found = replace(port(1), port_id=port_id)
    assert bytes.fromhex(found.ucmac.replace(":", "")) == abi.ucmac(port_id)
