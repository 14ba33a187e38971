"""Rules for applications: which rule decides, whether the application is asked for, and what the policy answers."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctl.abi import REASONS
from pyctl.engine._binding import constant, sizeof
from pyctl.engine.node_records import pack_node
from pyctl.engine.records import pack_policy
from pyctl.model import apps
from pyctl.model.policy import (
    Action,
    Direction,
    Holder,
    Members,
    NodePolicy,
    NodeRule,
    PortMatch,
)
from pyctl.model.workload import Mode
from tests import packets
from tests.unit.engine.core.harness import EGRESS, INGRESS, PORT
from tests.unit.engine.core.node import ALL, Node, head

EINVAL = 22
HTTP, TLS, SSH = (apps.NUMBERS[name] for name in ("HTTP", "TLS", "SSH"))
NONE, UNKNOWN = 0, apps.UNKNOWN
NOT, LOOK, HOLD = range(3)
ALLOW, DENY = 1, 2
LOCAL, PEER = ip_address(packets.pod_one_ip4), ip_address(packets.world_ip4)
TCP80 = (PortMatch(6, 80, 80),)
FLOWS = [(6, 80), (6, 81), (17, 80), (1, 8), (132, 80), (47, 0)]


def rule(number, action=Action.ALLOW, *names, ports=ALL, **more):
    return NodeRule(number, 0, 0, ports, action, apps=apps.app_bits(names), **more)


def matches(one: NodeRule, direction, proto, port, app) -> bool:
    """Whether a rule, read by itself, matches the flow."""
    if one.direction not in {None, direction}:
        return False
    if not any(
        spec.proto in {0, proto} and (not spec.proto or spec.low <= port <= spec.high)
        for spec in one.ports
    ):
        return False
    if not one.apps or (app == NONE and proto in {6, 17}):
        return True
    if proto not in {6, 17}:
        return False
    if app == UNKNOWN:
        return one.app_unknown is not None
    return bool(one.apps >> app & 1)


def expected(rules, direction, proto, port, app):
    """The rule in force, the staged one before it, and whether the application is asked for."""
    staged = None
    need = NOT
    for one in rules:
        if not matches(one, direction, proto, port, app):
            continue
        if not one.staged:
            waits = app == NONE and one.apps
            found = None if need else staged
            return one.rule_id, found.rule_id if found else 0, HOLD if waits else need
        if staged is None:
            staged = one
            need = LOOK if app == NONE and one.apps else NOT
    return 0, 0 if need or staged is None else staged.rule_id, need


def found(node, direction, proto, port, app):
    of = node.find(PORT, direction, LOCAL, PEER, proto, port, app=app)
    one, staged = (rule.id if rule else 0 for rule in (of.rule, of.staged))
    return one, staged, of.needs_app


node_rules = st.builds(
    NodeRule,
    rule_id=st.just(0),
    source=st.just(0),
    target=st.just(0),
    ports=st.sampled_from([ALL, TCP80, (PortMatch(17), PortMatch(6, 70, 80))]),
    action=st.sampled_from(Action),
    direction=st.sampled_from([None, None, None, *Direction]),
    staged=st.sampled_from([False, False, True]),
    apps=st.sampled_from([0, 1 << HTTP, 1 << HTTP | 1 << TLS, 1 << SSH]),
    app_unknown=st.sampled_from([None, Action.ALLOW, Action.DENY]),
).map(lambda one: one if one.apps else replace(one, app_unknown=None))


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(node_rules, max_size=7))
def test_it_finds_what_reading_the_rules_in_order_finds(core_module, rules):
    rules = [replace(one, rule_id=number + 1) for number, one in enumerate(rules)]
    node = Node(core_module)
    node.judge_by(*rules)
    for direction, way in ((EGRESS, Direction.EGRESS), (INGRESS, Direction.INGRESS)):
        for flow in FLOWS:
            for app in (NONE, HTTP, TLS, SSH, 44, UNKNOWN):
                assert found(node, direction, *flow, app) == expected(
                    rules, way, *flow, app
                )
    node.core.close()


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_several_holders_the_strictest_answers_and_any_may_ask(node, order):
    """The peer is one of two: to the first HTTP alone is allowed, to the second SSH is denied."""
    rules = (
        NodeRule(1, 0, 1, ALL, Action.ALLOW, apps=1 << HTTP, app_unknown=Action.DENY),
        NodeRule(2, 0, 2, ALL, Action.DENY, apps=1 << SSH),
        NodeRule(3, 0, 0, ALL, Action.ALLOW),
    )
    holders = tuple(Holder((0, group)) for group in order)
    policy = NodePolicy(("any", "web", "shell"), {}, rules)
    assert node.swap(pack_node(policy, Members(shared={PEER: holders}), [])) == 0
    asked = {app: found(node, EGRESS, 6, 80, app) for app in (NONE, HTTP, SSH, UNKNOWN)}
    assert asked == {
        NONE: (2, 0, HOLD),
        HTTP: (1, 0, NOT),
        SSH: (2, 0, NOT),
        UNKNOWN: (1, 0, NOT),
    }
    one_asks = replace(policy, rules=(rules[0], rules[2]))
    assert node.swap(pack_node(one_asks, Members(shared={PEER: holders}), [])) == 0
    assert found(node, EGRESS, 6, 80, NONE)[2] == HOLD


@pytest.mark.parametrize(
    ("bits", "unknown", "error"),
    [
        (1 << HTTP, 0, 0),
        (1 << HTTP, ALLOW, 0),
        (1 << 44 | 1 << HTTP, DENY, 0),
        (1 << HTTP, 3, -EINVAL),
        (0, ALLOW, -EINVAL),
        (1 << NONE, 0, -EINVAL),
        (1 << 45, 0, -EINVAL),
        (1 << UNKNOWN, 0, -EINVAL),
        ((1 << 64) - 1, 0, -EINVAL),
    ],
)
def test_applications_that_there_are_not_are_refused(node, bits, unknown, error):
    raw = bytearray(pack_node(NodePolicy(rules=(rule(1),)), Members(), []))
    at = sizeof("sg_node_head")
    raw[at + 23] = unknown
    raw[at + 32 : at + 40] = bits.to_bytes(8, "little")
    assert node.swap(bytes(raw)) == error


# --- what the policy answers ------------------------------------------------------------------


def answer(node, *rules, app=NONE, mode=Mode.PROTECT, ports=(80, 1024), proto=6):
    """What sg_policy_ask says of an egress flow."""
    node.judge_by(*(replace(one, key=100 + one.rule_id) for one in rules), mode=mode)
    ffi, lib = node.core.ffi, node.core.lib
    where, made = (
        ffi.new("struct sg_node **", node.node),
        ffi.new("struct sg_ruleset **"),
    )
    policy = ffi.from_buffer("struct sg_policy *", pack_policy(*head(1, mode=mode)))
    assert lib.sg_policy_compile(policy, ffi.NULL, where, made) == 0
    ends = [ffi.new("__u8[16]", ip.packed.ljust(16, b"\0")) for ip in (LOCAL, PEER)]
    about = (*ends, ports[0], EGRESS, 4, proto, ports[1], app)
    found = lib.sg_policy_ask(made[0], ffi.new("struct sg_policy_query *", about))
    lib.free(made[0])
    return found


def said(found):
    """(needs_app, passes, reason, rule, its key)."""
    reason = REASONS[found.reason].name
    return (
        *(found.needs_app, getattr(found, "pass"), reason),
        *(found.rule_id, found.keys.rule),
    )


WEB_ONLY = (rule(7, Action.ALLOW, "HTTP"),)


def test_a_flow_may_begin_while_its_application_is_asked_for_and_is_no_hit_yet(node):
    assert said(answer(node, *WEB_ONLY)) == (HOLD, 1, "none", 7, 0)
    assert said(answer(node, *WEB_ONLY, app=HTTP)) == (NOT, 1, "none", 7, 107)
    denied = (NOT, 0, "default_deny", 0, constant("SG_HIT_DEFAULT"))
    assert said(answer(node, *WEB_ONLY, app=SSH)) == denied
    assert said(answer(node, *WEB_ONLY, app=UNKNOWN)) == denied


@pytest.mark.parametrize("action", [Action.DENY, Action.REJECT])
def test_a_denial_of_applications_waits_too(node, action):
    rules = (rule(7, action, "SSH"), rule(8))
    assert said(answer(node, *rules)) == (HOLD, 1, "none", 7, 0)
    found = answer(node, *rules, app=SSH)
    assert said(found) == (NOT, 0, "policy_deny", 7, 107)
    assert found.reject == (action is Action.REJECT)
    assert said(answer(node, *rules, app=HTTP)) == (NOT, 1, "none", 8, 108)


@pytest.mark.parametrize(
    ("action", "unknown", "passes", "reject"),
    [
        (Action.ALLOW, Action.DENY, 0, 0),
        (Action.DENY, Action.ALLOW, 1, 0),
        (Action.REJECT, Action.DENY, 0, 1),
        (Action.REJECT, Action.ALLOW, 1, 0),
    ],
)
def test_for_an_unknown_application_its_own_verdict_counts(
    node, action, unknown, passes, reject
):
    rules = (rule(7, action, "TLS", app_unknown=unknown), rule(8, Action.REJECT))
    found = answer(node, *rules, app=UNKNOWN)
    assert (getattr(found, "pass"), found.reject, found.rule_id) == (passes, reject, 7)


@pytest.mark.parametrize("mode", [Mode.DISCOVER, Mode.MONITOR])
def test_a_mode_that_records_waits_for_nothing_and_records_what_is_known(node, mode):
    rules = (rule(7, Action.DENY, "SSH"), rule(8))
    assert said(answer(node, *rules, mode=mode)) == (LOOK, 1, "none", 7, 0)
    known = said(answer(node, *rules, mode=mode, app=SSH))
    assert known == (NOT, 1, "policy_deny", 7, 107)
    assert said(answer(node, *rules, mode=mode, app=HTTP))[1:4] == (1, "none", 8)


def test_a_staged_rule_makes_nobody_wait_and_is_told_once_it_is_known_to_match(node):
    rules = (rule(7, Action.DENY, "SSH", staged=True), rule(8))
    found = answer(node, *rules)
    assert said(found) == (LOOK, 1, "none", 8, 108)
    assert (found.staged_id, found.keys.staged) == (0, 0)
    found = answer(node, *rules, app=SSH)
    assert said(found) == (NOT, 1, "staged_deny", 7, 108)
    assert (found.staged_id, found.keys.staged) == (7, 107)
    assert answer(node, *rules, app=HTTP).staged_id == 0


def test_a_flow_that_is_denied_anyway_is_not_looked_at(node):
    """It shows no application: nothing of it passes."""
    rules = (rule(7, Action.ALLOW, "HTTP", staged=True), rule(8, Action.DENY))
    assert said(answer(node, *rules)) == (NOT, 0, "policy_deny", 8, 108)


def test_dhcp_needs_no_rule_for_applications_and_a_server_none(node):
    """What is not DHCP's by its ports alone waits; a server that does not serve is denied at once."""
    question, server = (
        {"ports": (67, 68), "proto": 17},
        {"ports": (68, 67), "proto": 17},
    )
    assert said(answer(node, **question))[:3] == (NOT, 0, "default_deny")
    assert said(answer(node, *WEB_ONLY, **server))[:3] == (NOT, 0, "not_served")


def test_other_protocols_have_no_applications(node):
    for proto in (1, 132, 47):
        found = answer(node, *WEB_ONLY, proto=proto, ports=(8, 0))
        assert said(found)[:3] == (NOT, 0, "default_deny")
