"""A node's sensors as they cross the control socket (struct sg_sensor_head).

In: sensors, their databases. Out: a block of bytes. I/O: none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pyctl.engine._binding import pack_array
from pyctl.model.sensors.sensor import (
    CONFIRM_NUMBERS,
    PARTS,
    SEVERITIES,
    Confirm,
    Databases,
    Sensor,
)


def pack_sensors(sensors: Sequence[Sensor], databases: Databases) -> bytes:
    """Pack the sensors with what finds their patterns; empty without any."""
    if not sensors:
        return b""
    texts = bytearray()
    rows = []
    for number, sensor in enumerate(sensors):
        for one in sensor.patterns:
            regex = one.regex.encode() if one.confirm is Confirm.PCRE2 else b""
            rows.append(
                (
                    len(texts),
                    len(regex),
                    number,
                    PARTS.index(one.part),
                    SEVERITIES.index(one.severity),
                    CONFIRM_NUMBERS[one.confirm],
                    int(sensor.show),
                    bytes(3),
                    f"{sensor.name}/{one.id}".encode(),
                )
            )
            texts += regex
    packed = pack_array("sg_pattern", rows)
    found = hashlib.sha256(packed + texts + b"".join(databases.by_part)).digest()
    key = [int.from_bytes(found[at : at + 4], "little") for at in (0, 4)]
    head = (key, len(rows), len(texts), [len(one) for one in databases.by_part])
    return b"".join(
        (
            pack_array("sg_sensor_head", [head]),
            packed,
            _filled(bytes(texts)),
            *map(_filled, databases.by_part),
        )
    )


def _filled(data: bytes) -> bytes:
    """Return the bytes filled up to a multiple of four."""
    return data + bytes(-len(data) % 4)
