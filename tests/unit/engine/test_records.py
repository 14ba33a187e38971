"""What Python packs is what C reads."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from pyctl.engine import records
from pyctl.engine._binding import constant, ffi, pack_array, sizeof
from pyctl.errors import SegctlError
from pyctl.model.flow import Look
from pyctl.model.policy import Action, Direction, PortPolicy, PortRule
from pyctl.model.workload import Mode
from tests import packets

RULES = (
    PortRule(
        7, Direction.INGRESS, ip_network(packets.net_ip4), 6, 80, 443, Action.ALLOW
    ),
    PortRule(8, None, ip_network(packets.net_ip6), 17, 53, 53, Action.DENY),
    PortRule(9, Direction.EGRESS, None, 0, 0, 65535, Action.ALLOW),
)


def policy(**changes):
    fields = {
        "port_id": 300,
        "mode": Mode.PROTECT,
        "mac": packets.pod_one_mac,
        "rules": RULES,
        "default": Action.DENY,
        "deny_rst": True,
    }
    return PortPolicy(**{**fields, **changes})


def test_a_policy_arrives_in_c_as_it_was_said():
    blob = records.pack_policy(policy(), 99)
    head, rules = records.view_policy(blob)
    assert (head.generation, head.port_id, head.rule_count) == (99, 300, 3)
    assert head.mode == constant("SEG_MODE_PROTECT")
    assert head.default_verdict == constant("SEG_VERDICT_DENY")
    assert head.flags == constant("SG_POLICY_DENY_RST")
    uncached = records.pack_policy(policy(deny_rst=False, cache=False), 99)
    head, _rules = records.view_policy(uncached)
    assert head.flags == constant("SG_POLICY_NO_CACHE")
    assert bytes(head.mac) == bytes.fromhex(packets.pod_one_mac.replace(":", ""))
    first, second, third = (rules[i] for i in range(3))
    assert (first.id, first.dir, first.family, first.proto) == (7, 2, 4, 6)
    assert (first.prefix_len, first.port_lo, first.port_hi) == (24, 80, 443)
    assert bytes(first.peer)[:4] == ip_network(packets.net_ip4).network_address.packed
    assert (second.dir, second.family, second.prefix_len) == (0, 6, 64)
    assert bytes(second.peer) == ip_network(packets.net_ip6).network_address.packed
    assert second.action == constant("SEG_VERDICT_DENY")
    assert (third.family, third.prefix_len, third.port_hi) == (0, 0, 65535)


def test_a_policy_without_rules_is_packed():
    head, _ = records.view_policy(records.pack_policy(policy(rules=()), 1))
    assert head.rule_count == 0


@pytest.mark.parametrize("change", [-1, 1, -32, 32])
def test_a_policy_whose_size_and_count_differ_is_refused(change):
    blob = records.pack_policy(policy(), 1)
    wrong = blob[:change] if change < 0 else blob + bytes(change)
    with pytest.raises(SegctlError, match="bytes"):
        records.view_policy(wrong)


def test_a_field_that_does_not_fit_is_an_error():
    with pytest.raises(SegctlError, match="port 70000"):
        records.pack_policy(policy(port_id=70000), 1)


def test_a_session_is_listed_with_names_instead_of_numbers():
    blob = pack_array(
        "sg_session_info",
        [
            {
                "id": 5,
                "port_id": 300,
                "dir": constant("SEG_DIR_EGRESS"),
                "family": constant("SEG_FAMILY_IPV4"),
                "proto": 6,
                "verdict": constant("SEG_VERDICT_ALLOW"),
                "tcp_state": 1,
                "cached": 1,
                "packets": [3, 4],
                "bytes": [300, 400],
                "saddr": ip_network(packets.pod_one_ip4).network_address.packed,
                "daddr": ip_network(packets.world_ip4).network_address.packed,
                "sport": 40000,
                "dport": 80,
                "app": constant("SG_APP_REDIS"),
                "proof": constant("SG_APP_GUESS"),
                "look": constant("SG_LOOK_PENDING"),
            }
        ],
    )
    (session,) = records.sessions(blob)
    assert (session.source, session.destination) == (
        packets.pod_one_ip4,
        packets.world_ip4,
    )
    assert (session.direction, session.verdict) == (Direction.EGRESS, Action.ALLOW)
    assert session.cached
    assert not session.midstream
    assert (session.packets, session.bytes) == ((3, 4), (300, 400))
    assert (session.app, session.app_guessed) == ("Redis", True)
    assert session.look is Look.PENDING


def test_each_way_to_look_has_its_word():
    told = {
        name.removeprefix("SG_LOOK_").lower(): number
        for name, number in ffi.typeof("enum sg_look").relements.items()
    }
    assert told == {look.value: number for number, look in records.LOOKS.items()}


def test_an_event_names_its_kind_reason_and_addresses():
    blob = pack_array(
        "sg_event",
        [
            {
                "kind": constant("SG_EVENT_DROP"),
                "reason": constant("SEG_R_POLICY_DENY"),
                "family": constant("SEG_FAMILY_IPV6"),
                "dir": constant("SEG_DIR_INGRESS"),
                "saddr": ip_network(packets.world_ip6).network_address.packed,
                "daddr": ip_network(packets.pod_one_ip6).network_address.packed,
                "rule_id": 8,
                "time_ns": 70,
                "packets": 3,
            },
            {
                "kind": constant("SG_EVENT_FLOW_END"),
                "time_ns": 70,
                "started_ns": 20,
                "packets": 5,
                "back_packets": 2,
                "bytes": 500,
                "back_bytes": 200,
                "app": constant("SG_APP_TLS"),
                "proof": constant("SG_APP_CERTAIN"),
            },
            {"kind": 200, "reason": 60000},
        ],
    )
    event, end, strange = records.events(blob)
    assert (event.kind, event.reason, event.rule_id) == ("drop", "policy_deny", 8)
    assert (event.source, event.destination) == (packets.world_ip6, packets.pod_one_ip6)
    assert (event.direction, event.verdict) == (Direction.INGRESS, Action.DENY)
    assert (event.created_ns, event.last_seen_ns, event.packets) == (70, 70, (3, 0))
    assert (end.created_ns, end.last_seen_ns, end.verdict) == (20, 70, Action.ALLOW)
    assert (end.packets, end.bytes) == ((3, 2), (300, 200))
    assert (end.app, end.app_guessed, event.app) == ("TLS", False, None)
    assert (strange.kind, strange.reason, strange.source) == ("200", "60000", "")


def test_half_a_record_is_refused():
    with pytest.raises(SegctlError, match="whole number"):
        records.events(bytes(sizeof("sg_event") + 1))


def test_a_learnt_name_is_told_as_it_was_learnt():
    row = {
        "port_id": 7,
        "family": constant("SEG_FAMILY_IPV6"),
        "address": ip_address(packets.world_ip6).packed,
        "resolver_family": constant("SEG_FAMILY_IPV4"),
        "resolver": ip_address(packets.gateway_ip4).packed,
        "asked": b"db.internal",
        "matched": b"a.example.org",
        "learnt_ns": 5,
        "expires_ns": 9,
        "ttl": 300,
        "used": 1,
        "is_hint": 1,
        "group_count": 2,
        "groups": [4, 2],
    }
    many = row | {"group_count": 9, "groups": [*range(1, 9)], "matched": b""}
    first, second = records.names(pack_array("sg_name_record", [row, many]))
    assert first == records.LearntName(
        *(7, packets.world_ip6, "db.internal", "a.example.org", packets.gateway_ip4),
        *(5, 9, 300, True, True, (4, 2), 2),
    )
    assert (second.matched, second.group_count) == (None, 9)
    assert second.groups == tuple(range(1, 9))


def test_addresses_are_asked_about_by_the_port_that_knows_them():
    blob = records.pack_peers([(7, packets.world_ip4), (8, packets.world_ip6)])
    rows = ffi.from_buffer("struct sg_name_query[]", blob)
    assert [(row.port_id, row.family) for row in rows] == [
        (7, constant("SEG_FAMILY_IPV4")),
        (8, constant("SEG_FAMILY_IPV6")),
    ]
    assert bytes(rows[0].address)[:4] == ip_address(packets.world_ip4).packed
    assert bytes(rows[1].address) == ip_address(packets.world_ip6).packed


def test_an_event_of_a_sensor_names_the_pattern_and_where_it_matched():
    fields = {
        "kind": constant("SG_EVENT_SENSOR"),
        "port_id": 7,
        "packets": 3,
        "bytes": 300,
        "rule_id": 65537,
        "back_packets": 2 << 8 | 3,
        "back_bytes": 40,
        "answer": 1,
        "text": b"data/order ORD-1",
    }
    (event,) = records.events(pack_array("sg_event", [fields]))
    assert event.hit == records.SensorHit(
        "data", "order", "body", "high", False, 40, "ORD-1"
    )
    assert (event.kind, event.packets, event.bytes) == ("sensor", (3, 0), (300, 0))
    assert event.rule_id == 0
