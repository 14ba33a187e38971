"""`http:` of a rule: what is read, what is refused, and the readings of a path."""

from __future__ import annotations

import pytest

from pyctl.errors import UsageError
from pyctl.model.policy import Field
from pyctl.policy.compile.conditions import condition_of
from pyctl.policy.document.conditions.http import encoded
from pyctl.policy.document.identity import rule_key
from pyctl.policy.document.parse import parse


def rule(http: str, action: str = "allow", more: str = ""):
    (found,) = parse(
        f"apiVersion: segctl/v1\nrules:\n  - {{id: 1, from: any, to: any, action: {action}, {more} http: {http}}}\n"
    ).rules
    return found


def test_a_rule_for_requests_is_for_http():
    found = rule(
        '{methods: [GET], paths: ["/api/*", /x], hosts: ["*.Example.org", 10.0.0.1, "::1"]}'
    )
    assert found.apps == ("HTTP",)
    assert found.http.methods == ("GET",)
    assert found.http.paths == ("*/api/", "=/x")
    assert found.http.hosts == ("*.example.org", "10.0.0.1", "[::1]")


def test_the_engine_is_given_each_item_by_its_field():
    http = '{methods: [PUT, GET], paths: ["/a*"], hosts: [a.b]}'
    items = condition_of(rule(http), 5).items
    assert items == (
        *((Field.METHOD, b"GET"), (Field.METHOD, b"PUT")),
        *((Field.HOST, b"a.b"), (Field.PATH, b"*/a")),
    )


def test_connect_must_be_named_to_be_allowed():
    assert condition_of(rule("{hosts: [a]}"), 5).items[0] == (Field.METHOD, b"*")
    assert condition_of(rule("{hosts: [a]}", "deny"), 5).items == ((Field.HOST, b"a"),)


@pytest.mark.parametrize(
    ("http", "error"),
    [
        ("{}", "asks for nothing"),
        ("{methods: [get]}", "in capitals"),
        ("{paths: [api]}", "must be a path"),
        ('{paths: ["/a*b"]}', "a star stands at the end"),
        ('{paths: ["/a?b"]}', "no query"),
        ('{paths: ["/a/../b"]}', "without . and .."),
        ('{paths: ["/a//b"]}', "several slashes"),
        ('{paths: ["/a%zz"]}', "hexadecimal"),
        ('{hosts: ["*foo.com"]}', "is no name"),
        ("{verbs: [GET]}", "verbs"),
        ("7", "must be"),
    ],
)
def test_what_cannot_be_meant_is_refused(http, error):
    with pytest.raises(UsageError, match=error):
        rule(http)


def test_other_applications_have_no_requests():
    with pytest.raises(UsageError, match="not for Redis"):
        rule("{methods: [GET]}", more="apps: [Redis],")


@pytest.mark.parametrize("app", ["HTTP", "WebSocket", "HTTP2", "gRPC", "etcd"])
def test_those_of_http_have(app):
    found = rule('{paths: ["/helloworld.Greeter/*"]}', more=f"apps: [{app}],")
    assert found.apps == (app,)
    assert found.http.paths == ("*/helloworld.Greeter/",)


def test_without_applications_it_is_for_http1():
    assert rule("{methods: [GET]}").apps == ("HTTP",)


def test_a_rule_is_another_if_it_asks_for_others():
    one, other = rule("{methods: [GET]}"), rule("{methods: [PUT]}")
    assert rule_key(one) != rule_key(other)
    assert rule_key(rule("{methods: [GET, PUT]}")) == rule_key(
        rule("{methods: [PUT, GET]}")
    )


def test_a_path_in_a_rule_is_encoded_as_requests_are():
    assert encoded("/caf\u00e9") == "/caf%C3%A9" == encoded("/caf%c3%a9")
