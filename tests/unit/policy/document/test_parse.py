"""Parsing: what is written is what is meant, and every error is told at once, by path."""

from __future__ import annotations

import json
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl.errors import UsageError
from pyctl.model.policy import Action, Direction
from pyctl.model.workload import Mode
from pyctl.policy.document import parse as module
from pyctl.policy.document.parse import parse
from tests import packets

GOOD = f"""
# who may reach the shop
apiVersion: segctl/v1
groups:
  web: {{selector: {{name: "web*"}}}}
  db: {{selector: {{labels: {{app: db, tier: ""}}, image: "postgres:*"}}}}
  office: {{cidrs: ["{packets.net_ip4}", "{packets.net_ip6}", "{packets.world_ip4}"]}}
modes: {{web: protect, db: monitor, any: discover}}
options: {{deny: reset}}
rules:
  - {{id: 1, from: web, to: db, ports: [tcp/5432, tcp/80-90], action: allow}}
  - {{id: 2, from: any, to: web, ports: [udp, icmp, tcp/any], action: deny,
     comment: "for now", enabled: false, stage: true}}
  - {{id: 7, from: office, to: web, action: allow}}
"""


def errors_of(text: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        parse(text)
    return [line.strip() for line in caught.value.tried.split("\n")[1:]]


def policy(**parts: object) -> str:
    return json.dumps({"apiVersion": "segctl/v1", **parts})


def rule(**parts: object) -> dict[str, object]:
    return {"id": 1, "from": "any", "to": "any", "action": "allow", **parts}


def test_a_policy_is_read_whole_and_in_order():
    found = parse(GOOD)
    assert [each.id for each in found.rules] == [1, 2, 7]
    assert found.modes == {
        "web": Mode.PROTECT,
        "db": Mode.MONITOR,
        "any": Mode.DISCOVER,
    }
    assert found.deny_rst
    assert found.groups["db"].selector.labels == (("app", "db"), ("tier", ""))
    assert found.groups["db"].selector.image == "postgres:*"
    assert [str(net) for net in found.groups["office"].cidrs] == [
        packets.net_ip4,
        packets.net_ip6,
        f"{packets.world_ip4}/32",
    ]
    first, second, third = found.rules
    assert [(p.proto, p.low, p.high) for p in first.ports] == [
        ("tcp", 5432, 5432),
        ("tcp", 80, 90),
    ]
    assert [(p.proto, p.low, p.high) for p in second.ports] == [
        ("udp", 0, 65535),
        ("icmp", 0, 65535),
        ("tcp", 0, 65535),
    ]
    assert second.stage
    assert (second.action, second.enabled, second.comment) == (
        Action.DENY,
        False,
        "for now",
    )
    assert [p.proto for p in third.ports] == ["any"]


def test_the_text_is_kept_with_its_comments():
    assert parse(GOOD).text == GOOD


def test_json_is_a_policy_too():
    found = parse(policy(rules=[rule(ports=["tcp/80"])]))
    assert found.rules[0].ports[0].text == "tcp/80"


def test_a_policy_with_nothing_but_its_version_is_empty():
    found = parse(policy())
    assert (found.rules, found.groups, found.modes) == ((), {}, {})


@pytest.mark.parametrize("direction", [None, *Direction])
def test_a_rule_may_name_the_end_where_it_holds(direction):
    named = {} if direction is None else {"direction": str(direction)}
    assert parse(policy(rules=[rule(**named)])).rules[0].direction is direction
    with pytest.raises(
        UsageError, match=r"rules\[0\].direction: must be one of egress"
    ):
        parse(policy(rules=[rule(direction="both")]))


def test_every_error_is_told_in_one_go():
    text = policy(
        surplus=1,
        groups={
            "any": {"cidrs": [packets.net_ip4]},
            "a b": {"cidrs": [packets.net_ip4]},
            "far": {"fqdns": ["*.example.org", "*", 5]},
            "both": {"cidrs": [packets.net_ip4], "selector": {"name": "x"}},
            "none": {"selector": {}},
            "bad": {
                "cidrs": [
                    f"{packets.pod_one_ip4}/24",
                    f"{packets.pod_one_ip6}/64",
                    "x",
                    5,
                    [],
                ]
            },
        },
        modes={"nobody": "protect", "far": "tough"},
        options={"deny": "maybe"},
        rules=[
            rule(to="nobody", apps=["SSH", "SHH", 5], app_unknown="reject"),
            rule(
                ports=["tcp/0", "tcp/9-8", "tcp/70000", "dccp", 80, "icmp/256"],
                enabled="yes",
                stage=1,
            ),
            {"id": "one", "form": "any"},
            "allow all",
            rule(id=0, action="permit", ports=[]),
        ],
    )
    paths = [line.partition(": ")[0] for line in errors_of(text)]
    assert paths == [
        "surplus",
        "groups.any",
        "groups.a b",
        "groups.far.fqdns[1]",
        "groups.far.fqdns[2]",
        "groups.both",
        "groups.none.selector",
        "groups.bad.cidrs[0]",
        "groups.bad.cidrs[1]",
        "groups.bad.cidrs[2]",
        "groups.bad.cidrs[3]",
        "groups.bad.cidrs[4]",
        "modes.nobody",
        "modes.far",
        "rules[0].apps[1]",
        "rules[0].apps[2]",
        "rules[0].app_unknown",
        "rules[0].to",
        "rules[1].ports[0]",
        "rules[1].ports[1]",
        "rules[1].ports[2]",
        "rules[1].ports[3]",
        "rules[1].ports[4]",
        "rules[1].ports[5]",
        "rules[1].enabled",
        "rules[1].stage",
        "rules[2].form",
        "rules[2].from",
        "rules[2].to",
        "rules[2].action",
        "rules[2].id",
        "rules[3]",
        "rules[4].id",
        "rules[4].action",
        "rules[4].ports",
        "options.deny",
    ]


FAR = {"far": {"fqdns": ["*.Example.ORG.", "db", "*.example.org"]}}


def test_a_group_may_be_names_and_a_rule_to_it_holds_where_the_flow_is_opened():
    text = policy(groups=FAR, rules=[rule(to="far"), rule(id=2)])
    found = parse(text)
    group = found.groups["far"]
    assert group.fqdns == ("*.example.org", "db")
    assert [one.direction for one in found.rules] == [Direction.EGRESS, None]
    said = parse(policy(groups=FAR, rules=[rule(to="far", direction="egress")]))
    assert said.rules[0] == found.rules[0]
    assert group.verify
    off = {"far": {**FAR["far"], "verify": False}}
    assert not parse(policy(groups=off)).groups["far"].verify


@pytest.mark.parametrize(
    ("groups", "said", "error"),
    [
        (
            FAR,
            {"from": "far"},
            "rules[0].from: far is names, which tell whom a workload asked for, not who asks: it can stand in `to` alone",
        ),
        (
            FAR,
            {"to": "far", "direction": "ingress"},
            "rules[0].direction: far is names, which only the end that opens has looked up: write egress or leave it out",
        ),
        (
            {"far": {**FAR["far"], "cidrs": [packets.net_ip4]}},
            {"to": "far"},
            "groups.far: must have exactly one of selector, cidrs, fqdns",
        ),
        (
            {"far": {**FAR["far"], "except": [packets.net_ip4]}},
            {"to": "far"},
            "groups.far.except: is for cidrs",
        ),
        (
            {"far": {"cidrs": [packets.net_ip4], "verify": True}},
            {"to": "far"},
            "groups.far.verify: is for fqdns",
        ),
    ],
)
def test_what_is_wrongly_said_with_names_is_told(groups, said, error):
    assert errors_of(policy(groups=groups, rules=[rule(**said)]))[0] == error


def test_names_have_no_mode_and_their_number_has_a_limit(monkeypatch):
    (line,) = errors_of(policy(groups=FAR, modes={"far": "protect"}))
    assert "only workloads have a mode, and this group is names" in line
    monkeypatch.setattr(module, "MAX_FQDNS", 1)
    assert errors_of(policy(groups=FAR)) == ["groups: have 2 names; at most 1"]


@pytest.mark.parametrize("unknown", [None, Action.ALLOW, Action.DENY])
def test_a_rule_may_be_for_applications_whose_names_are_written_in_any_case(unknown):
    said = {"app_unknown": str(unknown)} if unknown else {}
    text = policy(rules=[rule(apps=["postgresql", "TLS", "PostgreSQL"], **said)])
    [found] = parse(text).rules
    assert (found.apps, found.app_unknown) == (("PostgreSQL", "TLS"), unknown)
    [without] = parse(policy(rules=[rule()])).rules
    assert (without.apps, without.app_unknown) == ((), None)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (
            {"apps": ["Postgres"]},
            "rules[0].apps[0]: 'Postgres' is no application; the nearest is PostgreSQL",
        ),
        (
            {"apps": ["https", 443]},
            "rules[0].apps[0]: 'https' is no application; the nearest is TLS",
        ),
        (
            {"apps": ["gopher"]},
            "rules[0].apps[0]: 'gopher' is no application; there are HTTP, HTTP2, gRPC, ",
        ),
        ({"apps": ["unknown"]}, "rules[0].apps[0]: 'unknown' is no application; "),
        (
            {"apps": []},
            "rules[0].apps: must be a list with an element, not []",
        ),
        (
            {"apps": "TLS"},
            "rules[0].apps: must be a list with an element, not 'TLS'",
        ),
        (
            {"apps": ["TLS"], "app_unknown": "reject"},
            "rules[0].app_unknown: must be one of allow, deny, not 'reject'",
        ),
        (
            {"app_unknown": "deny"},
            "rules[0].app_unknown: is for a rule with apps",
        ),
        (
            {"apps": ["TLS"], "ports": ["tcp/443", "icmp"]},
            "rules[0].ports: icmp carries no application: with apps, tcp, udp, any",
        ),
        (
            {"apps": ["TLS"], "ports": ["sctp/443"]},
            "rules[0].ports: sctp/443 carries no application: with apps, tcp, udp, any",
        ),
    ],
)
def test_what_a_rule_says_wrongly_of_applications_is_told(said, error):
    assert errors_of(policy(rules=[rule(**said)]))[0].startswith(error)


def test_a_rule_for_a_broken_group_is_not_blamed():
    text = policy(groups={"far": {"cidrs": ["x"]}}, rules=[rule(to="far")])
    assert len(errors_of(text)) == 1


def test_host_bits_are_refused_with_the_network_that_was_meant():
    text = policy(groups={"g": {"cidrs": [f"{packets.pod_one_ip4}/24"]}})
    assert packets.net_ip4 in errors_of(text)[0]


def test_an_id_is_given_once():
    text = policy(rules=[rule(), rule(id=2), rule()])
    assert errors_of(text) == ["rules[2].id: 1 is taken by rules[0]"]


def test_a_cidr_group_has_no_mode():
    text = policy(groups={"g": {"cidrs": [packets.net_ip4]}}, modes={"g": "protect"})
    assert errors_of(text)[0].startswith("modes.g: ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "7",
        "a: [",
        "a: !!python/object:os.system {}",
        "&a [*a]",
        "\x00",
        "{[1]: 2}",
        "apiVersion: segctl/v2",
        "[" * 5000,
        "a: 2026-99-99",
        "x" * (4 * 1024 * 1024 + 1),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_policy_is_an_error_of_usage(text):
    with pytest.raises(UsageError):
        parse(text)


def test_numbers_and_words_of_yaml_are_asked_to_be_quoted():
    text = "apiVersion: segctl/v1\ngroups: {g: {selector: {labels: {app: 5}}}}"
    assert "quotes" in errors_of(text)[0]


def test_a_rule_without_workloads_is_warned_of():
    text = policy(
        groups={"g": {"cidrs": [packets.net_ip4]}},
        rules=[rule(**{"from": "g", "to": "g"})],
    )
    assert parse(text).warnings[0].startswith("rules[0]: ")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "apiVersion",
                    "groups",
                    "modes",
                    "rules",
                    "options",
                    "selector",
                    "cidrs",
                    "labels",
                    "name",
                    "ports",
                    "id",
                    "from",
                    "to",
                    "any",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(plain)
def test_no_input_raises_anything_but_usage_error(value):
    try:
        parse(json.dumps(value))
    except UsageError:
        return


@given(st.text(max_size=200))
def test_no_text_raises_anything_but_usage_error(text):
    try:
        parse(text)
    except UsageError:
        return


def test_cidrs_may_have_exceptions():
    inner = f"{packets.pod_one_ip4}/32"
    body = {"cidrs": [packets.net_ip4], "except": [inner]}
    group = parse(policy(groups={"g": body})).groups["g"]
    assert [str(net) for net in group.excepts] == [inner]
    assert sum(net.num_addresses for net in group.nets) == 255


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"selector": {"name": "w"}, "except": [packets.net_ip4]}, "is for cidrs"),
        (
            {"cidrs": [packets.net_ip4], "except": [packets.world_net_ip4]},
            rf"groups.g.except\[0\]: {packets.world_net_ip4} is in none of the cidrs",
        ),
        ({"cidrs": [packets.net_ip4], "except": []}, "groups.g.except: must be a list"),
    ],
)
def test_an_exception_is_of_something(body, error):
    with pytest.raises(UsageError, match=error):
        parse(policy(groups={"g": body}))


def test_very_many_exceptions_are_refused_and_fewer_are_read_at_once():
    """Each is cut out of its network: three hundred thousand would be millions of networks."""
    many = [str(one) for one in ip_network("::/0").subnets(new_prefix=14)]
    group = {"cidrs": ["::/0"], "except": many[::2][:5000]}
    policy = {"apiVersion": "segctl/v1", "groups": {"a": group, "b": group}}
    assert len(parse(json.dumps(policy)).groups) == 2
    policy["groups"]["c"] = {"cidrs": ["::/0"], "except": many[:1]}
    with pytest.raises(UsageError, match="groups: have 10001 exceptions"):
        parse(json.dumps(policy))


def test_more_than_the_engine_takes_is_refused(monkeypatch):
    """How much that is: test_sg_node.py asks the engine."""
    monkeypatch.setattr(module, "MAX_RULES", 2)
    monkeypatch.setattr(module, "MAX_GROUPS", 1)
    rules = [rule(id=number) for number in (1, 2)]
    groups = {"a": {"selector": {"name": "w"}}}
    assert len(parse(policy(rules=rules, groups=groups)).rules) == 2
    rules.append(rule(id=3))
    groups["b"] = groups["a"]
    with pytest.raises(UsageError) as caught:
        parse(policy(rules=rules, groups=groups))
    assert "groups: are 2; at most 1" in caught.value.tried
    assert "rules: are 3; at most 2" in caught.value.tried
