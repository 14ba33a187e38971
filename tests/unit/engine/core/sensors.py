"""Sensors at a core: patterns, connections that are shown to them, and what is told.

In: patterns, bytes. Out: hits, what crossed. I/O: Vectorscan's compiler.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pyctl import abi
from pyctl.engine.node_records import pack_node
from pyctl.model.policy import Members, NodePolicy
from pyctl.model.sensors.sensor import (
    PARTS,
    Confirm,
    Pattern,
    Sensor,
    SensorAction,
    sensor_bits,
)
from pyctl.model.workload import Mode
from pyctl.platform.patterns.vectorscan import compile_sensors
from tests.unit.engine.core.app_flow import Wire, always
from tests.unit.engine.core.harness import EGRESS, SENSOR, Core
from tests.unit.engine.core.node import Node, head
from tests.unit.engine.core.wire import Net

DROP, RESET, ALERT, OFF = (
    SensorAction.DROP,
    SensorAction.RESET,
    SensorAction.ALERT,
    SensorAction.OFF,
)


def sensor(name: str, *patterns: Pattern, show: bool = False) -> Sensor:
    return Sensor(name, patterns, show)


def pattern(regex: str, part: str = "packet", **options: Any) -> Pattern:
    name = options.pop("id", "one")
    if "confirm" in options:
        options["confirm"] = Confirm(options["confirm"])
    return Pattern(name, regex, next(one for one in PARTS if one == part), **options)


SECRET = sensor("data", pattern("SECRET-[0-9]{4}"))


def shows(
    node: Node,
    *sensors: Sensor,
    action: SensorAction = DROP,
    mode: Mode = Mode.PROTECT,
    port: bool = True,
    **actions: SensorAction,
) -> int:
    """Let the port show sensors what passes; the generation. `port` False: its settings stay."""
    core = node.core
    core.generation += 1
    policy, generation = head(core.generation, mode=mode)
    settings = {one.name: actions.get(one.name, action) for one in sensors}
    policy = replace(policy, sensors=sensor_bits(sensors, settings))
    said = NodePolicy(rules=(always(),), sensors=sensors)
    stamped = [(policy, generation)] if port else []
    blob = pack_node(said, Members(), stamped, compile_sensors(sensors))
    assert node.swap(blob) == 0
    return generation


@dataclass(frozen=True)
class Hit:
    """An event of a sensor."""

    name: str
    dropped: bool
    side: int
    offset: int
    severity: int
    shown: str = ""


def hits(core: Core) -> list[Hit]:
    """The hits since the last call."""
    found = []
    for event in core.events():
        if event.kind != SENSOR:
            continue
        name, _, shown = core.ffi.string(event.text).decode().partition(" ")
        found.append(
            Hit(
                name,
                abi.REASONS[event.reason].name == "sensor",
                event.answer,
                event.back_bytes,
                event.back_packets & 0xFF,
                shown,
            )
        )
    return found


def opened(node: Node, net: Net, initiator: int = EGRESS, sport: int = 40000) -> Wire:
    return Wire(node.core, net, initiator, sport).opens()


class Segments:
    """Segments of one side by offset, in any order."""

    def __init__(self, wire: Wire, side: int = 0) -> None:
        self.wire, self.side = wire, side
        self._first = wire.connection.seq[side]

    def send(self, at: int, data: bytes, flags: str = "PA") -> list[bytes]:
        connection = self.wire.connection
        connection.seq[self.side] = self._first + at
        return self.wire.says(self.side, data, flags)

    def acknowledged(self, at: int) -> None:
        """The other side has taken all before this offset."""
        connection = self.wire.connection
        connection.seq[self.side] = self._first + at
        self.wire.acknowledges(1 - self.side)
