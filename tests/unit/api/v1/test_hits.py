"""Hits as the API shows them: of the rules in force, in their order."""

from __future__ import annotations

from pyctl.api.v1.hits import hits_view
from pyctl.policy.document.identity import rule_key
from pyctl.policy.document.parse import parse
from pyctl.telemetry.history.hits import DEFAULT, Hits

TEXT = """
apiVersion: segctl/v1
rules:
  - {id: 2, from: any, to: any, ports: [tcp/80], action: reject, stage: true}
  - {id: 1, from: any, to: any, action: allow, enabled: false}
"""


def test_rules_have_their_own_counts_and_others_none():
    rules = parse(TEXT).rules
    found = {
        rule_key(rules[0]): Hits(3, 9.0, 5.0),
        DEFAULT: Hits(1, 8.0, 4.0),
        99: Hits(7, 7.0, 7.0),
    }
    shown = hits_view(rules, found, recording=True)
    assert [(one.id, one.hits, one.last, one.since) for one in shown.rules] == [
        (2, 3, 9.0, 5.0),
        (1, 0, None, None),
    ]
    assert [(one.staged, one.enabled) for one in shown.rules] == [
        (True, True),
        (False, False),
    ]
    assert (shown.default.hits, shown.default.since) == (1, 4.0)
