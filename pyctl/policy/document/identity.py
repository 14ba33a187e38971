"""A rule's meaning as a number, the key of its hit counts.

In: a Rule. Out: its key. I/O: none.

A rule is itself as long as its id and what it says stay: action, ends, ports, applications, what it
asks of TLS or of requests, direction, staged or not.
One that says something else is another, whose hits start at zero; and one that comes back, by a rollback
or because it is enabled again, goes on counting. Its comment and its place do not matter, nor does the
order of its ports, applications or names. Groups count by their names: their members change as workloads come and go, and a rule
must not lose its history because an address joined a group.
"""

from __future__ import annotations

from hashlib import blake2b

from pyctl.policy.document.types import Http, Rule, Tls


def rule_key(rule: Rule) -> int:
    """Return a rule's key, 2**62 to 2**63 - 1: it fits a signed column and is never an engine's number."""
    ports = sorted(
        (spec.proto, spec.low, spec.high, *([spec.name] if spec.name else []))
        for spec in rule.ports
    )
    said = (rule.id, rule.action.value, rule.source, rule.target, ports)
    end = rule.direction.value if rule.direction else None
    unknown = rule.app_unknown.value if rule.app_unknown else None
    apps = (sorted(rule.apps), unknown) if rule.apps else ()
    tls = _tls(rule.tls) if rule.tls else ()
    http = _http(rule.http) if rule.http else ()
    text = repr((*said, end, rule.stage, *apps, *tls, *http))
    found = int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
    return found >> 2 | 1 << 62


def _http(http: Http) -> tuple[object, ...]:
    return "http", sorted(http.methods), sorted(http.paths), sorted(http.hosts)


def _tls(tls: Tls) -> tuple[object, ...]:
    return sorted(tls.sni), sorted(tls.alpn), tls.min_version
