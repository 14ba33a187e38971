"""Sensors as bytes: what the engine finds where, and what makes two of them the same."""

from __future__ import annotations

from dataclasses import replace

from pyctl.engine._binding import ffi, sizeof
from pyctl.engine.sensor_records import pack_sensors
from pyctl.model.sensors.sensor import Confirm, Databases, Part, Pattern, Sensor

PATTERNS = (
    Pattern("first", "a+", Part.BODY, "high"),
    Pattern("second", "b(?=c)", Part.URL, confirm=Confirm.PCRE2),
)
SENSORS = (Sensor("one", PATTERNS[:1], show=True), Sensor("two", PATTERNS[1:]))
DATABASES = Databases((b"urls!", b"", b"bodies", b""))


def test_nothing_is_packed_without_sensors():
    assert pack_sensors((), Databases()) == b""


def test_patterns_texts_and_databases_follow_the_head():
    blob = pack_sensors(SENSORS, DATABASES)
    head = ffi.from_buffer("struct sg_sensor_head *", blob)
    assert (head.patterns, list(head.databases)) == (2, [5, 0, 6, 0])
    rows = ffi.cast("struct sg_pattern *", head + 1)
    assert [ffi.string(rows[at].name) for at in range(2)] == [
        b"one/first",
        b"two/second",
    ]
    told = [
        (one.sensor, one.part, one.severity, one.confirm, one.show) for one in rows[0:2]
    ]
    assert told == [(0, 2, 3, 0, 1), (1, 0, 2, 1, 0)]
    at = sizeof("sg_sensor_head") + 2 * sizeof("sg_pattern")
    assert blob[at:] == b"b(?=c)\0\0urls!\0\0\0bodies\0\0"


def key(*sensors: Sensor, databases: Databases = DATABASES) -> tuple[int, ...]:
    blob = pack_sensors(sensors, databases)
    return tuple(ffi.from_buffer("struct sg_sensor_head *", blob).key)


def test_the_key_tells_what_is_looked_for():
    assert key(*SENSORS) == key(*SENSORS)
    assert key(*SENSORS) != key(replace(SENSORS[0], show=False), SENSORS[1])
    assert key(*SENSORS) != key(*SENSORS, databases=Databases((b"other",) * 4))
