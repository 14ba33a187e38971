"""A port's detour MAC is its id behind the fixed head; a quarantine remembers the mode before it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl import abi
from pyctl.model.workload import Mode
from tests.unit.policy.makers import port, workload


@pytest.mark.parametrize("port_id", [1, 255, 256, 65535])
def test_the_detour_mac_is_the_abis(port_id):
    found = replace(port(1), port_id=port_id)
    assert bytes.fromhex(found.ucmac.replace(":", "")) == abi.ucmac(port_id)


def test_the_end_of_a_quarantine_is_the_mode_before_it():
    """Behaviour 14, also where that mode was forced."""
    free = workload("web")
    assert free.forced(Mode.QUARANTINE).forced(None) == free
    forced = free.forced(Mode.PROTECT)
    twice = forced.forced(Mode.QUARANTINE).forced(Mode.QUARANTINE)
    assert twice.forced(None) == forced
    assert forced.forced(None) == free


def test_another_mode_ends_a_quarantine_for_good():
    loose = workload("web").forced(Mode.PROTECT).forced(Mode.QUARANTINE)
    assert loose.forced(Mode.MONITOR).forced(None).forced_mode is None
