"""The document: whole, valid, one line for each rule, and the author's own content in it."""

from __future__ import annotations

import json

import yaml

from pyctl.policy.document.parse import parse
from pyctl.policy.document.types import EMPTY
from pyctl.policy.learn.rules import learn
from pyctl.policy.learn.text import as_yaml, document
from tests.unit.policy.flows import LOADS, seen
from tests.unit.policy.makers import workload


def test_rules_say_from_what_they_are():
    body = document(learn([seen("web-1", "app", flows=3)], EMPTY, LOADS), "")
    (rule,) = body["rules"]
    assert rule["comment"].startswith("learned from 3 flows, last 1970-01-01")
    assert list(body) == ["apiVersion", "groups", "rules"]
    text = as_yaml(body, "one\ntwo")
    assert text.splitlines()[:2] == ["# one", "# two"]
    assert sum("id: 10000" in line for line in text.splitlines()) == 1


def test_what_the_author_wrote_is_kept_whatever_it_is():
    """Also a key that this module knows nothing of."""
    text = "apiVersion: segctl/v1\nnew: {a: [1]}\nrules: [{id: 1, x: yes}]\n"
    body = document(learn([], EMPTY, LOADS), text)
    assert body["new"] == {"a": [1]}
    assert body["rules"] == [{"id": 1, "x": True}]
    assert yaml.safe_load(as_yaml(body, "")) == body == json.loads(json.dumps(body))


def test_names_and_labels_that_look_like_something_else_are_quoted():
    loads = [workload("yes", labels={"app": "123"}), workload("1")]
    flows = [
        seen("web-1", "app").__class__(
            seen("web-1", "app").source.__class__("::1", "yes"),
            seen("web-1", "app").source.__class__("::2", "1"),
            *("tcp", 80, seen("web-1", "app").sides, True, "data", 1, 0.0),
        )
    ]
    policy = parse(as_yaml(document(learn(flows, EMPTY, loads), ""), ""))
    assert dict(policy.groups["123"].selector.labels) == {"app": "123"}
    assert policy.groups["1"].selector.name == "1"


def test_applications_stand_beside_the_ports_where_there_are_any():
    flows = [seen("web-1", "app", app="TLS"), seen("app", "db")]
    with_none, with_one = document(learn(flows, EMPTY, LOADS, apps=True), "")["rules"]
    assert "apps" not in with_none
    assert with_one["apps"] == ["TLS"]
