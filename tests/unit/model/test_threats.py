"""Threats by name and number, and settings as bits."""

from __future__ import annotations

import pytest

from pyctl.engine._binding import _ffi
from pyctl.model.threats import (
    BY_NAME,
    BY_NUMBER,
    DEFAULTS,
    THREATS,
    ThreatAction,
    ThreatBits,
    threat_bits,
)


def test_names_and_numbers_are_the_engines():
    known = {
        name.removeprefix("SG_THREAT_"): number
        for name, number in _ffi.ffi.typeof("enum sg_threat").relements.items()
    }
    numbers = sorted(known.values())
    assert sorted(BY_NUMBER) == numbers
    assert len(BY_NAME) == len(THREATS) == len(numbers)


def test_settings_are_sets_of_which_each_is_a_part_of_the_one_before():
    found = threat_bits(
        {
            "syn_flood": ThreatAction.OFF,
            "land": ThreatAction.ALERT,
            "teardrop": ThreatAction.DROP,
            "port_scan": ThreatAction.RESET,
        }
    )
    assert found == ThreatBits(
        on=1 << 6 | 1 << 4 | 1 << 10, drop=1 << 4 | 1 << 10, reset=1 << 10
    )


@pytest.mark.parametrize("threat", THREATS, ids=lambda one: one.name)
def test_what_takes_traffic_out_of_the_kernel_is_off_by_default(threat):
    assert not (threat.cost and DEFAULTS[threat.name] is not ThreatAction.OFF)


def test_nothing_is_answered_by_default():
    assert ThreatAction.RESET not in DEFAULTS.values()
