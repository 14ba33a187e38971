"""Why: the rule that decides, and of each earlier one what does not fit."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pyctl.model.policy import Direction
from pyctl.policy.document.parse import parse
from pyctl.policy.evaluate.explain import explain, groups_at, groups_of_each, strictest
from tests import packets
from tests.unit.policy.makers import port, workload

POLICY = parse(f"""
apiVersion: segctl/v1
groups:
  web: {{selector: {{name: "web*"}}}}
  db: {{selector: {{name: "db*"}}}}
  far: {{cidrs: ["{packets.world_net_ip4}"]}}
rules:
  - {{id: 1, from: any, to: any, action: deny, enabled: false}}
  - {{id: 2, from: far, to: any, action: deny}}
  - {{id: 3, from: web, to: web, action: deny}}
  - {{id: 6, from: web, to: db, direction: ingress, ports: [tcp/5433], action: allow}}
  - {{id: 4, from: web, to: db, ports: [udp/53, tcp/5000-5432], action: allow}}
  - {{id: 5, from: web, to: db, ports: [icmp], action: allow}}
""")
EGRESS, INGRESS = Direction
WEB, DB = {"any", "web"}, {"any", "db"}


def test_each_rule_before_says_why_it_does_not_match():
    found = explain(POLICY, WEB, DB, 1, 0, 4, EGRESS)
    assert found.rule is not None
    assert found.rule.id == 5
    assert [(rule.id, why) for rule, why in found.passed_over] == [
        (1, "it is disabled"),
        (2, "the source is not in far"),
        (3, "the destination is not in web"),
        (6, "it holds at ingress only"),
        (4, "its ports are udp/53, tcp/5000-5432"),
    ]


@pytest.mark.parametrize(
    ("proto", "dport", "version", "rule"),
    [
        (6, 5432, 4, 4),
        (6, 5433, 4, None),
        (17, 53, 6, 4),
        (58, 0, 6, 5),
        (58, 0, 4, None),
        (1, 8, 4, 5),
        (1, 8, 6, None),
        (47, 0, 4, None),
    ],
)
def test_the_first_that_matches_decides(proto, dport, version, rule):
    found = explain(POLICY, WEB, DB, proto, dport, version, EGRESS)
    assert (found.rule.id if found.rule else None) == rule


def test_a_rule_with_a_direction_holds_at_that_end_alone():
    here = explain(POLICY, WEB, DB, 6, 5433, 4, INGRESS).rule
    assert here is not None
    assert here.id == 6
    assert explain(POLICY, WEB, DB, 6, 5433, 4, EGRESS).rule is None


def test_a_staged_rule_says_what_it_would_do_and_is_passed_over():
    policy = parse("""
apiVersion: segctl/v1
rules:
  - {id: 1, from: any, to: any, ports: [udp], action: allow, stage: true}
  - {id: 2, from: any, to: any, action: reject, stage: true}
  - {id: 3, from: any, to: any, action: deny, stage: true}
  - {id: 4, from: any, to: any, action: allow}
""")
    found = explain(policy, {"any"}, {"any"}, 6, 80, 4, EGRESS)
    assert (found.rule, found.staged) == (policy.rules[3], policy.rules[1])
    assert [why for _, why in found.passed_over] == [
        "its ports are udp",
        "it is staged: it would reject",
        "it is staged, behind rule 2",
    ]


def test_an_end_is_in_the_groups_of_its_workload_and_of_its_address():
    address = ip_address(packets.world_ip4)
    web = workload("web", port(1, f"{packets.world_ip4}/24"))
    assert groups_at(POLICY, address, []) == {"any", "far"}
    assert groups_at(POLICY, address, [web]) == {"any", "far", "web"}


def test_of_several_the_strictest_holds_and_of_equals_the_earliest_rule():
    may = explain(POLICY, WEB, DB, 6, 5432, 4, EGRESS)
    may_not = explain(POLICY, DB, DB, 6, 5432, 4, EGRESS)
    denied = explain(POLICY, {"any", "far"}, DB, 6, 5432, 4, EGRESS)
    later = explain(POLICY, WEB, WEB, 6, 5432, 4, EGRESS)
    assert strictest([may, may_not]) is may_not
    assert strictest([may_not, later, denied]) is denied
    assert strictest([may]) is may


def test_an_address_is_any_of_those_that_have_it():
    address = ip_address(packets.world_ip4)
    loads = [workload(name, port(1, str(address))) for name in ("web", "db")]
    assert groups_of_each(POLICY, address, loads) == (
        {"any", "far", "web"},
        {"any", "far", "db"},
    )
    assert groups_of_each(POLICY, address, []) == ({"any", "far"},)


FOR_APPS = parse("""
apiVersion: segctl/v1
rules:
  - {id: 1, from: any, to: any, action: deny, apps: [SSH], stage: true}
  - {id: 2, from: any, to: any, action: allow, apps: [TLS], app_unknown: deny}
  - {id: 3, from: any, to: any, ports: [tcp], action: reject}
""")


@pytest.mark.parametrize(
    ("app", "rule", "says", "staged", "needs", "reasons"),
    [
        (None, 2, "allow", None, True, ["it is staged: it would deny SSH"]),
        ("TLS", 2, "allow", None, False, ["its applications are SSH"]),
        ("unknown", 2, "deny", None, False, ["its applications are SSH"]),
        (
            *("SSH", 3, "deny", 1, False),
            ["it is staged: it would deny", "its applications are TLS"],
        ),
    ],
)
def test_rules_for_applications_wait_and_then_match_theirs_alone(
    app, rule, says, staged, needs, reasons
):
    anybody = {"any"}
    found = explain(FOR_APPS, anybody, anybody, 6, 80, 4, EGRESS, app)
    assert found.rule is not None
    assert (found.rule.id, found.says, found.needs_app) == (rule, says, needs)
    assert (found.staged and found.staged.id) == staged
    assert [why for _, why in found.passed_over] == reasons


def test_a_packet_without_application_is_for_no_such_rule():
    found = explain(FOR_APPS, {"any"}, {"any"}, 1, 8, 4, EGRESS)
    assert (found.rule, found.needs_app) == (None, False)
    assert found.passed_over[1][1] == "only tcp and udp have applications"


def test_strictness_is_that_of_the_application():
    ends = {"any"}, {"any"}
    unknown = explain(FOR_APPS, *ends, 6, 80, 4, EGRESS, "unknown")
    nothing = explain(FOR_APPS, *ends, 17, 80, 4, EGRESS, "SSH")
    assert strictest([nothing, unknown]) is unknown
    known = explain(FOR_APPS, *ends, 6, 80, 4, EGRESS, "TLS")
    assert strictest([nothing, known]) is nothing
