"""What a rule asks of a flow besides its application, as the engine is given it.

In: a Rule. Out: a Condition. I/O: none.
"""

from __future__ import annotations

from pyctl.model.policy import Action, Condition, Field
from pyctl.policy.document.conditions.tls import VERSIONS
from pyctl.policy.document.types import Rule, Tls


def condition_of(rule: Rule, key: int) -> Condition | None:
    """Return the rule's condition; None: it has none. `key` is the rule's (identity.py)."""
    if rule.tls is None:
        return None
    denies = rule.action is not Action.ALLOW
    return Condition(_tls(rule.tls), denies, rule=key if denies else 0)


def _tls(tls: Tls) -> tuple[tuple[int, bytes], ...]:
    least = VERSIONS[tls.min_version].to_bytes(2) if tls.min_version else b""
    items = [(Field.SNI, name.encode()) for name in sorted(tls.sni)]
    items += [(Field.ALPN, name.encode()) for name in sorted(tls.alpn)]
    items += [(Field.VERSION, least)] if least else []
    return tuple((int(field), text) for field, text in items)
