"""A rule with a condition matches by what was seen of a flow: the same as asking each condition by itself."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctl.engine.node_records import pack_node
from pyctl.model.apps import NUMBERS, app_bits
from pyctl.model.policy import Action, Condition, Members, NodePolicy, NodeRule
from tests import packets
from tests.unit.engine.core.conditions import SNI, VERSION, tls
from tests.unit.engine.core.harness import PORT
from tests.unit.engine.core.node import ALL, Node

TLS = NUMBERS["TLS"]
LOCAL, PEER = ip_address(packets.pod_one_ip4), ip_address(packets.world_ip4)
NOT, HOLD = 0, 2
EINVAL = 22


def rule(number, condition=None, action=Action.ALLOW, **more):
    return NodeRule(
        number, 0, 0, ALL, action, apps=app_bits(["TLS"]), condition=condition, **more
    )


def facts(node, sni: bytes = b"", *, open_to: int = 0, held: int = 0, version: int = 0):
    made = node.core.ffi.new("struct sg_facts *")
    known = (1 << SNI | 1 << 2) | (1 << VERSION if version else 0)
    made.known, made.open, made.held = known & ~open_to, open_to, held
    made.version, made.sni_len = version, len(sni)
    made.sni[0 : len(sni)] = sni
    return made


def found(node, app=TLS, seen=None):
    made = node.find(PORT, 1, LOCAL, PEER, 6, 443, app=app, facts=seen)
    return (made.rule.id if made.rule else 0), made.needs_app, made


@pytest.fixture
def judged(node):
    node.judge_by(
        rule(1, tls("*.a.example")), rule(2, tls("b.example", least=0x303)), rule(3)
    )
    return node


def test_the_name_decides_between_rules(judged):
    assert found(judged, seen=facts(judged, b"x.a.example"))[:2] == (1, NOT)
    assert found(judged, seen=facts(judged, b"b.example", version=0x303))[:2] == (2, 0)
    assert found(judged, seen=facts(judged, b"b.example", version=0x302))[:2] == (3, 0)
    assert found(judged, seen=facts(judged))[:2] == (3, NOT)


def test_while_the_application_is_open_the_first_rule_waits(judged):
    assert found(judged, app=0)[:2] == (1, HOLD)


def test_while_a_field_is_open_a_rule_that_rests_on_it_waits(judged):
    wait = facts(judged, b"b.example", open_to=1 << VERSION)
    assert found(judged, seen=wait)[:2] == (2, HOLD)
    other = facts(judged, b"c.example", open_to=1 << VERSION)
    assert found(judged, seen=other)[:2] == (3, NOT)


def test_without_facts_no_condition_holds(judged):
    number, need, made = found(judged)
    assert (number, need, made.by_facts, made.held) == (3, NOT, 1, 0)


def test_what_held_holds_under_the_next_policy_too(judged):
    _, _, first = found(judged, seen=facts(judged, b"x.a.example"))
    assert first.held
    key = first.held
    judged.judge_by(rule(4, tls("c.example")), rule(5, tls("*.a.example")))
    assert found(judged, seen=facts(judged, held=key))[0] == 5
    judged.judge_by(rule(6, tls("*.a.example", alpn=["h2"])))
    assert found(judged, seen=facts(judged, held=key))[0] == 0


def test_between_ends_without_conditions_facts_make_no_difference(node):
    node.judge_by(rule(3))
    assert not found(node, seen=facts(node, b"x"))[2].by_facts


def test_more_combinations_than_there_is_room_for_are_forgotten_and_made_again(node):
    many = [rule(n + 1, tls("x.example", least=n + 1)) for n in range(4000)]
    node.judge_by(*many, rule(9000))
    for version in [*range(1, 4000, 3), 1]:
        seen = facts(node, b"x.example", version=version)
        assert found(node, seen=seen)[0] == 1
        assert found(node, seen=facts(node, b"y.example", version=version))[0] == 9000


NAMES = ["a.example", "x.a.example", "b.example", ""]
CONDITIONS = st.builds(
    lambda sni, least, denies: tls(*sni, least=least, denies=denies),
    st.lists(st.sampled_from(["a.example", "*.a.example", "b.example"]), max_size=2),
    st.sampled_from([0x301, 0x304]),
    st.booleans(),
)
RULES = st.lists(st.none() | CONDITIONS, min_size=1, max_size=6)


def holds(condition: Condition | None, name: str, version: int) -> bool:
    """The condition read by itself."""
    if condition is None:
        return True
    names = [text.decode() for field, text in condition.items if field == SNI]
    (least,) = (text for field, text in condition.items if field == VERSION)
    by_name = not names or any(
        name.endswith(one[1:]) and name != one[2:] if one[0] == "*" else name == one
        for one in names
    )
    return by_name and version >= int.from_bytes(least, "big")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    RULES,
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from([0x301, 0x304])), max_size=8
    ),
)
def test_the_first_rule_whose_condition_holds_is_found(core_module, conditions, flows):
    node = Node(core_module)
    try:
        node.judge_by(*(rule(n + 1, one) for n, one in enumerate(conditions)))
        for name, version in flows:
            expected = next(
                (
                    number + 1
                    for number, one in enumerate(conditions)
                    if holds(one, name, version)
                ),
                0,
            )
            seen = facts(node, name.encode(), version=version)
            assert found(node, seen=seen)[:2] == (expected, NOT)
    finally:
        node.core.close()


@pytest.mark.parametrize(
    "wrong",
    [
        rule(1, Condition(())),
        rule(1, Condition(((0, b"x"),))),
        rule(1, Condition(((99, b"x"),))),
        rule(1, Condition(((SNI, b""),))),
        rule(1, Condition(((VERSION, b"\3"),))),
        rule(1, Condition(((VERSION, b"\3\3"), (SNI, b"a")))),
        replace(rule(1, tls("a.example")), apps=0),
    ],
)
def test_a_condition_that_does_not_fit_is_refused(node, wrong):
    blob = pack_node(NodePolicy(rules=(wrong,)), Members(), [])
    assert node.swap(blob) == -EINVAL


def test_each_byte_of_a_condition_is_checked(node):
    """Whatever one byte becomes, the block is taken or refused, and what is taken can be asked."""
    blob = pack_node(
        NodePolicy(rules=(rule(1, tls("*.a.example", least=0x303)),)), Members(), []
    )
    for at in range(40, len(blob)):
        for value in (0, 1, 0x7F, 0xFF):
            changed = blob[:at] + bytes((value,)) + blob[at + 1 :]
            if node.swap(changed) == 0:
                found(node, seen=facts(node, b"x.a.example", version=0x303))
