"""The node's policy as it crosses the control socket: one block of bytes, whole or as a delta.

In: model values. Out: struct sg_node_head and what it counts (sg_core.h). I/O: none.
Ten thousand rules are packed in a few hundredths of a second: that is why they are no JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from pyctl.engine._binding import constant, ffi, pack_array
from pyctl.engine.records import ACTIONS, DIRECTIONS, pack_policy
from pyctl.engine.sensor_records import pack_sensors
from pyctl.errors import SegctlError
from pyctl.model.policy import (
    Action,
    Condition,
    Field,
    Members,
    NodePolicy,
    NodeRule,
    PortMatch,
    PortPolicy,
)
from pyctl.model.sensors.sensor import NO_DATABASES, Databases

Policies = Sequence[tuple[PortPolicy, int]]
"""Policies with their generations."""
_STAGED = constant("SG_RULE_STAGED")
_REJECT = constant("SG_RULE_REJECT")
_VERIFIES = constant("SG_RULE_VERIFIES")
_FIRST, _ALSO = constant("SG_HOLDER_FIRST"), constant("SG_HOLDER_ALSO")
_FAMILIES = {4: constant("SEG_FAMILY_IPV4"), 6: constant("SEG_FAMILY_IPV6")}


def pack_node(
    node: NodePolicy,
    members: Members,
    policies: Policies,
    databases: Databases = NO_DATABASES,
) -> bytes:
    """Pack the whole policy, and the policies of the ports that change with it; `databases` find its sensors' patterns."""
    sensors = pack_sensors(node.sensors, databases)
    return _pack(node, members, policies, sensors, whole=True)


def pack_members(node: NodePolicy, members: Members, policies: Policies) -> bytes:
    """Pack the groups of those whose groups changed; an address without groups belongs to nobody any more."""
    return _pack(node, members, policies, b"", whole=False)


def _pack(
    node: NodePolicy,
    members: Members,
    policies: Policies,
    sensors: bytes,
    *,
    whole: bool,
) -> bytes:
    specs: list[tuple[int, int, int, int]] = []
    first: dict[tuple[PortMatch, ...], int] = {}
    rules = []
    conditions = _numbered(node.rules if whole else ())
    for rule in node.rules if whole else ():
        if rule.ports not in first:
            first[rule.ports] = len(specs)
            specs += [(one.proto, 0, one.low, one.high) for one in rule.ports]
        at = first[rule.ports]
        rules.append(
            (
                rule.rule_id,
                rule.source,
                rule.target,
                at,
                len(rule.ports),
                ACTIONS[rule.action],
                DIRECTIONS[rule.direction] if rule.direction else 0,
                _flags(rule),
                ACTIONS[rule.app_unknown] if rule.app_unknown else 0,
                rule.key,
                rule.apps,
                conditions[rule.condition] if rule.condition else 0,
            )
        )
    cidrs = [
        (number, _FAMILIES[net.version], net.prefixlen, b"", net.network_address.packed)
        for number, nets in (node.cidrs.items() if whole else ())
        for net in nets
    ]
    fqdns = [
        (number, one.subdomains, len(one.name), bytes(2), one.name.encode())
        for number, names in (node.fqdns.items() if whole else ())
        for one in names
    ]
    rows, groups = _members(members)
    try:
        asked, texts = _conditions(conditions)
        head = {
            "groups": len(node.groups),
            "policies": len(policies),
            "rules": len(rules),
            "specs": len(specs),
            "cidrs": len(cidrs),
            "fqdns": len(fqdns),
            "members": len(rows),
            "member_groups": len(groups),
            "conditions": len(asked),
            "texts": len(texts),
            "sensors": len(sensors),
        }
        return b"".join(
            (
                pack_array("sg_node_head", [head]),
                *(pack_policy(policy, number) for policy, number in policies),
                pack_array("sg_node_rule", rules),
                pack_array("sg_node_condition", asked),
                pack_array("sg_node_spec", specs),
                pack_array("sg_node_cidr", cidrs),
                pack_array("sg_node_fqdn", fqdns),
                pack_array("sg_member", rows),
                bytes(ffi.buffer(ffi.new("__u32[]", groups))),
                sensors,
                texts,
            )
        )
    except (OverflowError, ValueError, IndexError) as error:
        raise SegctlError(f"packing the node's policy: {error}") from error


def _numbered(rules: Iterable[NodeRule]) -> dict[Condition, int]:
    """Return each condition with its index + 1, ascending by key."""
    found = {rule.condition for rule in rules if rule.condition}
    return {one: at for at, one in enumerate(sorted(found, key=_key), 1)}


def _items(condition: Condition) -> bytes:
    return b"".join(
        bytes((field,)) + len(text).to_bytes(2, "big") + text
        for field, text in condition.items
    )


def _key(condition: Condition) -> int:
    """Return the condition's key, which is the same under each policy, and not 0."""
    of = bytes((condition.denies,)) + condition.rule.to_bytes(8, "big")
    meaning = hashlib.sha256(of + _items(condition)).digest()
    return int.from_bytes(meaning[:8], "big") | 1


def _conditions(
    conditions: Iterable[Condition],
) -> tuple[list[tuple[int, int, int, int]], bytes]:
    """Return the rows of struct sg_node_condition, and the bytes of their items."""
    rows, texts = [], bytearray()
    for one in conditions:
        items = _items(one)
        rows.append((_key(one), len(texts), len(items), int(one.denies)))
        texts += items
    return rows, bytes(texts)


def _flags(rule: NodeRule) -> int:
    staged = _STAGED if rule.staged else 0
    items = rule.condition.items if rule.condition else ()
    if any(name == Field.NAME for name, _ in items):
        staged |= _VERIFIES
    return staged | (_REJECT if rule.action is Action.REJECT else 0)


def _members(members: Members) -> tuple[list[tuple[Any, ...]], list[int]]:
    groups: list[int] = []
    first: dict[tuple[int, ...], int] = {}

    def place(of: tuple[int, ...]) -> tuple[int, int]:
        if of not in first:
            first[of] = len(groups)
            groups.extend(of)
        return first[of], len(of)

    rows: list[tuple[Any, ...]] = [
        (0, 0, port_id, b"", *place(of), 0) for port_id, of in members.ports.items()
    ]
    rows += [
        (_FAMILIES[ip.version], 0, 0, ip.packed, *place(of), 0)
        for ip, of in members.addresses.items()
    ]
    rows += [
        (
            _FAMILIES[ip.version],
            _ALSO if number else _FIRST,
            0,
            ip.packed,
            *place(of),
            segment,
        )
        for ip, each in members.shared.items()
        for number, (of, segment) in enumerate(
            (one.groups, segment) for one in each for segment in one.segments or (0,)
        )
    ]
    return rows, groups


def changed_members(
    before: Members,
    after: Members,
    ports: Iterable[int],
    addresses: Iterable[IPv4Address | IPv6Address],
) -> Members:
    """Return the members that a delta must contain; `before` and `after` use the group numbers of one policy.
    A port that is gone is left out: it is deleted by itself.
    """
    return Members(
        {
            key: of
            for key in ports
            if (of := after.ports.get(key)) is not None and before.ports.get(key) != of
        },
        {
            ip: after.addresses.get(ip, ())
            for ip in addresses
            if ip not in after.shared and before.of_address(ip) != after.of_address(ip)
        },
        {
            ip: each
            for ip in addresses
            if (each := after.shared.get(ip)) and before.of_address(ip) != each
        },
    )
