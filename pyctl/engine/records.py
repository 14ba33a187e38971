"""What crosses the control socket besides JSON: policies in, events and sessions out.

In: model values or packed structs of sg_core.h. Out: the other of the two. I/O: none.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address
from typing import Any

from pyctl.abi import REASONS, layout
from pyctl.engine._binding import constant, ffi, lib, pack_array, sizeof
from pyctl.errors import SegctlError
from pyctl.model.apps import app_name
from pyctl.model.flow import Answer, Look
from pyctl.model.policy import Action, Direction, PortPolicy, PortRule
from pyctl.model.sensors.sensor import PARTS, SEVERITIES
from pyctl.model.text import printable
from pyctl.model.workload import Mode

MODES = {
    Mode.DISCOVER: constant("SEG_MODE_DISCOVER"),
    Mode.MONITOR: constant("SEG_MODE_MONITOR"),
    Mode.PROTECT: constant("SEG_MODE_PROTECT"),
    Mode.QUARANTINE: constant("SEG_MODE_QUARANTINE"),
}
ACTIONS = {
    Action.ALLOW: constant("SEG_VERDICT_ALLOW"),
    Action.DENY: constant("SEG_VERDICT_DENY"),
    Action.REJECT: constant("SEG_VERDICT_DENY"),
}
DIRECTIONS = {
    Direction.EGRESS: constant("SEG_DIR_EGRESS"),
    Direction.INGRESS: constant("SEG_DIR_INGRESS"),
}
KINDS = {
    constant("SG_EVENT_FLOW_END"): "flow_end",
    constant("SG_EVENT_DROP"): "drop",
    constant("SG_EVENT_VIOLATION"): "violation",
    constant("SG_EVENT_STAGED"): "staged",
    constant("SG_EVENT_THREAT"): "threat",
    constant("SG_EVENT_SENSOR"): "sensor",
}
ANSWERS = {
    constant("SG_ANSWERED_NOT"): Answer.NONE,
    constant("SG_ANSWERED_OPEN"): Answer.OPEN,
    constant("SG_ANSWERED_DATA"): Answer.DATA,
}
LOOKS = {
    constant("SG_LOOK_NONE"): Look.NONE,
    constant("SG_LOOK_PENDING"): Look.PENDING,
    constant("SG_LOOK_DECIDED"): Look.DECIDED,
    constant("SG_LOOK_OVER"): Look.OVER,
    constant("SG_LOOK_REQUESTS"): Look.REQUESTS,
    constant("SG_LOOK_SENSORS"): Look.SENSORS,
}
WIRE = {
    name: layout(ffi, name)
    for name in (
        *("sg_policy", "sg_rule", "sg_node_head", "sg_node_rule"),
        *("sg_node_condition", "sg_node_spec", "sg_node_cidr", "sg_node_fqdn"),
        *("sg_member", "sg_event", "sg_session_info", "sg_hit"),
        *("sg_name_record", "sg_name_query", "sg_name_counts"),
        *("sg_sensor_head", "sg_pattern"),
    )
}
"""Layouts that agent and engine must agree on, besides segctl_abi.h."""
HIT_DEFAULT = constant("SG_HIT_DEFAULT")
_DIRECTION_OF = {number: direction for direction, number in DIRECTIONS.items()}
_ACTION_OF = {ACTIONS[action]: action for action in (Action.ALLOW, Action.DENY)}
_FAMILY_OF = {4: constant("SEG_FAMILY_IPV4"), 6: constant("SEG_FAMILY_IPV6")}
_DROP = constant("SG_EVENT_DROP")
_THREAT = constant("SG_EVENT_THREAT")
_SENSOR = constant("SG_EVENT_SENSOR")
_GUESS = constant("SG_APP_GUESS")
EVENT_BYTES = sizeof("sg_event")
_EVENT_PORT = ffi.offsetof("struct sg_event", "port_id")
_POLICY_BYTES = sizeof("sg_policy")
_RULE_BYTES = sizeof("sg_rule")


@dataclass(frozen=True, kw_only=True)
class EngineFlow:
    """A flow at one port as the engine tells of it; addresses and ports as the initiator wrote them."""

    port_id: int
    direction: Direction | None
    """The direction in which the flow was initiated."""
    proto: int
    source: str
    sport: int
    """ICMP: type << 8 | code. 0: many, in a sum of drops."""
    destination: str
    dport: int
    """ICMP: the identifier. 0: many."""
    verdict: Action | None
    rule_id: int
    """0: no rule decided, the default did."""
    reason: str = "none"
    """Why the flow is denied, or would be."""
    violation: bool
    """The flow passed only because the mode does not enforce."""
    created_ns: int
    """CLOCK_MONOTONIC, as last_seen_ns."""
    last_seen_ns: int
    packets: tuple[int, int]
    """Packets from the initiator, and back."""
    bytes: tuple[int, int]
    kernel_packets: int = 0
    """How many of `packets` the kernel carried, both directions."""
    kernel_bytes: int = 0
    answer: Answer = Answer.NONE
    app: str | None = None
    """The application by its name in model.apps, `unknown` for one that is none of these. None: not known, or
    nobody looked."""
    app_guessed: bool = False
    """One side's bytes look like `app`; it is not certain."""
    shown: str = ""
    """The name in its handshake, or `METHOD HOST/PATH` of its last request, or of the one that an event is about; "": none
    is known.
    """
    flows: int = 1
    """How many ended flows this is the sum of."""


@dataclass(frozen=True)
class SensorHit:
    """A match of a sensor's pattern."""

    sensor: str
    pattern: str
    part: str
    severity: str
    to_server: bool
    """Who opened the flow sent it."""
    offset: int
    """In its part, after the last byte that matched."""
    shown: str = ""
    """The end of what matched, if the sensor shows that."""


@dataclass(frozen=True, kw_only=True)
class EngineEvent(EngineFlow):
    """An event of a flow; only `flow_end` has counts of both directions."""

    kind: str
    """`flow_end`, `drop`, `violation`, `staged`, `threat` or `sensor`."""
    threat: int = 0
    """Of a threat: its number in model.threats, which `rule_id` is, too. `reason` tells whether it was dropped."""
    hit: SensorHit | None = None
    """Of a sensor. `reason` tells whether the flow was ended."""


@dataclass(frozen=True, kw_only=True)
class Session(EngineFlow):
    """A session that the engine has."""

    id: int
    tcp_state: int
    """The kernel's number (1: established)."""
    cached: bool
    """The kernel carries the flow."""
    midstream: bool
    """The connection was open before the engine saw it."""
    generation: int
    timeout_ns: int
    look: Look = Look.NONE
    ended: bool = False
    """The session is over and its flow_end was sent; only its record lingers."""
    keys: tuple[int, ...] = ()
    """NodeRule.key of the rule that decides, and of the staged one that would."""


@dataclass(frozen=True)
class Hit:
    """A count of how often a rule has decided since the engine's counting began."""

    key: int
    """NodeRule.key, or HIT_DEFAULT: no rule."""
    hits: int
    last_ns: int
    """CLOCK_MONOTONIC; a flow was judged by it, or was seen to go on."""


@dataclass(frozen=True)
class LearntName:
    """An address that a port learnt from an answer of DNS, with the name that was asked for."""

    port_id: int
    address: str
    asked: str
    matched: str | None
    """The first name of the chain of CNAMEs that is in a group; None: none is."""
    resolver: str
    learnt_ns: int
    """CLOCK_MONOTONIC, as expires_ns: when it was told last."""
    expires_ns: int
    """When TTL and grace are over; a name in use is kept all the same."""
    ttl: int
    used: bool
    """A flow between the port and the address lives."""
    is_hint: bool
    """Of an HTTPS or SVCB record."""
    groups: tuple[int, ...]
    """The first groups that the names put the address in, by number."""
    group_count: int


def _rule(rule: PortRule) -> dict[str, Any]:
    peer = rule.peer
    return {
        "id": rule.rule_id,
        "dir": 0 if rule.direction is None else DIRECTIONS[rule.direction],
        "family": 0
        if peer is None
        else constant(
            "SEG_FAMILY_IPV4" if isinstance(peer, IPv4Network) else "SEG_FAMILY_IPV6"
        ),
        "proto": rule.proto,
        "action": ACTIONS[rule.action],
        "peer": b"" if peer is None else peer.network_address.packed,
        "prefix_len": 0 if peer is None else peer.prefixlen,
        "port_lo": rule.port_lo,
        "port_hi": rule.port_hi,
    }


def pack_policy(policy: PortPolicy, generation: int) -> bytes:
    """Pack a struct sg_policy and its rules; SegctlError for a field that does not fit its struct."""
    try:
        head = {
            "generation": generation,
            "port_id": policy.port_id,
            "mode": MODES[policy.mode],
            "default_verdict": ACTIONS[policy.default],
            "flags": _flags(policy),
            "mac": bytes.fromhex(policy.mac.replace(":", "")),
            "segment": policy.segment,
            "rule_count": len(policy.rules or ()),
            "threats": vars(policy.threats),
            "sensors": vars(policy.sensors),
        }
        rules = pack_array("sg_rule", [_rule(rule) for rule in policy.rules or ()])
        return pack_array("sg_policy", [head]) + rules
    except (OverflowError, ValueError, IndexError) as error:
        raise SegctlError(
            f"packing the policy of port {policy.port_id}: {error}"
        ) from error


def _flags(policy: PortPolicy) -> int:
    said = (
        (policy.deny_rst, "SG_POLICY_DENY_RST"),
        (not policy.cache, "SG_POLICY_NO_CACHE"),
        (policy.rules is None, "SG_POLICY_NODE"),
        (policy.serves_dhcp, "SG_POLICY_SERVES_DHCP"),
    )
    return sum(constant(name) for wanted, name in said if wanted)


def view_policy(blob: bytes) -> tuple[Any, Any]:
    """Return (policy, rules) as C pointers into `blob`, which must live as long as they are used.

    Raises SegctlError where the sizes contradict each other; the fields' values are C's to check.
    """
    if len(blob) < _POLICY_BYTES:
        raise SegctlError(
            f"a policy has {_POLICY_BYTES} bytes at least, these are {len(blob)}"
        )
    data = ffi.from_buffer(blob)
    policy = ffi.cast("const struct sg_policy *", data)
    expected = _POLICY_BYTES + policy.rule_count * _RULE_BYTES
    if len(blob) != expected:
        raise SegctlError(
            f"a policy of {policy.rule_count} rules has {expected} bytes, these are {len(blob)}"
        )
    return policy, ffi.cast("const struct sg_rule *", data + _POLICY_BYTES)


def _address(family: int, raw: Any) -> str:
    packed = bytes(raw)
    if family == constant("SEG_FAMILY_IPV4"):
        return socket.inet_ntop(socket.AF_INET, packed[:4])
    return socket.inet_ntop(socket.AF_INET6, packed) if family else ""


def _array(struct: str, blob: bytes) -> Any:
    size = sizeof(struct)
    if len(blob) % size:
        raise SegctlError(f"{len(blob)} bytes are no whole number of struct {struct}")
    # A copy in C's memory: bytes need not be aligned.
    array = ffi.new(f"struct {struct}[]", len(blob) // size)
    ffi.buffer(array)[:] = blob
    return array


def events(blob: bytes) -> list[EngineEvent]:
    """Return the events of an array of struct sg_event; SegctlError for a wrong size."""
    return [
        EngineEvent(
            kind=KINDS.get(raw.kind, str(raw.kind)),
            verdict=Action.DENY if raw.kind == _DROP else Action.ALLOW,
            created_ns=raw.started_ns or raw.time_ns,
            last_seen_ns=raw.time_ns,
            packets=(raw.packets - raw.back_packets, raw.back_packets),
            bytes=(raw.bytes - raw.back_bytes, raw.back_bytes),
            flows=raw.flows or 1,
            threat=raw.rule_id if raw.kind == _THREAT else 0,
            **_flow(raw),
        )
        if raw.kind != _SENSOR
        else _hit(raw)
        for raw in _array("sg_event", blob)
    ]


def _hit(raw: Any) -> EngineEvent:
    """Return the event of a sensor, which has other things in some fields."""
    name, _, shown = _text(raw.text).partition(" ")
    sensor, _, pattern = name.partition("/")
    part, severity = raw.back_packets >> 8, raw.back_packets & 0xFF
    hit = SensorHit(
        sensor=sensor,
        pattern=pattern,
        part=PARTS[part] if part < len(PARTS) else str(part),
        severity=SEVERITIES[min(severity, len(SEVERITIES) - 1)],
        to_server=not raw.answer,
        offset=raw.back_bytes,
        shown=shown,
    )
    flow = {**_flow(raw), "answer": Answer.DATA, "rule_id": 0}
    return EngineEvent(
        kind=KINDS[raw.kind],
        verdict=Action.ALLOW,
        created_ns=raw.time_ns,
        last_seen_ns=raw.time_ns,
        packets=(raw.packets, 0),
        bytes=(raw.bytes, 0),
        hit=hit,
        **flow,
    )


def events_per_port(blob: bytes) -> Counter[int]:
    """Return how many of an array of struct sg_event each port has."""
    return Counter(memoryview(blob).cast("H")[_EVENT_PORT // 2 :: EVENT_BYTES // 2])


def folded(blob: bytes, ports: Iterable[int]) -> bytes:
    """Return the events with each crowd of ended flows at these ports as one, as sg_event_fold tells them."""
    array = _array("sg_event", blob)
    wanted = ffi.new("__u8[]", constant("SEG_PORT_IDS"))
    for port_id in ports:
        wanted[port_id] = 1
    left = lib.sg_event_fold(array, len(array), wanted)
    return bytes(ffi.buffer(array, left * EVENT_BYTES))


def sessions(blob: bytes) -> list[Session]:
    """Return the sessions of an array of struct sg_session_info; SegctlError for a wrong size."""
    return [
        Session(
            id=raw.id,
            verdict=_ACTION_OF.get(raw.verdict),
            tcp_state=raw.tcp_state,
            cached=bool(raw.cached),
            midstream=bool(raw.midstream),
            generation=raw.generation,
            created_ns=raw.created_ns,
            last_seen_ns=raw.last_seen_ns,
            timeout_ns=raw.timeout_ns,
            packets=(raw.packets[0], raw.packets[1]),
            bytes=(raw.bytes[0], raw.bytes[1]),
            look=LOOKS[raw.look],
            ended=bool(raw.ended),
            keys=tuple(key for key in (raw.keys.rule, raw.keys.staged) if key),
            **_flow(raw),
        )
        for raw in _array("sg_session_info", blob)
    ]


def _flow(raw: Any) -> dict[str, Any]:
    """Return the fields that an event and a session have in common."""
    return {
        "port_id": raw.port_id,
        "direction": _DIRECTION_OF.get(raw.dir),
        "proto": raw.proto,
        "source": _address(raw.family, raw.saddr),
        "sport": raw.sport,
        "destination": _address(raw.family, raw.daddr),
        "dport": raw.dport,
        "rule_id": raw.rule_id,
        "reason": reason_name(raw.reason),
        "violation": bool(raw.violation),
        "kernel_packets": raw.kernel_packets,
        "kernel_bytes": raw.kernel_bytes,
        "answer": ANSWERS[raw.answer],
        "app": app_name(raw.app),
        "app_guessed": raw.proof == _GUESS,
        "shown": printable(_text(raw.text)),
    }


def hits(blob: bytes) -> list[Hit]:
    """Return the hits of an array of struct sg_hit; SegctlError for a wrong size."""
    return [Hit(raw.key, raw.hits, raw.last_ns) for raw in _array("sg_hit", blob)]


def names(blob: bytes) -> list[LearntName]:
    """Return the names of an array of struct sg_name_record; SegctlError for a wrong size."""
    return [
        LearntName(
            port_id=raw.port_id,
            address=_address(raw.family, raw.address),
            asked=_text(raw.asked),
            matched=_text(raw.matched) or None,
            resolver=_address(raw.resolver_family, raw.resolver),
            learnt_ns=raw.learnt_ns,
            expires_ns=raw.expires_ns,
            ttl=raw.ttl,
            used=bool(raw.used),
            is_hint=bool(raw.is_hint),
            groups=tuple(raw.groups)[: raw.group_count],
            group_count=raw.group_count,
        )
        for raw in _array("sg_name_record", blob)
    ]


def pack_peers(peers: Iterable[tuple[int, str]]) -> bytes:
    """Pack ports with addresses as an array of struct sg_name_query."""
    rows = [
        (port_id, _FAMILY_OF[ip.version], 0, ip.packed)
        for port_id, text in peers
        for ip in (ip_address(text),)
    ]
    return pack_array("sg_name_query", rows)


def _text(raw: Any) -> str:
    return str(ffi.string(raw).decode("ascii", "replace"))


def reason_name(number: int) -> str:
    """Return a reason's name; the number as text if this version does not know it."""
    return REASONS[number].name if number < len(REASONS) else str(number)
