"""The engine's sessions in the protocol's words."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from pyctl.engine.dp import sessions
from pyctl.engine.dp.messages import PolicyAction
from pyctl.engine.dp.replies import SessionCounts, SessionFlag
from pyctl.engine.dp.state import Endpoint, State
from pyctl.engine.records import Session
from pyctl.model.policy import Action, Direction
from tests import packets
from tests.unit.engine.dp.makers import message, rule, subnet

SECOND = 10**9
NOW = 1000 * SECOND
MAC = bytes.fromhex(packets.seed_two_mac.replace(":", ""))

SESSION = Session(
    id=9,
    port_id=0xB4,
    direction=Direction.INGRESS,
    proto=6,
    source=packets.pod_two_ip4,
    sport=40000,
    destination=packets.pod_one_ip4,
    dport=80,
    verdict=Action.ALLOW,
    rule_id=0,
    tcp_state=1,
    cached=False,
    violation=False,
    midstream=False,
    generation=1,
    created_ns=NOW - 50 * SECOND,
    last_seen_ns=NOW - 3 * SECOND,
    timeout_ns=30 * SECOND,
    packets=(4, 3),
    bytes=(400, 300),
)


@pytest.fixture
def state() -> State:
    made = State()
    made.add(message("ctrl_add_mac"))
    made.configure(message("ctrl_cfg_mac"))
    return made


def only(state: State) -> Endpoint:
    return next(iter(state))


def listed(state: State, **changes):
    return sessions.row(replace(SESSION, **changes), only(state), state.nets, NOW)


def test_counts_are_by_protocol_and_icmpv6_is_icmp():
    found = [replace(SESSION, proto=proto) for proto in (6, 6, 17, 1, 58, 132)]
    assert sessions.count(found) == SessionCounts(6, 2, 1, 2, 1)
    assert sessions.count([]) == SessionCounts()


def test_the_initiator_is_the_client_and_the_workloads_mac_is_on_its_side(state):
    inward = listed(state)
    assert (inward.client_mac, inward.server_mac) == (bytes(6), MAC)
    outward = listed(state, direction=Direction.EGRESS)
    assert (outward.client_mac, outward.server_mac) == (MAC, bytes(6))
    assert inward.ep_mac == outward.ep_mac == MAC
    assert (inward.client_port, inward.server_port) == (40000, 80)
    assert inward.client_ip == socket.inet_aton(packets.pod_two_ip4)
    assert inward.ether_type == 0x0800


def test_times_are_whole_seconds(state):
    row = listed(state)
    assert (row.idle_s, row.age_s, row.life_s) == (3, 50, 27)
    late = listed(state, timeout_ns=SECOND)
    assert late.life_s == 0


def test_an_echo_has_its_identifier_for_a_port(state):
    row = listed(state, proto=1, sport=8 << 8 | 2, dport=0x1234)
    assert (row.client_port, row.server_port) == (0x1234, 0)
    assert (row.icmp_type, row.icmp_code) == (8, 2)


def test_ipv6_is_told_by_its_ethertype(state):
    row = listed(state, source=packets.pod_two_ip6, destination=packets.pod_one_ip6)
    assert row.ether_type == 0x86DD
    assert len(row.client_ip) == 16


def test_the_action_is_what_decided(state):
    assert listed(state).policy_action is PolicyAction.OPEN
    state.take_policy(
        message("ctrl_cfg_policy", rules=[rule(id=5, action=6), rule(id=6, action=1)])
    )
    assert listed(state).policy_action is PolicyAction.DENY, "the default"
    assert listed(state, rule_id=5).policy_action is PolicyAction.VIOLATE
    assert listed(state, rule_id=6).policy_action is PolicyAction.LEARN
    assert listed(state, verdict=Action.DENY).policy_action is PolicyAction.DENY
    assert listed(state, violation=True).policy_action is PolicyAction.VIOLATE


def test_flags_say_which_way_how_and_where_to(state):
    assert listed(state).flags == SessionFlag.INGRESS | SessionFlag.TMP_OPEN
    state.take_policy(message("ctrl_cfg_policy"))
    state.take_nets(message("ctrl_cfg_internal_net", subnet_addr=[subnet()]))
    assert listed(state).flags == SessionFlag.INGRESS
    away = listed(
        state,
        direction=Direction.EGRESS,
        destination=packets.world_ip4,
        midstream=True,
    )
    assert away.flags == SessionFlag.EXTERNAL | SessionFlag.MIDSTREAM
    state.configure(message("ctrl_cfg_mac", tap=True))
    assert SessionFlag.TAP in listed(state).flags
