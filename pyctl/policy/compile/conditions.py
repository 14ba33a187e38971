"""What a rule asks of a flow besides its application, as the engine is given it.

In: a Rule. Out: a Condition. I/O: none.
"""

from __future__ import annotations

from pyctl.model.policy import Action, Condition, Field
from pyctl.policy.document.conditions.tls import VERSIONS
from pyctl.policy.document.types import Http, Policy, Rule, Tls

_NO_TUNNEL = "*"
"""The engine's word for any method but CONNECT, which would let whatever follows pass."""


def verified_names(policy: Policy, rule: Rule) -> tuple[str, ...]:
    """Return the patterns that the names in the rule's flows must match; (): they may be any."""
    group = policy.groups.get(rule.target)
    return group.fqdns if group and group.verify else ()


def condition_of(rule: Rule, key: int, names: tuple[str, ...] = ()) -> Condition | None:
    """Return the rule's condition; None: it has none. `key` is the rule's (identity.py); `names` are the patterns of its
    target, where what it allows must show one of them.
    """
    denies = rule.action is not Action.ALLOW
    items = _tls(rule.tls) if rule.tls else ()
    items = _http(rule.http, denies=denies) if rule.http else items
    # A denial holds for the address: who is denied must not pass by another name.
    if not denies:
        items += tuple((int(Field.NAME), one.encode()) for one in sorted(names))
    return Condition(items, denies, rule=key if denies else 0) if items else None


def _http(http: Http, *, denies: bool) -> tuple[tuple[int, bytes], ...]:
    methods = http.methods or (() if denies else (_NO_TUNNEL,))
    items = [(Field.METHOD, one.encode()) for one in sorted(methods)]
    items += [(Field.HOST, one.encode()) for one in sorted(http.hosts)]
    items += [(Field.PATH, one.encode()) for one in sorted(http.paths)]
    return tuple((int(field), text) for field, text in items)


def _tls(tls: Tls) -> tuple[tuple[int, bytes], ...]:
    least = VERSIONS[tls.min_version].to_bytes(2) if tls.min_version else b""
    items = [(Field.SNI, name.encode()) for name in sorted(tls.sni)]
    items += [(Field.ALPN, name.encode()) for name in sorted(tls.alpn)]
    items += [(Field.VERSION, least)] if least else []
    return tuple((int(field), text) for field, text in items)
