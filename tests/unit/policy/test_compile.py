"""Compiling: each port enforces exactly what the author's rules say of its traffic."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hypothesis import given, settings
from hypothesis import strategies as st

from pyctl.model.policy import Action, Direction, PortPolicy
from pyctl.model.workload import Mode
from pyctl.policy.compile import EVERYBODY, compile_policy
from pyctl.policy.document import ANY, Group, Policy, PortSpec, Rule, Selector
from pyctl.policy.parse import parse
from tests import packets
from tests.unit.policy.makers import port, workload

ONE = (f"{packets.pod_one_ip4}/24", f"{packets.pod_one_ip6}/64")
TWO = (f"{packets.pod_two_ip4}/24", f"{packets.pod_two_ip6}/64")


def decide(
    compiled: PortPolicy, direction: Direction, peer: object, proto: int, dport: int
) -> tuple[Action, int]:
    """The engine's decision, written as plainly as can be: (action, rule id; 0: default)."""
    for rule in compiled.rules:
        if rule.direction not in {None, direction}:
            continue
        if rule.peer is not None and peer not in rule.peer:
            continue
        if rule.proto not in {0, proto}:
            continue
        if proto in {6, 17} and not rule.port_lo <= dport <= rule.port_hi:
            continue
        return rule.action, rule.rule_id
    return compiled.default, 0


def compiled_of(rules: str, *workloads, groups: str = "{}") -> dict[int, PortPolicy]:
    text = f"apiVersion: segctl/v1\ngroups: {groups}\nrules:\n{rules}"
    return compile_policy(parse(text), workloads)


# --- the oracle: rules read over names and addresses, nothing compiled ------------------------

HOSTS = [str(ip) for ip in list(ip_network(packets.net_ip4).hosts())[20:26]]
HOSTS6 = [str(ip_network(packets.net_ip6)[n]) for n in range(20, 26)]
WORLD = (
    [packets.world_ip4, packets.gateway_ip4],
    [packets.world_ip6, packets.gateway_ip6],
)
CIDRS = [
    packets.net_ip4,
    packets.net_ip6,
    packets.world_net_ip4,
    packets.world_net_ip6,
    f"{packets.world_ip4}/32",
    f"{HOSTS[0]}/32",
    f"{HOSTS[1]}/31",
    f"{HOSTS6[1]}/128",
]

NAMED = {
    "w*": {"w0", "w1", "w2", "w3"},
    "w0": {"w0"},
    "w[12]": {"w1", "w2"},
    "x": set(),
}

groups = st.one_of(
    st.builds(
        lambda labels, glob: ("selector", Selector(glob, labels)),
        st.sampled_from([(), (("app", "a"),), (("app", "b"), ("tier", "1"))]),
        st.sampled_from(sorted(NAMED)),
    ),
    st.builds(
        lambda nets: ("cidrs", tuple(ip_network(net) for net in nets)),
        st.lists(st.sampled_from(CIDRS), min_size=1, max_size=3),
    ),
)
names = st.sampled_from(["g0", "g1", "g2", ANY])
specs = st.sampled_from(
    [
        PortSpec("any", "any"),
        PortSpec("icmp", "icmp"),
        PortSpec("tcp/any", "tcp"),
        PortSpec("tcp/80", "tcp", 80, 80),
        PortSpec("udp/50-90", "udp", 50, 90),
    ]
)
rule_bodies = st.tuples(
    names,
    names,
    st.lists(specs, min_size=1, max_size=2),
    st.sampled_from(Action),
    st.sampled_from([True, True, True, False]),
)


@st.composite
def worlds(draw):
    kinds = draw(st.tuples(groups, groups, groups))
    policy = Policy(
        groups={
            f"g{n}": Group(f"g{n}", **{kind: value})
            for n, (kind, value) in enumerate(kinds)
        },
        rules=tuple(
            Rule(n, source, target, tuple(ports), action, enabled=enabled)
            for n, (source, target, ports, action, enabled) in enumerate(
                draw(st.lists(rule_bodies, max_size=6)), 1
            )
        ),
    )
    attached = []
    for n in range(draw(st.integers(1, 4))):
        labels = draw(
            st.sampled_from([{}, {"app": "a"}, {"app": "b", "tier": "1", "more": "x"}])
        )
        own = (f"{HOSTS[n]}/24", f"{HOSTS6[n]}/64", f"{packets.link_local_ip6}/64")
        attached.append(workload(f"w{n}", port(n + 1, *own), labels=labels))
    return policy, attached


def naive_member(policy, attached, name, ip) -> bool:
    if name == ANY:
        return True
    group = policy.groups[name]
    if group.selector is None:
        return any(ip in net for net in group.cidrs)
    glob = group.selector.name
    return any(
        ip == ip_address(text.partition("/")[0])
        and each.name in NAMED[glob]
        and set(group.selector.labels) <= set(each.labels.items())
        for each in attached
        for text in each.ports[0].addresses[:2]
    )


def naive_decide(policy, attached, source, target, proto, dport):
    for rule in policy.rules:
        if not rule.enabled:
            continue
        if not naive_member(policy, attached, rule.source, source):
            continue
        if not naive_member(policy, attached, rule.target, target):
            continue
        for spec in rule.ports:
            kinds = {"any": {6, 17, 1, 58, 47}, "tcp": {6}, "udp": {17}}
            icmp = {1} if source.version == 4 else {58}
            if proto not in kinds.get(spec.proto, icmp):
                continue
            if proto in {6, 17} and not spec.low <= dport <= spec.high:
                continue
            return rule.action, rule.id
    return Action.DENY, 0


@settings(max_examples=150, deadline=None)
@given(
    worlds(), st.sampled_from([6, 17, 1, 58, 47]), st.sampled_from([49, 50, 80, 90, 91])
)
def test_compiled_rules_decide_as_the_written_ones(world, proto, dport):
    policy, attached = world
    compiled = compile_policy(policy, attached)
    for index, family in ((0, 4), (1, 6)):
        if proto == (58 if family == 4 else 1):
            continue
        others = [each.ports[0].addresses[index].partition("/")[0] for each in attached]
        for each in attached:
            own_text = each.ports[0].addresses[index].partition("/")[0]
            own = ip_address(own_text)
            for peer in map(ip_address, [*others, *WORLD[index]]):
                if peer == own:
                    continue
                mine = compiled[each.ports[0].port_id]
                egress = decide(mine, Direction.EGRESS, peer, proto, dport)
                assert egress == naive_decide(policy, attached, own, peer, proto, dport)
                ingress = decide(mine, Direction.INGRESS, peer, proto, dport)
                assert ingress == naive_decide(
                    policy, attached, peer, own, proto, dport
                )


# --- single behaviours ------------------------------------------------------------------------


def test_both_ends_get_the_rule_with_its_id():
    compiled = compiled_of(
        "- {id: 9, from: a, to: b, ports: [tcp/80], action: allow}",
        workload("a", port(1, *ONE)),
        workload("b", port(2, *TWO)),
        groups="{a: {selector: {name: a}}, b: {selector: {name: b}}}",
    )
    seen = {
        (number, rule.direction, str(rule.peer), rule.rule_id)
        for number, policy in compiled.items()
        for rule in policy.rules
    }
    assert seen == {
        (1, Direction.EGRESS, f"{packets.pod_two_ip4}/32", 9),
        (1, Direction.EGRESS, f"{packets.pod_two_ip6}/128", 9),
        (2, Direction.INGRESS, f"{packets.pod_one_ip4}/32", 9),
        (2, Direction.INGRESS, f"{packets.pod_one_ip6}/128", 9),
    }


def test_any_is_one_rule_without_a_peer():
    compiled = compiled_of(
        "- {id: 1, from: any, to: b, ports: [tcp/80], action: allow}",
        workload("b", port(2, *TWO)),
        groups="{b: {selector: {name: b}}}",
    )
    ingress = [r for r in compiled[2].rules if r.direction is Direction.INGRESS]
    assert [(r.peer, r.proto, r.port_lo, r.port_hi) for r in ingress] == [
        (None, 6, 80, 80)
    ]


def test_icmp_is_icmpv6_for_ipv6_peers():
    compiled = compiled_of(
        "- {id: 1, from: any, to: far, ports: [icmp], action: allow}",
        workload("a", port(1, *ONE)),
        groups=f'{{far: {{cidrs: ["{packets.world_net_ip4}", "{packets.world_net_ip6}"]}}}}',
    )
    assert [(str(r.peer), r.proto) for r in compiled[1].rules] == [
        (packets.world_net_ip4, 1),
        (packets.world_net_ip6, 58),
    ]


def test_icmp_with_any_peer_is_both():
    compiled = compiled_of(
        "- {id: 1, from: any, to: any, ports: [icmp], action: allow}",
        workload("a", port(1, *ONE)),
    )
    assert {r.proto for r in compiled[1].rules} == {1, 58}


def test_a_port_partly_inside_a_cidr_is_denied_but_not_allowed():
    """The own address is not in a compiled rule, so doubt goes to the safe side."""
    rules = "\n".join(
        f"- {{id: {number}, from: far, to: any, action: {action}}}"
        for number, action in ((1, "allow"), (2, "deny"))
    )
    compiled = compiled_of(
        rules,
        workload("a", port(1, ONE[0], f"{packets.world_ip4}/24")),
        groups=f'{{far: {{cidrs: ["{packets.world_net_ip4}"]}}}}',
    )
    egress = [r for r in compiled[1].rules if r.direction is Direction.EGRESS]
    assert {(r.rule_id, r.action) for r in egress} == {(2, Action.DENY)}


def test_a_link_local_address_does_not_keep_a_port_out_of_its_network():
    compiled = compiled_of(
        "- {id: 1, from: net, to: any, action: allow}",
        workload("a", port(1, ONE[1], f"{packets.link_local_ip6}/64")),
        groups=f'{{net: {{cidrs: ["{packets.net_ip6}"]}}}}',
    )
    egress = [r for r in compiled[1].rules if r.direction is Direction.EGRESS]
    assert [r.peer for r in egress] == [EVERYBODY[6]]


def test_default_is_deny_where_a_missing_rule_is_a_violation():
    attached = [
        workload(f"w{n}", port(n, *ONE), attach_mode=mode)
        for n, mode in enumerate(Mode, 1)
    ]
    compiled = compile_policy(Policy(), attached)
    assert {each.mode: each.default for each in compiled.values()} == {
        Mode.DISCOVER: Action.ALLOW,
        Mode.MONITOR: Action.DENY,
        Mode.PROTECT: Action.DENY,
        Mode.QUARANTINE: Action.DENY,
    }


def test_the_answer_to_a_denied_syn_is_the_policys():
    compiled = compile_policy(Policy(deny_rst=True), [workload("a", port(1, *ONE))])
    assert compiled[1].deny_rst


def test_a_rule_towards_a_group_without_members_is_no_rule():
    compiled = compiled_of(
        "- {id: 1, from: a, to: b, action: allow}",
        workload("a", port(1, *ONE)),
        groups="{a: {selector: {name: a}}, b: {selector: {name: b}}}",
    )
    assert compiled[1].rules == ()
