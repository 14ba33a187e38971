"""A rule is itself while it says the same."""

from __future__ import annotations

import pytest

from pyctl.policy.document.identity import rule_key
from pyctl.policy.document.parse import parse

TEXT = """
apiVersion: segctl/v1
groups: {web: {selector: {name: web}}, db: {selector: {name: db}}}
rules: [{id: 1, from: web, to: db, ports: [tcp/80, udp/53], action: deny}]
"""

WORDS = ("allow", "deny")


def key(text: str = TEXT) -> int:
    return rule_key(parse(text).rules[0])


@pytest.mark.parametrize(
    "change",
    [
        ("action: deny", "action: deny, comment: why"),
        ("action: deny", "action: deny, enabled: false"),
        ("tcp/80, udp/53", "udp/53, tcp/80"),
        ("{name: web}", "{labels: {app: web}}"),
        ("rules: [", "rules: [{id: 9, from: any, to: any, action: allow}, "),
    ],
)
def test_it_keeps_its_key(change):
    rules = {rule.id: rule for rule in parse(TEXT.replace(*change)).rules}
    assert rule_key(rules[1]) == key()


@pytest.mark.parametrize(
    "change",
    [
        ("id: 1", "id: 2"),
        ("action: deny", "action: reject"),
        ("action: deny", "action: deny, stage: true"),
        ("action: deny", "action: deny, direction: egress"),
        ("from: web", "from: any"),
        ("to: db", "to: web"),
        ("tcp/80", "tcp/81"),
        ("tcp/80, ", ""),
        ("action: deny", "action: deny, apps: [TLS]"),
        ("action: deny", "action: deny, tls: {sni: [a]}"),
    ],
)
def test_it_is_another(change):
    assert key(TEXT.replace(*change)) != key()


def test_applications_are_a_part_of_what_it_says_and_their_order_is_none():
    one = TEXT.replace("deny", "deny, apps: [TLS, HTTP]")
    assert key(one) == key(TEXT.replace("deny", "deny, apps: [http, tls]"))
    assert key(one) != key(TEXT.replace("deny", "deny, apps: [TLS]"))
    unknown = [one.replace("apps:", f"app_unknown: {it}, apps:") for it in WORDS]
    assert len({key(one), *map(key, unknown)}) == 3


def test_so_is_what_it_asks_of_tls():
    parts = ("sni: [a, b]", "sni: [a]", "alpn: [a, b]", 'min_version: "1.2"')
    ones = [TEXT.replace("deny", f"deny, tls: {{{part}}}") for part in parts]
    assert len({key(one) for one in ones}) == len(parts)
    assert key(ones[0]) == key(ones[0].replace("[a, b]", "[b, A]"))


def test_keys_are_the_same_on_every_day_and_fit_a_signed_column():
    assert key() == 4753465200291508477
    assert 1 << 62 <= key() < 1 << 63
