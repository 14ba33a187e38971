"""Engine and kernel events in the words of the event log.

In: events as the engine's client and the driver give them. Out: Event values. I/O: none.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyctl import abi
from pyctl.datapath.events import DropEvent
from pyctl.engine.records import EngineEvent, SensorHit
from pyctl.model.apps import UNKNOWN_NAME
from pyctl.model.flow import endpoint, shown_app
from pyctl.model.protocols import protocol_name
from pyctl.model.records import EventKind
from pyctl.model.threats import BY_NUMBER
from pyctl.state.names import Names
from pyctl.telemetry.events import Event

_KINDS: Mapping[str, EventKind] = {
    "drop": "denial",
    "violation": "violation",
    "staged": "staged",
    "threat": "threat",
    "sensor": "sensor",
}


def engine_event(event: EngineEvent, names: Names) -> Event | None:
    """Return a denial, a violation or a staged rule's denial; None for what the event log does not keep."""
    kind = _KINDS.get(event.kind)
    if kind is None:
        return None
    protocol = protocol_name(event.proto)
    is_threat = kind == "threat"
    return Event(
        kind,
        _what(event),
        workload=names.of_port(event.port_id),
        port_id=event.port_id or None,
        direction=event.direction,
        protocol=protocol,
        source=endpoint(event.source, protocol, event.sport or None),
        destination=endpoint(event.destination, protocol, event.dport or None),
        reason=_reason(event),
        rule_id=None if is_threat else event.rule_id or None,
        packets=max(1, sum(event.packets)),
        bytes=sum(event.bytes),
    )


def _what(event: EngineEvent) -> str:
    if event.hit:
        return _hit_message(event, event.hit)
    return _threat_message(event) if event.kind == "threat" else _message(event)


def _reason(event: EngineEvent) -> str:
    """Return the reason's name, or that of a threat, or of a sensor and its pattern."""
    if event.hit:
        return f"{event.hit.sensor}/{event.hit.pattern}"
    return threat_name(event.threat) if event.kind == "threat" else event.reason


def _hit_message(event: EngineEvent, hit: SensorHit) -> str:
    """Return the severity, where it matched, and what, if the sensor shows that."""
    place = "datagram or stream" if hit.part == "packet" else hit.part
    to = "server" if hit.to_server else "client"
    shown = f" …{hit.shown}" if hit.shown else ""
    ended = "" if event.reason == "none" else "; the flow was ended"
    return f"{hit.severity}: in the {place} to the {to}, up to byte {hit.offset}{shown}{ended}"


def _message(event: EngineEvent) -> str:
    """Return the reason's caption, with the flow's application where it is known."""
    caption = abi.REASON[event.reason].caption
    if event.shown:
        return f"{caption}: {event.shown}"
    app = shown_app(event.app, guessed=event.app_guessed)
    if app is None:
        return caption
    if event.app == UNKNOWN_NAME:
        app = "an unknown application"
    head = caption.removesuffix(" it")
    return f"{caption} ({app})" if head == caption else f"{head} {app}"


def threat_name(number: int) -> str:
    """Return a threat's name; the number as text if this version does not know it."""
    known = BY_NUMBER.get(number)
    return known.name if known else str(number)


def _threat_message(event: EngineEvent) -> str:
    """Return the threat's severity and trigger, and whether it was dropped."""
    known = BY_NUMBER.get(event.threat)
    what = f"{known.severity}: {known.trigger}" if known else "a threat"
    return what if event.reason == "none" else f"{what}; dropped"


def kernel_event(event: DropEvent, names: Names) -> Event:
    """Return the event of a drop (or would-be drop) that a BPF program reported."""
    text = abi.REASON[event.reason].caption
    if event.passed:
        text += " (passed: the mode only records)"
    source, destination = event.source_mac, event.destination_mac
    protocol = protocol_name(event.protocol)
    if event.source is not None and event.destination is not None:
        source = endpoint(event.source, protocol, event.source_port)
        destination = endpoint(event.destination, protocol, event.destination_port)
    return Event(
        "kernel-drop",
        text,
        workload=names.of_port(event.port_id),
        port_id=event.port_id or None,
        direction=event.direction,
        protocol=protocol if event.source else None,
        source=source,
        destination=destination,
        reason=event.reason,
        # The kernel tells the count of this CPU, port and reason, other flows' packets among them.
        packets=None,
    )
