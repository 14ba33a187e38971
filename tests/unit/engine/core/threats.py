"""Threats at a core: settings, and what it tells."""

from __future__ import annotations

from typing import Any

from pyctl import abi
from pyctl.model.apps import NUMBERS
from pyctl.model.threats import (
    BY_NUMBER,
    THREATS,
    ThreatAction,
    ThreatBits,
    threat_bits,
)
from tests.unit.engine.core.harness import THREAT, Core


def on(action: ThreatAction, *names: str) -> ThreatBits:
    """The same setting for these threats, all others off."""
    return threat_bits(dict.fromkeys(names, action))


def alert(*names: str) -> ThreatBits:
    return on(ThreatAction.ALERT, *names)


def drop(*names: str) -> ThreatBits:
    return on(ThreatAction.DROP, *names)


def told(core: Core) -> list[tuple[str, str, int]]:
    """(name, reason, packets) of each threat since the last call."""
    return [
        (BY_NUMBER[e.rule_id].name, abi.REASONS[e.reason].name, e.packets)
        for e in core.events()
        if e.kind == THREAT
    ]


def names(core: Core) -> list[str]:
    """The names of the threats since the last call."""
    return [name for name, _, _ in told(core)]


def payload(
    module: Any, client: bytes, server: bytes, app: str | None = None
) -> tuple[list[str], bool]:
    """The threats in what both sides have sent, and whether more may come."""
    ffi = module.ffi
    held = [ffi.from_buffer(client), ffi.from_buffer(server)]
    prefix = ffi.new("struct sg_prefix *", {"proto": 6})
    for side, data in enumerate(held):
        prefix.data[side] = ffi.cast("const uint8_t *", data)
        prefix.len[side] = len(data)
    more = ffi.new("int *")
    bits = module.lib.sg_payload_threats(prefix, NUMBERS.get(app or "", 0), more)
    return of_bits(bits), bool(more[0])


def of_bits(bits: int) -> list[str]:
    return [one.name for one in THREATS if bits >> one.number & 1]
