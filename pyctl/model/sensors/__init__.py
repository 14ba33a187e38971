"""Sensors: patterns that the engine looks for in payload, and what a workload does at each.

sensor   Sensor, Pattern, Part, Confirm; limits     shipped  the sets that a sensor may use by their names
data, attacks   those sets, by what they find        parts    a pattern in several parts

In and out: values. No I/O. May import errors and model's other modules; everybody may import it.
"""

from pyctl.model.sensors.sensor import (
    CONFIRM_NUMBERS,
    Confirm,
    Part,
    Pattern,
    Sensor,
    SensorAction,
    SensorBits,
)

__all__ = [
    "CONFIRM_NUMBERS",
    "Confirm",
    "Part",
    "Pattern",
    "Sensor",
    "SensorAction",
    "SensorBits",
]
