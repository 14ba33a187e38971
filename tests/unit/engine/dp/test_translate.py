"""A dp policy becomes rules that give each new flow the dp's own answer."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyctl.engine.dp import translate
from pyctl.engine.dp.messages import ApplyDir, PolicyAction
from pyctl.engine.dp.translate import DpPolicy, InternalNets, is_range, port_policy
from pyctl.errors import UsageError
from pyctl.model.policy import Action, Direction, PortPolicy, PortRule
from pyctl.model.workload import Mode
from tests import packets
from tests.unit.engine.dp.makers import message, rule

BOTH = ApplyDir.EGRESS | ApplyDir.INGRESS
IN, OUT = Direction.INGRESS, Direction.EGRESS
PEER = packets.pod_two_ip4
WORLD = packets.world_ip4
NETS = InternalNets.of([IPv4Network(packets.net_ip4)])
A = PolicyAction


def policy(*rules, defact=A.DENY, direction=BOTH, nets=NETS, tap=False) -> PortPolicy:
    parsed = message("ctrl_cfg_policy", rules=list(rules)).rules
    found = DpPolicy(defact, direction, parsed)
    return port_policy(7, packets.pod_one_mac, found, nets, tap=tap)


def answer(found: PortPolicy, peer=PEER, direction=IN, proto=6, port=80) -> str:
    """What the first matching rule says, in the way the engine asks."""
    for candidate in found.rules:
        matches = (
            candidate.direction in {None, direction}
            and (candidate.peer is None or IPv4Address(peer) in candidate.peer)
            and candidate.proto in {0, proto}
            and (proto not in {6, 17} or candidate.port_lo <= port <= candidate.port_hi)
        )
        if matches:
            return candidate.action
    return found.default


def test_without_a_policy_all_passes():
    for tap, mode in ((True, Mode.DISCOVER), (False, Mode.PROTECT)):
        found = port_policy(7, packets.pod_one_mac, None, NETS, tap=tap)
        assert found == PortPolicy(7, mode, packets.pod_one_mac, (), Action.ALLOW)


@pytest.mark.parametrize("defact", list(A))
def test_only_a_default_of_deny_denies_what_no_rule_matches(defact):
    found = policy(defact=defact)
    assert found.mode is Mode.PROTECT
    assert answer(found) == (Action.DENY if defact is A.DENY else Action.ALLOW)


@pytest.mark.parametrize(
    ("defact", "mode", "default"),
    [
        (A.LEARN, Mode.DISCOVER, Action.ALLOW),
        (A.VIOLATE, Mode.MONITOR, Action.DENY),
        (A.DENY, Mode.DISCOVER, Action.DENY),
    ],
)
def test_tapped_everything_passes_and_violations_are_recorded(defact, mode, default):
    found = policy(defact=defact, tap=True)
    assert (found.mode, found.default) == (mode, default)


def test_the_peer_is_the_other_end_whichever_way():
    inward = policy(rule(ingress=True))
    assert answer(inward) is Action.ALLOW
    assert answer(inward, WORLD) is Action.DENY
    assert answer(inward, direction=OUT) is Action.DENY
    outward = policy(
        rule(ingress=False, sip=packets.pod_one_ip4, dip=packets.pod_two_ip4)
    )
    assert answer(outward, direction=OUT) is Action.ALLOW
    assert answer(outward) is Action.DENY


def test_the_first_rule_that_matches_decides():
    found = policy(rule(action=A.DENY), rule(), defact=A.ALLOW)
    assert answer(found) is Action.DENY


def test_ranges_of_addresses_and_ports_include_both_ends():
    found = policy(
        rule(sip=packets.pod_one_ip4, sipr=packets.pod_two_ip4, port=80, portr=90)
    )
    first, last = IPv4Address(packets.pod_one_ip4), IPv4Address(packets.pod_two_ip4)
    for peer, allowed in ((first - 1, 0), (first, 1), (last, 1), (last + 1, 0)):
        assert (answer(found, peer) is Action.ALLOW) == bool(allowed)
    for port, allowed in ((79, 0), (80, 1), (90, 1), (91, 0)):
        assert (answer(found, port=port) is Action.ALLOW) == bool(allowed)


def test_no_port_is_any_port():
    assert answer(policy(rule(port=0, portr=0)), port=65535) is Action.ALLOW


def test_any_protocol_is_tcp_and_udp():
    found = policy(rule(proto=0))
    assert answer(found, proto=6) is answer(found, proto=17) is Action.ALLOW
    assert answer(found, proto=132) is Action.DENY


def test_icmp_passes_unless_a_rule_names_it():
    """Behaviour 19."""
    assert answer(policy(), proto=1) is Action.ALLOW
    named = policy(rule(proto=1, port=0, portr=0, action=A.DENY))
    assert answer(named, proto=1) is Action.DENY


def test_link_local_peers_pass():
    link_local = str(translate.LINK_LOCAL.network_address + 9)
    assert answer(policy(), link_local) is Action.ALLOW


def test_address_0_is_whoever_is_external():
    found = policy(rule(sip=packets.unspecified_ip4))
    assert answer(found, WORLD) is Action.ALLOW
    assert answer(found, PEER) is Action.DENY
    all_internal = policy(rule(sip=packets.unspecified_ip4), nets=InternalNets())
    assert answer(all_internal, WORLD) is Action.DENY


def test_the_whole_range_is_everybody():
    found = policy(
        rule(sip=packets.unspecified_ip4, sipr=packets.limited_broadcast_ip4)
    )
    assert answer(found, WORLD) is answer(found, PEER) is Action.ALLOW


def test_a_direction_that_is_not_applied_is_open_between_workloads():
    only_in = policy(direction=ApplyDir.INGRESS)
    assert answer(only_in, direction=OUT) is Action.ALLOW
    assert answer(only_in, WORLD, direction=OUT) is Action.DENY
    assert answer(only_in) is Action.DENY
    only_out = policy(direction=ApplyDir.EGRESS)
    assert answer(only_out) is answer(only_out, WORLD) is Action.ALLOW
    assert answer(only_out, direction=OUT) is Action.DENY
    no_nets = policy(direction=ApplyDir.INGRESS, nets=InternalNets())
    assert answer(no_nets, WORLD, direction=OUT) is Action.ALLOW


@pytest.mark.parametrize("action", [A.CHECK_VH, A.CHECK_NBE, A.CHECK_APP])
def test_what_needs_an_application_is_decided_as_for_an_unknown_one(action):
    named = {"app": 1001, "action": 2, "rid": 1}
    assert answer(policy(rule(action=action, apps=[named]))) is Action.DENY
    assert answer(policy(rule(action=action), defact=A.ALLOW)) is Action.ALLOW
    rest = {"app": translate.ANY_APP, "action": 2, "rid": 2}
    assert answer(policy(rule(action=action, apps=[named, rest]))) is Action.ALLOW


def test_a_rule_for_a_name_matches_no_address():
    assert answer(policy(rule(fqdn="example.org"))) is Action.DENY


def test_a_violation_passes():
    assert answer(policy(rule(action=A.VIOLATE))) is Action.ALLOW


def test_icmp_of_every_type_passes_by_no_rule_of_the_policys():
    last = policy(rule(action=A.DENY)).rules[-1]
    assert last == PortRule(0, None, None, 1, 0, 65535, Action.ALLOW)


def test_more_rules_than_the_engine_takes_are_refused(monkeypatch):
    monkeypatch.setattr(translate, "MAX_RULES", 5)
    with pytest.raises(UsageError, match="more than 5 rules"):
        policy(*(rule(proto=0) for _ in range(3)))


def test_a_range_is_told_from_a_single_address():
    (exact,) = message("ctrl_cfg_policy", rules=[rule()]).rules
    (wide,) = message("ctrl_cfg_policy", rules=[rule(portr=81)]).rules
    assert (is_range(exact), is_range(wide)) == (False, True)


networks = st.builds(
    lambda address, length: IPv4Network((address, length), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(1, 32),
)


@given(st.lists(networks, min_size=1, max_size=8), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_every_address_is_inside_or_outside(subnets, number):
    nets = InternalNets.of(subnets)
    address = IPv4Address(number)
    inside = any(address in subnet for subnet in subnets) or address.is_loopback
    assert nets.is_external(address) != inside
