"""May A talk to B: asked as people ask, answered as the ends would judge."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pyctl.errors import NotFoundError, UsageError
from pyctl.model.truth import RuleResult
from pyctl.model.workload import Mode
from pyctl.policy.document.parse import parse
from pyctl.policy.evaluate.facts import Facts
from pyctl.policy.evaluate.question import ask
from tests import packets
from tests.unit.policy.makers import port, workload

POLICY = parse(f"""
apiVersion: segctl/v1
groups:
  web: {{selector: {{name: "web*"}}}}
  db: {{selector: {{name: "db*"}}}}
  far: {{cidrs: ["{packets.world_net_ip4}"]}}
rules:
  - {{id: 1, from: far, to: web, ports: [tcp/80], action: allow}}
  - {{id: 2, from: web, to: db, ports: [tcp/5432, icmp], action: allow}}
  - {{id: 3, from: web, to: db, direction: egress, ports: [udp/53], action: allow}}
  - {{id: 4, from: any, to: db, ports: [tcp/1-99], action: deny}}
""")
WEB = workload("web", port(1, f"{packets.pod_one_ip4}/24", f"{packets.pod_one_ip6}/64"))
DB = workload("db", port(2, f"{packets.pod_two_ip4}/24"))
ALL = [WEB, DB]


def by(answer) -> list[int | None]:
    rules = [end.explanation.rule for end in answer.asked]
    return [rule.id if rule else None for rule in rules]


def test_both_ends_answer_by_the_rule_that_decides_there():
    answer = ask(POLICY, ALL, "web", "db", "tcp/5432")
    assert answer.opens
    assert by(answer) == [2, 2]
    assert [end.mode for end in answer.asked] == [Mode.PROTECT] * 2
    assert str(answer.target.address) == packets.pod_two_ip4


def test_a_rule_of_one_end_leaves_the_other_to_its_default():
    answer = ask(POLICY, ALL, "web", "db", "udp/53")
    assert not answer.opens
    assert by(answer) == [3, None]
    egress, ingress = answer.asked
    assert (egress.judgement.passes, ingress.says) == (True, RuleResult.NOTHING)
    assert ingress.reached


def test_what_the_initiators_end_drops_never_reaches_the_other():
    answer = ask(POLICY, ALL, "web", "db", "tcp/80")
    assert by(answer) == [4, 4]
    assert [end.reached for end in answer.asked] == [True, False]


def test_an_address_is_the_workload_that_has_it():
    answer = ask(POLICY, ALL, packets.pod_one_ip4, packets.pod_two_ip4, "icmp")
    assert by(answer) == [2, 2]
    assert answer.source.workload is WEB


def test_of_two_with_one_address_each_judges_as_itself_and_is_the_lesser_to_others():
    """Who may not, is not let in as who may."""
    twin = workload("db-2", port(3, f"{packets.pod_one_ip4}/24"))
    loads = [*ALL, twin]
    answer = ask(POLICY, loads, "web", "db", "tcp/5432")
    assert by(answer) == [2, None]
    assert not answer.opens
    assert answer.shared == ((answer.source.address, ("web", "db-2")),)
    assert by(ask(POLICY, loads, "db-2", "db", "tcp/5432")) == [None, None]
    also = workload("web-2", port(3, f"{packets.pod_one_ip4}/24"))
    assert by(ask(POLICY, [*ALL, also], "web", "db", "tcp/5432")) == [2, 2]
    assert ask(POLICY, ALL, "web", "db", "tcp/5432").shared == ()


def test_who_is_on_the_bridge_is_not_who_has_its_address_elsewhere():
    """Two tenants with one plan: each is asked by its own rules, and across by those of both."""

    def on(bridge, load):
        ports = (replace(one, segment=bridge, closed=True) for one in load.ports)
        return replace(load, ports=tuple(ports))

    twin = on(8, workload("guest", port(3, *WEB.ports[0].addresses)))
    loads = [twin, on(7, WEB), on(7, DB)]
    answer = ask(POLICY, loads, "web", "db", "tcp/5432")
    assert (by(answer), answer.shared) == ([2, 2], ())
    answer = ask(POLICY, loads, packets.pod_one_ip4, "db", "tcp/5432")
    assert by(answer) == [2, 2]
    assert not ask(POLICY, loads, "guest", "db", "tcp/5432").opens


def test_what_is_not_attached_judges_nothing():
    answer = ask(POLICY, ALL, packets.world_ip4, "web", "tcp/80")
    assert answer.opens
    assert [end.workload.name for end in answer.asked] == ["web"]
    assert by(answer) == [1]
    nobody = ask(POLICY, ALL, packets.world_ip4, packets.gateway_ip4, "tcp/80")
    assert nobody.opens
    assert nobody.asked == ()


def test_a_mode_that_only_records_lets_pass():
    loose = workload("db", *DB.ports, attach_mode=Mode.MONITOR)
    answer = ask(POLICY, [WEB, loose], packets.world_ip4, "db", "tcp/80")
    assert answer.opens
    assert answer.asked[0].judgement.verdict == "violation"


STAGES = """
apiVersion: segctl/v1
rules:
  - {id: 1, from: any, to: any, ports: [tcp/80, udp/80], action: reject, stage: true}
  - {id: 2, from: any, to: any, ports: [tcp], action: allow}
  - {id: 3, from: any, to: any, ports: [udp/80], action: allow, stage: true}
  - {id: 4, from: any, to: any, ports: [udp], action: reject}
"""


@pytest.mark.parametrize(
    ("mode", "asked", "says", "record", "rejects"),
    [
        (Mode.PROTECT, "tcp/80", RuleResult.ALLOW, ("violation", "staged_deny"), False),
        (Mode.PROTECT, "tcp/81", RuleResult.ALLOW, ("allow", None), False),
        (Mode.PROTECT, "udp/80", RuleResult.DENY, ("deny", "policy_deny"), True),
        (Mode.PROTECT, "udp/81", RuleResult.DENY, ("deny", "policy_deny"), True),
        (Mode.MONITOR, "udp/81", RuleResult.DENY, ("violation", "policy_deny"), False),
        (Mode.DISCOVER, "icmp", RuleResult.NOTHING, ("allow", None), False),
    ],
)
def test_a_staged_rule_decides_nothing_and_a_rejection_is_a_denial_with_an_answer(
    mode, asked, says, record, rejects
):
    """What is recorded is what the engine records (tests/unit/engine/core/test_sg_pair.py)."""
    db = workload("db", *DB.ports, attach_mode=mode)
    answer = ask(parse(STAGES), [WEB, db], packets.world_ip4, "db", asked)
    [end] = answer.asked
    assert (end.says, end.rejects) == (says, rejects)
    assert (end.judgement.verdict, end.judgement.reason) == record
    assert answer.opens is (record[0] != "deny")
    staged = end.explanation.staged
    assert (staged and staged.id) == (1 if "/80" in asked else None)


@pytest.mark.parametrize(
    ("asked", "rule"), [("icmp", 3), ("icmp/8", 3), ("icmp/13", 4), ("icmpv6", 1)]
)
def test_icmp_is_a_ping_unless_a_type_is_named(asked, rule):
    policy = parse("""
apiVersion: segctl/v1
rules:
  - {id: 1, from: any, to: any, ports: [icmpv6/128], action: allow}
  - {id: 2, from: any, to: any, ports: [icmp/0-7, icmpv6/1-127], action: allow}
  - {id: 3, from: any, to: any, ports: [icmp/8], action: allow}
  - {id: 4, from: any, to: any, ports: [icmp], action: allow}
""")
    other = workload("other", port(3, f"{packets.pod_two_ip6}/64"))
    target = "other" if asked == "icmpv6" else "db"
    assert by(ask(policy, [*ALL, other], "web", target, asked)) == [rule, rule]


@pytest.mark.parametrize(
    ("source", "target", "asked", "error"),
    [
        ("web", "cache", "tcp/80", NotFoundError),
        ("web", "db", "tcp/80-90", UsageError),
        ("web", "db", "any", UsageError),
        ("web", "db", "80", UsageError),
        (packets.world_ip6, "db", "tcp/80", UsageError),
        ("web", "db", "icmpv6", UsageError),
        ("web", "db", "icmp/0-8", UsageError),
        (packets.world_ip6, packets.pod_one_ip6, "icmp/8", UsageError),
        ("ff02::1", packets.pod_one_ip6, "udp/53", UsageError),
        ("224.0.0.1", "web", "udp/53", UsageError),
        ("255.255.255.255", "web", "udp/53", UsageError),
        ("127.0.0.1", "web", "tcp/80", UsageError),
        ("web", "::1", "tcp/80", UsageError),
        ("web", "0.0.0.0", "tcp/80", UsageError),
        ("web", "web", "tcp/80", UsageError),
        ("web", packets.pod_one_ip4, "tcp/80", UsageError),
        (packets.world_ip4, packets.world_ip4, "tcp/80", UsageError),
    ],
)
def test_what_cannot_be_asked_is_told(source, target, asked, error):
    with pytest.raises(error):
        ask(POLICY, ALL, source, target, asked)


def test_an_address_of_one_link_is_its_workloads_and_asked_with_its_interface_or_without():
    own = (f"{packets.link_local_ip6}/64", f"{packets.pod_two_ip6}/64")
    db = workload("db", port(2, *own))
    for text in (packets.link_local_ip6, f"{packets.link_local_ip6}%eth0"):
        answer = ask(POLICY, [WEB, db], "web", text, "tcp/5432")
        assert by(answer) == [2, 2]
    answer = ask(POLICY, [WEB, db], "web", "db", "tcp/5432")
    assert str(answer.target.address) == packets.pod_two_ip6


FOR_APPS = parse("""
apiVersion: segctl/v1
groups: {db: {selector: {name: "db*"}}}
rules:
  - {id: 1, from: any, to: db, ports: [tcp/5432], apps: [PostgreSQL], app_unknown: allow, action: allow}
  - {id: 2, from: any, to: db, ports: [tcp/5432], apps: [TLS], action: reject}
  - {id: 3, from: any, to: db, ports: [udp], apps: [TLS], action: allow}
  - {id: 4, from: any, to: db, ports: [udp], action: allow}
""")


@pytest.mark.parametrize(
    ("app", "opens", "rule"),
    [
        ("postgresql", True, 1),
        ("Unknown", True, 1),
        ("DoT", False, 2),
        ("SSH", False, None),
    ],
)
def test_an_application_may_be_named(app, opens, rule):
    answer = ask(FOR_APPS, ALL, "web", "db", "tcp/5432", app)
    assert (answer.opens, answer.by_app) == (opens, ())
    assert by(answer) == [rule, rule]
    assert answer.asked[0].rejects is (rule == 2)


def test_without_one_it_is_told_what_each_gives():
    answer = ask(FOR_APPS, ALL, "web", "db", "tcp/5432")
    assert answer.opens is None
    assert by(answer) == [1, 1]
    assert all(end.explanation.needs_app for end in answer.asked)
    told = [(one.apps, one.opens, one.rules, one.reasons) for one in answer.by_app]
    assert told == [
        (("TLS", "DoT"), False, (2,), ("policy_deny",)),
        (("PostgreSQL", "unknown"), True, (1, 1), (None, None)),
        (("any other",), False, (None,), ("default_deny",)),
    ]


def test_where_all_come_to_the_same_the_verdict_is_known():
    answer = ask(FOR_APPS, ALL, "web", "db", "udp/53")
    assert answer.opens
    assert {rule for one in answer.by_app for rule in one.rules} == {3, 4}
    loose = [replace(load, attach_mode=Mode.MONITOR) for load in ALL]
    answer = ask(FOR_APPS, loose, "web", "db", "tcp/5432")
    assert answer.opens
    assert answer.by_app[-1].reasons == ("default_deny", "default_deny")


def test_what_no_rule_for_applications_is_asked_about_depends_on_none():
    answer = ask(FOR_APPS, ALL, "web", "db", "tcp/80")
    assert (answer.opens, answer.by_app) == (False, ())
    assert not ask(FOR_APPS, ALL, "web", "db", "icmp").by_app


@pytest.mark.parametrize(
    ("asked", "app", "error"),
    [
        ("icmp", "TLS", "icmp carries no application"),
        ("sctp/80", "unknown", "sctp/80 carries no application"),
        ("tcp/80", "mysq", "'mysq' is no application; the nearest is MySQL"),
    ],
)
def test_an_application_that_cannot_be_is_told(asked, app, error):
    with pytest.raises(UsageError, match=re.escape(error)):
        ask(FOR_APPS, ALL, "web", "db", asked, app)


FOR_NAMES = parse("""
apiVersion: segctl/v1
groups:
  web: {selector: {name: "web*"}}
  db: {selector: {name: "db*"}}
rules:
  - {id: 1, from: web, to: db, action: allow, tls: {sni: ["*.db.example"], min_version: "1.2"}}
  - {id: 2, from: web, to: db, action: allow, apps: [SSH]}
""")


@pytest.mark.parametrize(
    ("shown", "opens", "rule"),
    [
        (Facts("x.DB.example.", version="1.3"), True, 1),
        (Facts("x.db.example"), None, 1),
        (Facts("db.example"), False, None),
        (Facts(""), False, None),
        (Facts(version="1.1"), False, None),
    ],
)
def test_what_tls_shows_may_be_named(shown, opens, rule):
    answer = ask(FOR_NAMES, ALL, "web", "db", "tcp/443", facts=shown)
    assert (answer.opens, answer.by_app) == (opens, ())
    assert by(answer) == [rule, rule] if opens is not False else [rule]
    assert ask(FOR_NAMES, ALL, "web", "db", "tcp/443", "dot", shown).opens is opens


def test_what_tls_alone_gives_is_not_known():
    answer = ask(FOR_NAMES, ALL, "web", "db", "tcp/443")
    said = {one.apps: one.opens for one in answer.by_app}
    assert said[("TLS", "DoT")] is None
    assert said[("SSH",)] is True
    assert answer.opens is None


@pytest.mark.parametrize(
    ("app", "shown", "error"),
    [
        ("SSH", Facts("a"), "SSH shows no name"),
        (None, Facts(version="9"), "9 is no version of TLS; there are 1.0"),
        (None, Facts("a b"), "a b is no name"),
    ],
)
def test_what_tls_cannot_show_is_told(app, shown, error):
    with pytest.raises(UsageError) as refused:
        ask(FOR_NAMES, ALL, "web", "db", "tcp/443", app, shown)
    assert error.partition(";")[0] in str(refused.value)


NAMED = parse("""
apiVersion: segctl/v1
groups:
  web: {selector: {name: "web*"}}
  far: {fqdns: ["*.example.org"]}
rules:
  - {id: 1, from: web, to: far, ports: [tcp/443], action: allow}
""")


@pytest.mark.parametrize(
    ("names", "opens"),
    [
        ((), False),
        (["a.example.org"], True),
        (["A.Example.ORG."], True),
        (["b.example.com"], False),
        (["b.example.com", "a.example.org"], True),
    ],
)
def test_an_address_is_the_worlds_unless_it_was_looked_up(names, opens):
    answer = ask(NAMED, ALL, "web", packets.world_ip4, "tcp/443", names=names)
    assert answer.opens is opens


def test_names_count_only_at_the_end_that_looked_them_up():
    answer = ask(NAMED, ALL, "web", "db", "tcp/443", names=["a.example.org"])
    assert by(answer) == [1, None]


@pytest.mark.parametrize("name", ["*.example.org", "a..b", packets.world_ip4])
def test_what_is_no_single_name_cannot_be_asked(name):
    with pytest.raises(UsageError):
        ask(NAMED, ALL, "web", packets.world_ip4, "tcp/443", names=[name])
