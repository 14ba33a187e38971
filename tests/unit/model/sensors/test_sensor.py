"""Sensors as values: what is compared, and numbers that the engine shares."""

from __future__ import annotations

from dataclasses import replace

from pyctl.engine._binding import constant
from pyctl.model.sensors import Confirm, Part, Pattern, Sensor, SensorAction
from pyctl.model.sensors.sensor import (
    CONFIRM_NUMBERS,
    MAX_CONFIRMED,
    MAX_PATTERNS,
    MAX_SENSORS,
    PARTS,
    SensorBits,
    sensor_bits,
)

ONE = Sensor("one", (Pattern("a", "b", Part.URL),), groups={"web": SensorAction.DROP})


def test_numbers_are_the_engines():
    for number, part in enumerate(PARTS):
        assert constant(f"SG_PART_{part.upper()}") == number
    for confirm, number in CONFIRM_NUMBERS.items():
        name = "NONE" if confirm is None else confirm.upper()
        assert constant(f"SG_CONFIRM_{name}") == number
    assert constant("SG_SENSORS_MAX") == MAX_SENSORS
    assert constant("SG_PATTERNS_MAX") == MAX_PATTERNS
    assert constant("SG_SENSOR_TAIL") == MAX_CONFIRMED
    assert Confirm.PCRE2 in CONFIRM_NUMBERS


def test_a_sensor_is_a_key_whatever_groups_do():
    assert hash(ONE) == hash(replace(ONE, groups={}))
    assert replace(ONE, groups={}) != ONE


def test_each_set_of_settings_is_a_part_of_the_one_before():
    two = replace(ONE, name="two")
    settings = {"one": SensorAction.RESET, "two": SensorAction.ALERT}
    assert sensor_bits((ONE, two), settings) == SensorBits(3, 1, 1)
    assert sensor_bits((ONE, two), {}) == SensorBits()
