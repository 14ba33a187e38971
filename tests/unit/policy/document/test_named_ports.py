"""A port's name means the number that each workload declares."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from pyctl.errors import UsageError
from pyctl.model.policy import Direction
from pyctl.policy.compile.compiler import Compiler
from pyctl.policy.compile.effective import effective
from pyctl.policy.document.identity import rule_key
from pyctl.policy.document.named_ports import (
    MAX_NUMBERS_PER_NAME,
    PortNames,
    declared_ports,
)
from pyctl.policy.document.parse import parse
from pyctl.policy.document.types import MAX_RULES
from pyctl.policy.evaluate.explain import explain, groups_at
from pyctl.policy.evaluate.question import ask
from tests import packets
from tests.unit.policy.makers import port, workload

FAR = ip_address(packets.world_ip4)
TEXT = """
apiVersion: segctl/v1
groups:
  web: {selector: {labels: {app: web}}}
  far: {cidrs: ["203.0.113.0/24"]}
rules:
  - {id: 3, from: any, to: web, ports: [tcp/http, tcp/22, udp/http], action: allow}
  - {id: 2, from: any, to: any, ports: [tcp/metrics], action: deny}
  - {id: 1, from: any, to: any, action: allow}
"""
POLICY = parse(TEXT)


def web(n: int = 0, app: str = "web", **ports: str):
    labels = {f"segctl.port.{name}": value for name, value in ports.items()}
    return workload(f"w{n}", labels=labels | {"app": app})


def decides(loads, target, port: int, proto: int = 6) -> int:
    policy = effective(POLICY, loads)
    groups = groups_at(policy, FAR, [target] if target else [])
    found = explain(policy, {"any"}, groups, proto, port, 4, Direction.INGRESS)
    return found.rule.id


def test_each_workload_means_its_own_number():
    one, other, none = web(1, http="80"), web(2, http="8080/tcp"), web(3)
    loads = [one, other, none]
    assert [decides(loads, each, 80) for each in loads] == [3, 1, 1]
    assert [decides(loads, each, 8080) for each in loads] == [1, 3, 1]
    assert [decides(loads, each, 80, 17) for each in loads] == [1, 1, 1]
    assert [decides(loads, each, 22) for each in loads] == [3, 3, 3]
    udp = web(4, http="80/udp")
    assert (decides([udp], udp, 80, 17), decides([udp], udp, 80)) == (3, 1)


def test_a_name_means_the_workloads_of_the_rules_target_and_no_address():
    stranger = web(1, app="db", http="80", metrics="9")
    assert decides([stranger], stranger, 80) == 1
    assert decides([stranger], stranger, 9) == 2
    assert decides([stranger], None, 9) == 1


def test_a_number_that_nobody_had_makes_everything_anew_and_the_same_one_nothing():
    compiler = Compiler(POLICY)
    first = compiler.compile([web(1, http="80")])
    again = compiler.compile(
        [*(part.workload for part in first.parts.values()), web(2, http="80")]
    )
    assert again.node is first.node
    assert again.parts["w1"] is first.parts["w1"]
    later = compiler.compile([web(1, http="8080")])
    said = [
        (rule.rule_id, [port.low for port in rule.ports]) for rule in later.node.rules
    ]
    assert said == [(3, [22]), (3, [8080]), (1, [0])]
    # Hits are counted under what its author wrote.
    keys = {rule.id: rule_key(rule) for rule in POLICY.rules}
    assert {rule.rule_id: rule.key for rule in later.node.rules}.items() <= keys.items()


def test_labels_that_are_no_ports_are_told_and_stand_for_none():
    values = ["8080", "80/tcp", "53/udp", "53-udp", "7/sctp"]
    found = [port for value in values for port in declared_ports(web(http=value))]
    assert found == [
        ("tcp", "http", 8080),
        ("tcp", "http", 80),
        ("udp", "http", 53),
        ("udp", "http", 53),
        ("sctp", "http", 7),
    ]
    for value in ("0", "080", "65536", "web", ""):
        load = web(http=value, other=value)
        assert not list(declared_ports(load))
        [line] = PortNames(POLICY).warnings(load, [load])
        assert "segctl.port.http" in line


def test_further_numbers_of_a_name_are_not_allowed_and_denied_in_whole():
    """Those that are known stay as they are; who has one of the others is told."""
    most = range(1, MAX_NUMBERS_PER_NAME + 1)
    loads = [web(n, http=str(n), metrics=str(1000 + n)) for n in most]
    first, last = loads[-1], web(99, http="9999", metrics="9999")
    udp = web(98, metrics="9998-udp")
    loads += [last, udp]
    assert [decides(loads, first, port) for port in (most[-1], 5000)] == [3, 1]
    assert [decides(loads, last, port) for port in (9999, 22, 5)] == [2, 3, 2]
    assert decides(loads, udp, 9998) == 1
    assert len(list(PortNames(POLICY).warnings(last, loads))) == 2
    assert not list(PortNames(POLICY).warnings(first, loads))


def test_the_numbers_of_other_targets_workloads_are_nothing_to_a_rule():
    others = [web(n, app="batch", http=str(n + 1)) for n in range(40)]
    one = web(99, http="8080")
    assert decides([*others, one], one, 8080) == 3
    assert PortNames(POLICY).declared_by(others).numbers == {}


def test_a_number_beyond_those_that_are_known_changes_nothing():
    policy = parse(TEXT.replace("{id: 2", "{id: 2, enabled: false"))
    compiler = Compiler(policy)
    loads = [web(n, http=str(n + 1)) for n in range(MAX_NUMBERS_PER_NAME + 1)]
    first = compiler.compile(loads)
    assert compiler.compile([*loads, web(99, http="9999")]).node is first.node


def test_names_that_stand_for_nothing_are_found():
    def found(*loads):
        return PortNames(POLICY).undeclared(loads)

    assert found() == ["tcp/http", "tcp/metrics", "udp/http"]
    loads = web(http="80", metrics="9"), web(1, app="db", http="80/udp")
    assert found(*loads) == ["udp/http"]


def test_an_answer_speaks_of_the_rules_as_they_are_written():
    own = port(1, f"{packets.pod_one_ip4}/24")
    load = replace(web(http="80", metrics="9"), ports=(own,))
    answer = ask(POLICY, [load], packets.world_ip4, "w0", "tcp/80")
    assert answer.asked[0].explanation.rule is POLICY.rules[0]
    assert answer.asked[0].explanation.passed_over == ()
    answer = ask(POLICY, [load], packets.world_ip4, "w0", "tcp/81")
    over = [(rule.id, why) for rule, why in answer.asked[0].explanation.passed_over]
    assert over == [
        (3, "its ports are tcp/http, tcp/22, udp/http"),
        (2, "its ports are tcp/metrics"),
    ]


def test_there_is_room_for_the_numbers_of_all_names():
    def text(named: int) -> str:
        ports = ", ".join(f"tcp/p{n}" for n in range(named))
        rule = f"{{id: 1, from: any, to: any, ports: [{ports}], action: allow}}"
        return f"apiVersion: segctl/v1\nrules: [{rule}]"

    room = (MAX_RULES - 1) // (MAX_NUMBERS_PER_NAME + 1)
    parse(text(room))
    with pytest.raises(UsageError, match=f"there is room for {room}"):
        parse(text(room + 1))


def test_a_name_for_addresses_is_warned_of():
    text = """
apiVersion: segctl/v1
groups: {far: {cidrs: ["203.0.113.0/24"]}}
rules: [{id: 1, from: any, to: far, ports: [tcp/http], action: allow}]
"""
    assert "tcp/http is a name" in parse(text).warnings[0]


def test_what_looks_like_a_number_is_warned_of():
    rule = "{id: 1, from: any, to: any, ports: [tcp/80-9o], action: deny}"
    [warning] = parse(f"apiVersion: segctl/v1\nrules: [{rule}]").warnings
    assert "tcp/80-9o is taken for the name of a port" in warning
