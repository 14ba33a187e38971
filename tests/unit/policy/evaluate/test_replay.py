"""Fast or not, the answer is explain's; and what is not known is not guessed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from pyctl.model.flow import Answer
from pyctl.model.policy import Direction
from pyctl.policy.document.parse import parse
from pyctl.policy.document.resolve import addresses
from pyctl.policy.evaluate.explain import explain, groups_at, groups_of_each, strictest
from pyctl.policy.evaluate.looked_up import groups_of_names
from pyctl.policy.evaluate.observed import End, Observed
from pyctl.policy.evaluate.replay import Decided, Replay, names_of
from tests import packets
from tests.unit.policy.flows import LOADS, WORLD, at, observations, seen
from tests.unit.policy.worlds import policies, with_names


@given(policies(apps=True), st.lists(observations, max_size=6))
def test_the_rule_that_decides_is_the_one_that_explain_finds(policy, flows):
    replay = Replay(policy, LOADS)
    attached = {load.name: load for load in LOADS}
    for flow in flows:
        source, target = (
            groups_at(policy, end.ip, [attached[end.name]] if end.name else [])
            for end in (flow.source, flow.target)
        )
        for side in flow.sides:
            expected = explain(
                policy,
                source,
                target,
                flow.number,
                flow.port,
                flow.version,
                side.direction,
                flow.app,
            )
            assert replay.decided(flow, side) == decided(expected)


looked_up = st.sampled_from([("a.example.org",), ("x", "db"), ("example.org", "x")])


@given(policies(apps=True), st.lists(st.tuples(observations, looked_up), max_size=6))
def test_names_count_where_the_flow_was_opened_as_explain_has_them(policy, flows):
    policy = with_names(policy)
    replay = Replay(policy, LOADS)
    attached = {load.name: load for load in LOADS}
    for flow, names in flows:
        source, target = (
            groups_at(policy, end.ip, [attached[end.name]] if end.name else [])
            for end in (flow.source, flow.target)
        )
        for side in flow.sides:
            egress = side.direction is Direction.EGRESS
            found = explain(
                policy,
                source,
                target | groups_of_names(policy, names) if egress else target,
                *(flow.number, flow.port, flow.version, side.direction, flow.app),
            )
            said = replay.decided(replace(flow, looked_up=names), side)
            assert said == decided(found)
            unsaid = replay.decided(flow, side).rules
            assert set(said.rules) <= set(unsaid)


def decided(found) -> Decided:
    """The rules that were found, with their actions for the flow's application."""

    def of(rule):
        said = rule and rule.app_unknown
        return replace(rule, action=said) if said and found.app == "unknown" else rule

    return Decided((of(found.rule),), of(found.staged))


@given(policies(apps=True), st.lists(observations, max_size=6))
def test_where_two_have_an_address_it_is_the_strictest_that_explain_finds(
    policy, flows
):
    twins = [
        replace(load, id=f"{load.id}-too", name=f"{load.name}-too", labels=labels)
        for load, labels in zip(LOADS[:2], ({}, {"app": "a"}), strict=True)
    ]
    loads = [*LOADS, *twins]
    replay = Replay(policy, loads)
    by_name = {load.name: load for load in loads}
    for flow in flows:
        for side in flow.sides:
            each = []
            for end, direction in ((flow.source, "egress"), (flow.target, "ingress")):
                here = [by_name[end.name]] if end.name else []
                same = [one for one in loads if end.ip in addresses(one)]
                known = here if side.direction == direction else same
                each.append(groups_of_each(policy, end.ip, known))
            expected = strictest(
                explain(
                    *(policy, source, target, flow.number, flow.port, flow.version),
                    *(side.direction, flow.app),
                )
                for source, target in product(*each)
            )
            assert replay.decided(flow, side) == decided(expected)


POLICY = parse("""
apiVersion: segctl/v1
groups:
  gone: {selector: {name: "gone*"}}
  labelled: {selector: {name: "gone*", labels: {app: x}}}
  other: {selector: {labels: {app: y}, name: "z*"}}
rules:
  - {id: 1, from: other, to: any, action: deny}
  - {id: 2, from: labelled, to: any, action: deny}
  - {id: 3, from: gone, to: any, action: allow}
  - {id: 4, from: labelled, to: any, action: deny}
""")


def test_of_one_that_has_gone_several_rules_may_decide():
    replay = Replay(POLICY, LOADS)
    end = End(packets.world_ip4, "gone-1")
    target = seen("web-1", "app").target
    sides = at(end, target)
    flow = Observed(end, target, "tcp", 80, sides, True, Answer.DATA, 1, 0.0)
    found = replay.decided(flow, sides[0]).rules
    assert [rule.id if rule else None for rule in found] == [2, 3]
    assert names_of(replay.known_as(flow)) == {"gone-1", "app"}


FOR_APPS = parse("""
apiVersion: segctl/v1
rules:
  - {id: 1, from: any, to: any, action: allow, apps: [TLS], app_unknown: deny}
  - {id: 2, from: any, to: any, action: reject, apps: [SSH], stage: true}
  - {id: 3, from: any, to: any, action: allow, apps: [SSH]}
""")


def test_of_an_application_that_was_not_recorded_each_rule_that_it_may_meet_may_decide():
    flow = seen("web-1", "app")
    replay = Replay(FOR_APPS, LOADS)
    [side, _] = flow.sides
    found = replay.decided(flow, side)
    said = [(rule.id, str(rule.action)) if rule else None for rule in found.rules]
    assert said == [(1, "allow"), (3, "allow"), None, (1, "deny")]
    assert found.staged is None
    assert (
        replay.unknown(flow, side)
        == "its application, or what else it showed, was not recorded"
    )
    known = replay.decided(replace(flow, app="SSH"), side)
    assert known == Decided((FOR_APPS.rules[2],), FOR_APPS.rules[1])


NAMED = parse("""
apiVersion: segctl/v1
groups:
  web: {selector: {name: "web*"}}
  far: {fqdns: ["*.example.org"]}
rules:
  - {id: 1, from: web, to: far, action: allow}
  - {id: 2, from: web, to: any, ports: [udp/53], action: allow}
""")


def test_a_target_is_of_the_names_under_which_it_was_looked_up():
    replay = Replay(NAMED, LOADS)

    def rules(flow):
        (side, *_) = flow.sides
        return [rule and rule.id for rule in replay.decided(flow, side).rules]

    flow = seen("web-1", WORLD)
    assert rules(replace(flow, looked_up=("a.example.org", "b"))) == [1]
    assert rules(replace(flow, looked_up=("b",))) == [None]
    assert rules(flow) == [1, None]
    assert replay.unknown(flow, flow.sides[0]) == (
        f"no name is recorded under which {WORLD} was looked up"
    )
    assert rules(seen(WORLD, "web-1", sides=(Direction.INGRESS,))) == [None]
    assert rules(seen("web-1", packets.group_ip4)) == [None]
