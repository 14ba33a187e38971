"""Groups of DNS names, as the names meet them under which a workload looked an address up.

In: a policy's groups, names in small letters. Out: which of the groups take one of the names. I/O: none.
"""

from __future__ import annotations

from collections.abc import Collection

from pyctl.model.policy import Action
from pyctl.policy.document.types import Policy, Rule
from pyctl.policy.evaluate.facts import Facts


def takes(pattern: str, name: str) -> bool:
    """Return whether a pattern of a group takes the name; `*.x` takes what has more labels than x, not x."""
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def groups_of_names(policy: Policy, names: Collection[str]) -> frozenset[str]:
    """Return the groups that take one of the names."""
    return frozenset(
        group.name
        for group in policy.groups.values()
        if any(takes(pattern, name) for pattern in group.fqdns for name in names)
    )


def why_not_by_name(policy: Policy, rule: Rule, facts: Facts) -> str:
    """Return why the name that a flow shows keeps an allowing rule to a group of names from matching, or ""."""
    group = policy.groups.get(rule.target)
    name = facts.sni or facts.host
    if not name or group is None or not group.fqdns or not group.verify:
        return ""
    if rule.action is not Action.ALLOW or any(takes(one, name) for one in group.fqdns):
        return ""
    return f"{name} is not in {group.name}, which is verified"


def groups_with_names(policy: Policy) -> frozenset[str]:
    """Return the groups that are DNS names."""
    return frozenset(group.name for group in policy.groups.values() if group.fqdns)
