"""`tls:` of a rule is read whole or refused with the path of what is wrong."""

from __future__ import annotations

import pytest

from pyctl.errors import UsageError
from pyctl.policy.document.conditions.tls import tls_text
from pyctl.policy.document.parse import parse
from pyctl.policy.document.types import Tls

POLICY = """\
apiVersion: segctl/v1
rules:
- {{id: 1, from: any, to: any, action: allow, {}}}
"""


def rule_of(text: str):
    (rule,) = parse(POLICY.format(text)).rules
    return rule


def test_it_is_for_tls_where_no_application_is_named():
    rule = rule_of('tls: {sni: ["*.A.example", b, b], alpn: [h2], min_version: "1.2"}')
    assert rule.apps == ("TLS",)
    assert rule.tls == Tls(("*.a.example", "b"), ("h2",), "1.2")
    assert rule_of("apps: [dot], tls: {sni: [a]}").apps == ("DoT",)
    assert rule_of("apps: [TLS]").tls is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tls: {}", "rules[0].tls: asks for nothing"),
        ("tls: [a]", "rules[0].tls: must be a mapping"),
        ("tls: {sni: []}", "rules[0].tls.sni: must be a list with an element"),
        ("tls: {sni: [10.0.0.1]}", "rules[0].tls.sni[0]: '10.0.0.1' is an address"),
        ("tls: {sni: ['*']}", "rules[0].tls.sni[0]: '*' is no name"),
        ("tls: {alpn: ['']}", "rules[0].tls.alpn[0]: must be a protocol"),
        ("tls: {min_version: 1.2}", "min_version: must be one of 1.0, 1.1, 1.2, 1.3, in"),
        ("tls: {min_version: '1.4'}", "rules[0].tls.min_version: must be one of"),
        ("tls: {host: [a]}", "rules[0].tls.host: unknown key"),
        ("apps: [HTTP, TLS], tls: {sni: [a]}", "tls: is for TLS, DoT, QUIC, not for HTTP"),
        ("ports: [icmp], tls: {sni: [a]}", "icmp carries no application"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_path(text, said):
    with pytest.raises(UsageError) as refused:
        rule_of(text)
    assert said in str(refused.value)


def test_an_unknown_application_may_be_decided_besides():
    assert rule_of("tls: {sni: [a]}, app_unknown: deny").app_unknown == "deny"


def test_too_many_are_refused():
    many = ", ".join(f"a{number}" for number in range(257))
    with pytest.raises(UsageError, match="are 257; at most 256"):
        rule_of(f"tls: {{sni: [{many}]}}")


def test_the_text_says_all_that_is_asked():
    whole = Tls(("a", "*.b"), ("h2",), "1.3")
    assert tls_text(whole) == " tls sni a, *.b; alpn h2; from version 1.3"
    assert tls_text(None) == ""
