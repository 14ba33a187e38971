"""Policies, workloads and flows at random, for whatever must decide as the rules are written."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from hypothesis import strategies as st

from pyctl.model.policy import Action, Direction
from pyctl.model.workload import RuntimeKind
from pyctl.policy.document.casts import BUILT_IN
from pyctl.policy.document.resolve import NAMESPACE
from pyctl.policy.document.types import (
    ANY,
    Expression,
    Group,
    Operator,
    Policy,
    PortSpec,
    Rule,
    Selector,
)
from tests import packets
from tests.unit.policy.makers import port, workload

HOSTS = [str(ip) for ip in list(ip_network(packets.net_ip4).hosts())[20:24]]
HOSTS6 = [str(ip_network(packets.net_ip6)[n]) for n in range(20, 22)]
POOL = [*HOSTS, *HOSTS6]
"""Addresses that workloads take from each other."""
PLACES = [
    ip_address(text)
    for text in (
        *(*POOL, packets.world_ip4, packets.world_ip6, packets.gateway_ip4),
        *(packets.link_local_ip6, packets.group_ip6, packets.limited_broadcast_ip4),
        *(packets.group_ip4, packets.subnet_broadcast_ip4),
    )
]
CIDRS = [
    "0.0.0.0/0",
    packets.net_ip4,
    packets.net_ip6,
    packets.world_net_ip4,
    packets.world_net_ip6,
    f"{packets.world_ip4}/32",
    f"{HOSTS[0]}/32",
    f"{HOSTS[1]}/31",
    f"{HOSTS6[1]}/128",
]
FLOWS = [(6, 80), (6, 443), (17, 53), (132, 80), (1, 8), (1, 0), (58, 128), (47, 0)]
"""(protocol, destination port or ICMP's type)."""

groups = st.one_of(
    st.builds(
        lambda *said: {"selector": Selector(*said)},
        st.sampled_from(["w*", "w0", "w[12]", "x"]),
        st.sampled_from([(), (("app", "a"),), (("app", "b"), ("tier", "1"))]),
        st.sampled_from([None, None, "nginx:*"]),
        st.sampled_from([(), (Expression("app", Operator.NOT_IN, ("b",)),)]),
        st.sampled_from([None, None, *RuntimeKind]),
        st.sampled_from([None, None, "default", "sh?p"]),
    ),
    st.builds(
        lambda nets, holes: {
            "cidrs": tuple(map(ip_network, nets)),
            "excepts": tuple(map(ip_network, holes)),
        },
        st.lists(st.sampled_from(CIDRS), min_size=1, max_size=3),
        st.lists(st.sampled_from(CIDRS[1:]), max_size=2),
    ),
)
specs = st.sampled_from(
    [
        PortSpec("any", "any"),
        PortSpec("icmp", "icmp"),
        PortSpec("icmp/8", "icmpv4", 8, 8),
        PortSpec("icmp/0-7", "icmpv4", 0, 7),
        PortSpec("icmpv6", "icmpv6"),
        PortSpec("icmpv6/1-200", "icmpv6", 1, 200),
        PortSpec("tcp/any", "tcp"),
        PortSpec("tcp/80", "tcp", 80, 80),
        PortSpec("tcp/79-442", "tcp", 79, 442),
        PortSpec("tcp/web", "tcp", 0, 0, "web"),
        PortSpec("udp/web", "udp", 0, 0, "web"),
        PortSpec("udp/50-90", "udp", 50, 90),
        PortSpec("sctp/79-90", "sctp", 79, 90),
    ]
)
names = st.sampled_from(["g0", "g1", "g2", "g3", ANY])
targets = st.one_of(names, st.sampled_from(sorted(BUILT_IN)))
rules = st.tuples(
    names,
    targets,
    st.lists(specs, min_size=1, max_size=2),
    st.sampled_from(Action),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([None, None, *Direction]),
    st.sampled_from([False, False, True]),
)
APPS = [None, "SSH", "unknown"]
"""Applications of flows; None: not known."""
KINDS = ["TLS", "DoT", "SSH", "HTTP", "unknown"]
"""All that rules tell apart, and one that no rule names."""
for_apps = st.tuples(
    st.sampled_from([("TLS",), ("SSH", "DoT")]),
    st.sampled_from([None, Action.ALLOW, Action.DENY]),
)


def with_applications(draw, rule: Rule) -> Rule:
    """The rule, or one for applications where its protocols have some."""
    if any(spec.proto not in {"tcp", "udp", "any"} for spec in rule.ports):
        return rule
    apps, unknown = draw(st.just(((), None)) | for_apps)
    return replace(rule, apps=apps, app_unknown=unknown)


@st.composite
def policies(draw, *, apps: bool = False) -> Policy:
    """A policy; with `apps` some rules are for applications."""
    kinds = draw(st.tuples(groups, groups, groups, groups))
    bodies = draw(st.lists(rules, max_size=8))
    ids = draw(st.permutations(range(1, len(bodies) + 1)))
    made = _policy(kinds, bodies, ids)
    if not apps:
        return made
    rules_for_apps = [with_applications(draw, rule) for rule in made.rules]
    return replace(made, rules=tuple(rules_for_apps))


def with_names(policy: Policy) -> Policy:
    """The policy with names in the place of its last group: `*.example.org` and `db`."""
    rules = (
        replace(rule, direction=Direction.EGRESS) if rule.target == "g3" else rule
        for rule in policy.rules
        if rule.source != "g3"
    )
    named = Group("g3", fqdns=("*.example.org", "db"))
    groups = {**policy.groups, "g3": named}
    return replace(policy, groups=groups, rules=tuple(rules))


def _policy(kinds, bodies, ids) -> Policy:
    return Policy(
        groups={f"g{n}": Group(f"g{n}", **body) for n, body in enumerate(kinds)}
        | {name: BUILT_IN[name] for name in {body[1] for body in bodies} & {*BUILT_IN}},
        rules=tuple(
            Rule(number, source, target, tuple(ports), action, "", enabled, end, stage)
            for number, (source, target, ports, action, enabled, end, stage) in zip(
                ids, bodies, strict=True
            )
        ),
    )


@st.composite
def joins(draw):
    """A workload w0..w3 as it is from now on, on port 1..4, at any of the addresses, on any bridge."""
    n = draw(st.integers(0, 3))
    own = draw(st.lists(st.sampled_from(POOL), unique=True, max_size=2))
    texts = [f"{text}/{24 if '.' in text else 64}" for text in own]
    labels = draw(
        st.sampled_from(
            [{}, {"app": "a"}, {"app": "b", "tier": "1"}, {NAMESPACE: "shop"}]
        )
    )
    segment, closed = draw(
        st.sampled_from(
            [(0, False), (0, False), (7, True), (7, True), (8, True), (8, False)]
        )
    )
    made = replace(
        port(n + 1, *texts, f"{packets.link_local_ip6}/64"),
        segment=segment,
        closed=closed,
    )
    said = draw(st.sampled_from([None, "80", "80/tcp", "443", "53-udp", "x"]))
    return workload(
        f"w{n}",
        made,
        labels=labels | ({"segctl.port.web": said} if said else {}),
        image=draw(st.sampled_from([None, "nginx:1"])),
        runtime=draw(st.sampled_from(RuntimeKind)),
    )


leaves = st.builds("w{}".format, st.integers(0, 3))
"""Names of workloads that go, if they are there."""
steps = st.lists(st.one_of(joins(), joins(), leaves, policies()), max_size=6)
