"""Rules for applications, as a flow of one application meets them.

In: rules, the name of an application as model.apps spells it, or UNKNOWN_NAME; Facts. Out: whether a rule can match, with
which action. I/O: none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pyctl.model.apps import NUMBERS, UNKNOWN_NAME, app_bits
from pyctl.model.policy import Action
from pyctl.model.protocols import WITH_APPS, protocol_name
from pyctl.policy.document.types import Rule
from pyctl.policy.evaluate.facts import NOTHING, Facts, why_not_by


def why_not(rule: Rule, proto: int, app: str | None, facts: Facts = NOTHING) -> str:
    """Return why a flow's application, or what else is known of it, keeps the rule from matching, or "". What is not
    known yet does not keep it; None: that is the application.
    """
    if not rule.apps:
        return ""
    if protocol_name(proto) not in WITH_APPS:
        return f"only {' and '.join(WITH_APPS)} have applications"
    if app is None or (app == UNKNOWN_NAME and rule.app_unknown):
        return ""
    if app != UNKNOWN_NAME and app_bits(rule.apps) >> NUMBERS[app] & 1:
        return why_not_by(rule, facts) or ""
    return f"its applications are {', '.join(rule.apps)}"


def is_open(rule: Rule, app: str | None, facts: Facts) -> bool:
    """Return whether a rule that was found rests on what is not known."""
    if app is None:
        return bool(rule.apps)
    return app != UNKNOWN_NAME and why_not_by(rule, facts) is None


def action_for(rule: Rule, app: str | None) -> Action:
    """Return the action of a rule that was found for a flow of this application."""
    return rule.app_unknown if rule.app_unknown and app == UNKNOWN_NAME else rule.action


def with_action_for(rule: Rule | None, app: str | None) -> Rule | None:
    """Return a rule that was found, with the action that counts for this application."""
    return rule and replace(rule, action=action_for(rule, app))


def named_by(rules: Iterable[Rule]) -> tuple[str, ...]:
    """Return the applications that rules are for, those that they contain included."""
    bits = app_bits({name for rule in rules if rule.enabled for name in rule.apps})
    return tuple(name for name, number in NUMBERS.items() if bits >> number & 1)


def told_apart(rules: Iterable[Rule]) -> tuple[str, ...]:
    """Return an application of each kind that these rules may treat differently: those that they are for, one that
    they are not for, and the unknown one. () where no rule is for applications.
    """
    named = named_by(rules)
    others = [name for name in NUMBERS if name not in named]
    return (*named, *others[:1], UNKNOWN_NAME) if named else ()
