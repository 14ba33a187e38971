"""Events as the engine sends them."""

from __future__ import annotations

import ipaddress

from pyctl.abi import REASON
from pyctl.engine.records import (
    ANSWERS,
    DIRECTIONS,
    KINDS,
    EngineEvent,
    constant,
    pack_array,
)
from pyctl.model.apps import NUMBERS, UNKNOWN

_KIND = {name: number for number, name in KINDS.items()}
_APP = {None: 0, **NUMBERS, "unknown": UNKNOWN}
_ANSWER = {answer: number for number, answer in ANSWERS.items()}


def packed(*events: EngineEvent) -> bytes:
    """Return the events as an array of struct sg_event."""
    return pack_array("sg_event", [_fields(event) for event in events])


def _address(text: str) -> bytes:
    return ipaddress.ip_address(text).packed if text else b""


def _proof(event: EngineEvent) -> int:
    if event.app in NUMBERS:
        return constant("SG_APP_GUESS" if event.app_guessed else "SG_APP_CERTAIN")
    return constant("SG_APP_UNPROVEN")


def _fields(event: EngineEvent) -> dict[str, object]:
    v6 = ":" in event.source
    return {
        "kind": _KIND[event.kind],
        "time_ns": event.last_seen_ns,
        "started_ns": event.created_ns,
        "packets": sum(event.packets),
        "bytes": sum(event.bytes),
        "back_packets": event.packets[1],
        "back_bytes": event.bytes[1],
        "kernel_packets": event.kernel_packets,
        "kernel_bytes": event.kernel_bytes,
        "rule_id": event.rule_id,
        "port_id": event.port_id,
        "reason": REASON[event.reason].number,
        "dir": DIRECTIONS[event.direction] if event.direction else 0,
        "family": constant("SEG_FAMILY_IPV6" if v6 else "SEG_FAMILY_IPV4")
        if event.source
        else 0,
        "proto": event.proto,
        "sport": event.sport,
        "dport": event.dport,
        "saddr": _address(event.source),
        "daddr": _address(event.destination),
        "violation": event.violation,
        "answer": _ANSWER[event.answer],
        "app": _APP[event.app],
        "proof": _proof(event),
        "flows": event.flows if event.flows > 1 else 0,
        "text": event.shown.encode(),
    }
