"""What is learned allows what was answered, no more than that, and can be applied."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from pyctl.model.flow import Answer
from pyctl.model.policy import Action
from pyctl.policy.document.field_checks import ErrorCollector, port_spec
from pyctl.policy.document.parse import parse
from pyctl.policy.document.types import EMPTY, Group, Rule
from pyctl.policy.evaluate.observed import End, Observed, Side
from pyctl.policy.evaluate.replay import Replay
from pyctl.policy.evaluate.simulate import Change, simulate
from pyctl.policy.learn.learn_filter import Why
from pyctl.policy.learn.rules import EPHEMERAL, MANY, learn
from pyctl.policy.learn.text import as_yaml, document
from tests import packets
from tests.unit.policy.flows import LOADS, SIDES, WORLD, end, observations, seen
from tests.unit.policy.worlds import policies


def shown(learned):
    return [(rule.source, rule.target, rule.ports) for rule in learned.rules]


def applied(learned, text=""):
    return parse(as_yaml(document(learned, text), "learned"))


def test_three_tiers_are_two_rules_between_groups():
    flows = [
        seen("web-1", "app", 8080, flows=2, last=5.0),
        seen("web-2", "app", 8080, last=9.0),
        seen("web-2", "app", 8081),
        seen("app", "db", 5432),
    ]
    learned = learn(flows, EMPTY, LOADS)
    assert shown(learned) == [
        ("app", "db", ["tcp/5432"]),
        ("web", "app", ["tcp/8080", "tcp/8081"]),
    ]
    assert [rule.id for rule in learned.rules] == [10000, 10001]
    assert learned.rules[1].seen.flows == 4
    assert learned.rules[1].seen.last == 1000.0
    assert learned.flows == 5


def test_addresses_with_the_same_services_are_one_group_and_no_others():
    addresses = [str(ip_network(packets.world_net_ip4)[n]) for n in (5, 6, 7)]
    flows = [seen(addresses[0], "app", 80), seen(addresses[1], "app", 80)]
    learned = learn([*flows, seen(addresses[2], "app", 81)], EMPTY, LOADS)
    assert shown(learned) == [
        ("app-clients", "app", ["tcp/80"]),
        ("app-clients-2", "app", ["tcp/81"]),
    ]
    assert [str(net.network_address) for net in learned.networks["app-clients"]] == (
        addresses[:2]
    )


def test_networks_are_learned_only_where_asked_for():
    flows = [seen("app", WORLD, 443), seen("app", packets.world_ip6, 443)]
    nets = learn(flows, EMPTY, LOADS, prefix=24).networks["app-servers"]
    assert list(map(str, nets)) == [packets.world_net_ip4, packets.world_net_ip6]
    hosts = learn(flows, EMPTY, LOADS).networks["app-servers"]
    assert [net.prefixlen for net in hosts] == [32, 128]


def test_groups_of_the_policy_in_force_are_used_and_its_rules_stay_first():
    text = (
        "apiVersion: segctl/v1\n"
        f"groups: {{far: {{cidrs: [{packets.world_net_ip4}]}}, apps: {{selector: {{name: app}}}},\n"
        '  world: {cidrs: ["0.0.0.0/0"]}}\n'
        "modes: {apps: protect}\noptions: {deny: reset}\n"
        "rules: [{id: 10000, from: any, to: apps, ports: [udp/53], action: deny}]\n"
    )
    learned = learn([seen(WORLD, "app"), seen("web-1", "app", 53)], parse(text), LOADS)
    assert shown(learned)[0] == ("far", "apps", ["tcp/80"])
    policy = applied(learned, text)
    assert [rule.id for rule in policy.rules] == [10000, 10001, 10002]
    assert (policy.modes, policy.deny_rst) == ({"apps": "protect"}, True)


def test_high_ports_used_once_are_left_out_and_services_on_them_are_not():
    dynamic = [seen("web-1", "app", EPHEMERAL + n) for n in range(MANY)]
    service = seen("web-1", "app", 50051, flows=2)
    learned = learn([*dynamic, service], EMPTY, LOADS)
    assert shown(learned) == [("web", "app", ["tcp/50051"])]
    assert learned.left_out.flows == {Why.EPHEMERAL: MANY}
    assert len(learn(dynamic, EMPTY, LOADS).rules) == 1


def test_one_group_alone_can_be_asked_for():
    flows = [seen("web-1", "app"), seen("app", "db"), seen(WORLD, "db")]
    learned = learn(flows, EMPTY, LOADS).only("app")
    assert {rule.target for rule in learned.rules} == {"app", "db"}
    assert set(learned.selectors) == {"web", "app", "db"}
    assert (learned.networks, learned.flows) == ({}, 2)


def test_of_what_a_gateway_forwards_each_end_gets_its_rule():
    """The gateway is itself by its port; the other end knows the address, whoever sent it on."""
    gate = replace(LOADS[0], any_source=True)
    ends = End(WORLD, gate.name), end("app")
    sides = Side(SIDES[0], *ends), Side(SIDES[1], End(WORLD), ends[1])
    flow = Observed(*ends, "tcp", 80, sides, True, Answer.DATA, 3, 1.0)
    learned = learn([flow], EMPTY, [gate, *LOADS[1:]])
    assert shown(learned) == [
        ("web", "app", ["tcp/80"]),
        ("app-clients", "app", ["tcp/80"]),
    ]
    assert learned.flows == 3
    (one,) = learned.networks["app-clients"]
    assert str(one.network_address) == WORLD
    protect = simulate([flow], EMPTY, applied(learned), [gate, *LOADS[1:]])
    assert protect.flows == {Change.ALLOWED: 3}


def test_nothing_seen_is_the_policy_in_force():
    assert applied(learn([], EMPTY, LOADS)).rules == ()


def verdicts(policy, flow):
    return [
        rule.action if rule else None
        for side in flow.sides
        for rule in Replay(policy, LOADS).decided(flow, side).rules
    ]


@given(st.lists(observations, max_size=30), st.sampled_from([None, 24]))
def test_everything_learned_is_allowed_by_what_was_learned(flows, prefix):
    learned = learn(flows, EMPTY, LOADS, prefix=prefix)
    policy = applied(learned)
    allowed = [flow for flow in flows if set(verdicts(policy, flow)) == {Action.ALLOW}]
    answered = [flow for flow in flows if flow.answer is not Answer.NONE]
    assert learned.flows <= sum(f.flows for f in answered if f in allowed)
    left_out = sum(learned.left_out.flows.values())
    assert learned.flows + left_out == sum(flow.flows for flow in flows)
    if not learned.left_out.flows.keys() - {Why.UNANSWERED}:
        assert all(flow in allowed for flow in answered)


def kin(flow):
    ends = (flow.source, flow.target)
    copies = tuple((end.name or end.address).split("-")[0] for end in ends)
    return (*copies, flow.protocol, flow.port)


@given(st.lists(observations, max_size=30))
def test_nothing_unanswered_is_allowed_unless_a_copy_was_answered(flows):
    policy = applied(learn(flows, EMPTY, LOADS))
    answered = {kin(flow) for flow in flows if flow.answer is not Answer.NONE}
    for flow in flows:
        if kin(flow) not in answered:
            assert set(verdicts(policy, flow)) == {None}


def behind(policy, learned):
    """The policy in force with what was learned behind its rules."""
    made = {k: Group(k, selector=v) for k, v in learned.selectors.items()}
    nets = {k: Group(k, cidrs=v) for k, v in learned.networks.items()}
    rules = tuple(
        Rule(
            *(rule.id, rule.source, rule.target),
            tuple(port_spec(ErrorCollector(), "", text) for text in rule.ports),
            Action.ALLOW,
        )
        for rule in learned.rules
    )
    groups = {**policy.groups, **made, **nets}
    return replace(policy, groups=groups, rules=(*policy.rules, *rules))


@given(policies(), st.lists(observations, max_size=20))
def test_what_the_policy_in_force_decides_stays_decided_so(policy, flows):
    """Learned rules decide only what it leaves to the mode."""
    after = behind(policy, learn(flows, policy, LOADS))
    for flow in flows:
        for was, now in zip(verdicts(policy, flow), verdicts(after, flow), strict=True):
            assert was in (None, now)


def test_a_rule_names_applications_where_each_flow_s_is_certain_and_only_if_asked():
    flows = [
        seen("web-1", "app", 80, app="TLS"),
        seen("web-2", "app", 81, app="HTTP"),
        *(seen("app", "db", 80, app=app) for app in ("Redis", None)),
        *(seen("web-1", "db", 80, app=app) for app in ("Redis", "unknown")),
    ]
    rules = learn(flows, EMPTY, LOADS, apps=True).rules
    assert {(one.source, one.target): one.apps for one in rules} == {
        ("web", "app"): ["HTTP", "TLS"],
        ("app", "db"): [],
        ("web", "db"): [],
    }
    assert not any(one.apps for one in learn(flows, EMPTY, LOADS).rules)


certain = st.sampled_from(["HTTP", "HTTP", "Redis", None, "unknown"])


@given(st.lists(st.builds(replace, observations, app=certain), max_size=30))
def test_a_rule_is_for_exactly_the_applications_of_its_flows(flows):
    learned = learn(flows, EMPTY, LOADS, apps=True)
    if learned.left_out.flows.keys() - {Why.UNANSWERED}:
        return
    replay = Replay(behind(EMPTY, learned), LOADS)
    of_rule = {rule.id: set() for rule in learned.rules}
    for flow in flows:
        if flow.answer is not Answer.NONE:
            for side in flow.sides:
                (rule,) = replay.decided(flow, side).rules
                of_rule[rule.id].add(flow.app)
    for rule in learned.rules:
        apps = of_rule[rule.id]
        assert set(rule.apps) == (set() if apps & {None, "unknown"} else apps)
