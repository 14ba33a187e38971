"""Copies of one thing are one group; what is something else is never in it."""

from __future__ import annotations

import pytest

from pyctl.policy.document.field_checks import ErrorCollector, group_name
from pyctl.policy.document.parse import parse
from pyctl.policy.document.resolve import selects
from pyctl.policy.document.types import Selector
from pyctl.policy.learn.replica_groups import Naming, place
from tests.unit.policy.makers import workload


def policy(groups="{}"):
    return parse(f"apiVersion: segctl/v1\ngroups: {groups}\n")


def placed(loads, talking=None, groups="{}"):
    written = policy(groups)
    names = talking or [load.name for load in loads]
    return place(written, loads, names, Naming(written.groups))


def named(*names):
    return [workload(name) for name in names]


def test_copies_by_number_are_one_group_and_a_single_one_is_its_name():
    found = placed(named("web-1", "web-2", "web-admin", "db-1", "cache"))
    assert found.group == {
        "web-1": "web",
        "web-2": "web",
        "web-admin": "web-admin",
        "db-1": "db-1",
        "cache": "cache",
    }
    assert found.made["web"] == Selector(name="web-[0-9]*")
    assert found.made["db-1"] == Selector(name="db-1")


def test_labels_of_an_orchestrator_go_before_names():
    keys = ("com.docker.compose.project", "com.docker.compose.service")
    labels = dict(zip(keys, ("shop", "web"), strict=True))
    loads = [workload("x1", labels=labels), workload("y", labels=labels)]
    found = placed(loads)
    assert set(found.group.values()) == {"web"}
    assert dict(found.made["web"].labels) == labels


def test_a_copy_that_has_gone_is_what_the_others_of_its_name_are():
    loads = [workload(f"web-{n}", labels={"app": "w"}) for n in (1, 2)]
    found = placed(loads, ["web-1", "web-3"])
    assert found.group["web-3"] == found.group["web-1"]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ('{all: {selector: {name: "*"}}, front: {selector: {name: "web*"}}}', "front"),
        ('{all: {selector: {name: "*"}}}', "web"),
        ("{one: {selector: {name: web-1}}, both: {selector: {name: web-?}}}", "both"),
        ('{web: {selector: {name: "x*"}}}', "web-2"),
    ],
)
def test_a_group_of_the_policy_is_taken_where_it_takes_nothing_else(groups, expected):
    found = placed(named("web-1", "web-2", "db"), groups=groups)
    assert found.group["web-1"] == expected
    assert ("db" in found.group.values()) is ("db" in found.made)


def test_a_number_left_open_must_not_take_what_has_other_labels():
    loads = [*named("web-1", "web-2"), workload("web-3", labels={"app": "other"})]
    found = placed(loads)
    assert found.made[found.group["web-1"]] == Selector(name="web-1")


@pytest.mark.parametrize("name", ["a b", "/x", "-", "any", "ä" * 80, "w[1]*"])
def test_every_name_becomes_a_group_name_and_a_glob_of_its_own(name):
    found = placed(named(name, "other"))
    notes = ErrorCollector()
    assert group_name(notes, "", found.group[name])
    assert found.group[name] != "any"
    assert selects(found.made[found.group[name]], workload(name))
    assert not selects(found.made[found.group[name]], workload("w1x"))


def test_names_are_given_once():
    naming = Naming(["web"])
    assert [naming.new("web"), naming.new("web"), naming.new("db")] == [
        *("web-2", "web-3", "db"),
    ]
