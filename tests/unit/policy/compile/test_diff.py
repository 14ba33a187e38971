"""Dry run: what changes is said in words, and only what changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyctl.policy.compile.compiler import Compiled, Compiler
from pyctl.policy.compile.diff import changed_ports, changes, moved
from pyctl.policy.document.parse import parse
from pyctl.policy.document.types import EMPTY
from tests import packets
from tests.unit.policy.makers import port, workload

OLD = """
apiVersion: segctl/v1
groups: {a: {selector: {name: a}}, b: {selector: {name: b, labels: {x: y}}}}
modes: {a: protect}
rules:
  - {id: 1, from: a, to: b, ports: [tcp/80], action: allow}
  - {id: 2, from: any, to: any, action: deny}
"""


def test_the_same_meaning_in_other_words_is_no_change():
    assert changes(parse(OLD), parse("# a comment\n" + OLD)) == []


def test_each_change_is_one_sentence():
    new = f"""
apiVersion: segctl/v1
groups: {{a: {{selector: {{name: "a*", image: i, runtime: docker, namespace: n}}}}, c: {{cidrs: ["{packets.net_ip4}"]}}}}
modes: {{a: monitor}}
options: {{deny: reset}}
rules:
  - {{id: 2, from: any, to: any, action: deny, enabled: false}}
  - {{id: 3, from: a, to: c, ports: [icmp, udp/53], action: reject, stage: true}}
  - {{id: 4, from: a, to: c, apps: [tls, SSH], app_unknown: deny, direction: egress, action: allow}}
"""
    assert changes(parse(OLD), parse(new)) == [
        "group a: name a → name a* and image i and runtime docker and namespace n",
        f"group c is new: {packets.net_ip4}",
        "group b is gone: name b and label x=y",
        "mode of a: protect → monitor",
        "option deny: drop → reset",
        "rule 2: deny any → any any → deny any → any any (disabled)",
        "rule 3 is new: reject a → c icmp, udp/53 (staged)",
        "rule 4 is new: allow a → c any apps TLS, SSH (unknown: deny) at egress",
        "rule 1 is gone: allow a → b tcp/80",
    ]


def test_another_order_is_a_change():
    """The first match wins, so order is meaning."""
    head, first, second = OLD.rpartition("rules:\n")[0], *OLD.splitlines()[-2:]
    swapped = f"{head}rules:\n{second}\n{first}\n"
    assert changes(parse(OLD), parse(swapped)) == ["rule 2 moves: before all others"]


def test_only_ports_that_are_concerned_change():
    attached = [
        workload("a", port(1, f"{packets.pod_one_ip4}/24")),
        workload("c", port(2, f"{packets.pod_two_ip4}/24")),
    ]
    before, after = (
        Compiler(policy).compile(attached)
        for policy in (EMPTY, parse(OLD.replace("  - {id: 2", "  # - {id: 2")))
    )
    assert changed_ports(before, after) == [1]
    assert changed_ports(Compiled(), after) == [1, 2]


def test_exceptions_and_expressions_are_told():
    hole = f"{packets.pod_one_ip4}/32"
    new = f"""
apiVersion: segctl/v1
groups:
  a: {{selector: {{expressions: [{{key: x, operator: NotIn, values: [y, z]}}, {{key: k, operator: Exists}}]}}}}
  c: {{cidrs: ["{packets.net_ip4}"], except: ["{hole}"]}}
"""
    assert changes(EMPTY, parse(new)) == [
        "group a is new: label x NotIn y, z and label k Exists",
        f"group c is new: {packets.net_ip4} except {hole}",
    ]


@given(st.permutations(range(6)))
def test_as_few_rules_move_as_can_be(after):
    """Those that stay are in one order in both, and no larger set is."""
    before = list(range(6))
    going = moved(before, list(after))
    staying = [key for key in after if key not in going]
    assert staying == sorted(staying)
    longest = max(
        len(row)
        for bits in range(64)
        if (row := [key for key in after if bits >> key & 1]) == sorted(row)
    )
    assert len(staying) == longest


def test_names_are_told_as_they_are_written():
    text = "apiVersion: segctl/v1\ngroups: {far: {fqdns: [A.example, %s]}}"
    one, two = parse(text % "'*.b'"), parse(text % "b")
    assert changes(EMPTY, one) == ["group far is new: a.example, *.b"]
    assert changes(one, two) == ["group far: a.example, *.b → a.example, b"]
    text = "apiVersion: segctl/v1\ngroups: {far: {fqdns: [a], verify: %s}}"
    off, on = parse(text % "false"), parse(text % "true")
    assert changes(off, on) == ["group far: a (not verified) → a"]
