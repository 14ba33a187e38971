"""The schema takes what the parser takes, and refuses what the parser refuses for one field alone."""

from __future__ import annotations

import copy
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pyctl.errors import UsageError
from pyctl.model.sensors.shipped import SHIPPED
from pyctl.model.threats import DEFAULTS
from pyctl.policy.document.parse import parse
from pyctl.policy.document.schema import document
from tests import packets
from tests.unit.policy.document.test_parse import policy, rule

SCHEMA = document()
VALID = Draft202012Validator(SCHEMA)
BETWEEN_FIELDS = re.compile(
    "no such group|is taken by|only workloads have|is in none of|has host bits|is no CIDR|"
    "is for a rule with apps|(?:tls|http): is for|is an address|is names, |carries no application|(?:ports|types) go from"
)
"""What only the parser can say."""


def errors_of(text: str) -> list[str]:
    try:
        parse(text)
    except UsageError as error:
        return [line.strip() for line in error.tried.split("\n")[1:]] or [error.tried]
    return []


def agree(value: object) -> None:
    errors = errors_of(json.dumps(value))
    own = [error for error in errors if not BETWEEN_FIELDS.search(error)]
    assert VALID.is_valid(value) == (not own), (value, errors)


FULL = {
    "apiVersion": "segctl/v1",
    "groups": {
        "web": {"selector": {"name": "w*", "labels": {"a": ""}, "image": "i"}},
        "run": {"selector": {"runtime": "docker", "namespace": "shop*"}},
        "asked": {
            "selector": {
                "expressions": [
                    {"key": "a", "operator": "In", "values": ["x", ""]},
                    {"key": "b", "operator": "Exists", "values": []},
                ]
            }
        },
        "far": {"fqdns": ["*.Example.org.", "db_1.internal"], "verify": False},
        "net": {"cidrs": [packets.net_ip4], "except": [f"{packets.pod_one_ip4}/32"]},
    },
    "modes": {"web": "protect", "any": "discover"},
    "threats": {"web": {"land": "off"}, "any": {**DEFAULTS}},
    "sensors": {
        "data": {
            **({"use": sorted(SHIPPED)[:1]} if SHIPPED else {}),
            "patterns": [
                {
                    "id": "order",
                    "regex": "(?i)ord",
                    "part": "body",
                    "severity": "high",
                    "confirm": "pcre2",
                }
            ],
            "show": True,
            "groups": {"web": "drop", "any": False},
        }
    },
    "options": {"deny": "reset"},
    "rules": [
        {
            "id": 1,
            "from": "net",
            "to": "web",
            "direction": "ingress",
            "ports": ["tcp/80-90", "icmp", "icmp/8", "icmpv6/1-9", "any", "udp"],
            "action": "allow",
            "comment": "",
            "enabled": False,
            "stage": True,
        },
        {
            "id": 2,
            "from": "any",
            "to": "web",
            "action": "deny",
            "apps": ["TLS", "postgreSQL"],
            "app_unknown": "allow",
        },
        {
            "id": 3,
            "from": "any",
            "to": "web",
            "action": "allow",
            "tls": {
                "sni": ["*.a.example", "db"],
                "alpn": ["h2"],
                "min_version": "1.2",
            },
        },
        {"id": 4, "from": "web", "to": "far", "action": "allow"},
        {
            "id": 5,
            "from": "any",
            "to": "web",
            "action": "deny",
            "http": {
                "methods": ["GET", "M-SEARCH"],
                "paths": ["/api/*", "/a%20b"],
                "hosts": ["*.a.example", "10.0.0.1"],
            },
        },
    ],
}
ODD = [
    *(None, True, 0, 1, -1, 2**32, 1.5, "", "any", "x", "a b", "In", "tcp/80", [], [1]),
    *(
        "docker",
        "process",
        "tls",
        "gopher",
        ["http2"],
        "1.2",
        ["10.0.0.1"],
        {"sni": ["x"]},
        *({"methods": ["GET"]}, {"paths": ["/x"]}, ["GET"], ["/x*"], ["/*x"]),
    ),
    *(["*"], ["*.a.b"], ["a..b"], ["1.2"], ["x" * 64], ["a." * 127 + "b"]),
    *([""], ["x"], {}, {"x": 1}, {"any": {}}, {"selector": {}}, {"name": "x"}),
    *(
        packets.net_ip4,
        [packets.net_ip6],
        "reset",
        "deny",
        "reject",
        "protect",
        "alert",
        "egress",
    ),
]
KEYS = [
    *("selector", "cidrs", "except", "fqdns", "name", "labels", "key", "operator"),
    *("values", "runtime", "namespace", "id", "from", "ports", "apps", "action"),
    *(
        "app_unknown",
        "tls",
        "sni",
        "alpn",
        "min_version",
        *("http", "methods", "paths", "hosts"),
        "stage",
        "deny",
        "extra",
        "any",
    ),
]


def places(value, path=()):
    """The paths of all that is in it."""
    yield path
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, part in inside:
        yield from places(part, (*path, key))


@st.composite
def broken(draw):
    """The full document with up to three fields replaced, taken away or added."""
    value = copy.deepcopy(FULL)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([at for at in places(value) if at]))
        *above, last = path
        inner = value
        for key in above:
            inner = inner[key]
        what = draw(st.sampled_from(["replace", "take away", "add"]))
        if what == "replace":
            inner[last] = copy.deepcopy(draw(st.sampled_from(ODD)))
        elif what == "take away":
            del inner[last]
        elif isinstance(inner, dict):
            inner[draw(st.sampled_from(KEYS))] = copy.deepcopy(
                draw(st.sampled_from(ODD))
            )
        else:
            inner.append(copy.deepcopy(draw(st.sampled_from(ODD))))
    return value


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


def test_a_policy_with_all_there_is_is_taken():
    assert errors_of(json.dumps(FULL)) == []
    agree(FULL)


@given(broken())
def test_schema_and_parser_agree(value):
    agree(value)


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("path", [at for at in places(FULL) if at], ids=str)
def test_they_agree_on_every_field(path, value):
    found = copy.deepcopy(FULL)
    *above, last = path
    inner = found
    for key in above:
        inner = inner[key]
    inner[last] = value
    agree(found)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (policy(x=1), ["properties"]),
        (policy(options={"x": 1}), ["properties", "options", "properties"]),
        (policy(rules=[rule(x=1)]), ["properties", "rules", "items", "properties"]),
    ],
)
def test_no_key_of_the_parser_is_missing(text, place):
    """The parser says which keys it knows."""
    known = set(errors_of(text)[0].partition("known here: ")[2].split(", "))
    inner = SCHEMA
    for step in place:
        inner = inner[step]
    assert known == set(inner)


def property_names(schema):
    """Of all objects in it."""
    if isinstance(schema, list):
        for part in schema:
            yield from property_names(part)
    elif isinstance(schema, dict):
        yield from schema.get("properties", {})
        yield from property_names(list(schema.get("properties", {}).values()))
        rest = [part for key, part in schema.items() if key != "properties"]
        yield from property_names(rest)


def test_the_full_policy_has_every_key_of_the_schema():
    """So that no key goes uncompared."""
    told = json.dumps(FULL)
    names = set(property_names(SCHEMA))
    assert {"operator", "except", "deny"} <= names
    uncompared = {name for name in names if f'"{name}":' not in told}
    assert uncompared == (set() if SHIPPED else {"use"})
