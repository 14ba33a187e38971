"""What a policy says as it is written, without a thought of speed: what every lookup must find."""

from __future__ import annotations

from dataclasses import replace

from pyctl.model.policy import Action, Direction
from pyctl.policy.document.resolve import addresses, possible
from pyctl.policy.document.types import ANY, PortSpec
from pyctl.policy.evaluate.explain import explain, groups_at


def as_declared(policy, load):
    """The policy to one who opens to this workload, or to an address that is nobody's: names are its numbers,
    where the rule speaks of workloads."""
    said = load.labels.get("segctl.port.web", "") if load else ""
    number, _, proto = said.replace("-", "/").partition("/")

    def meant(spec, target):
        if not spec.name:
            return [spec]
        known = number.isdecimal() and spec.proto == (proto or "tcp")
        known &= target == ANY or policy.groups[target].selector is not None
        return [PortSpec(said, spec.proto, int(number), int(number))] if known else []

    rules = [
        replace(
            rule,
            ports=tuple(one for each in rule.ports for one in meant(each, rule.target)),
        )
        for rule in policy.rules
    ]
    return replace(policy, rules=tuple(rules))


def written(policy, attached, each, end, local, peer, proto, dport, app=None):
    """What decides at one workload's end, `egress` of what it opens: its rule, and a staged one before it. `policy`
    knows the workloads' subnets."""
    here = groups_at(policy, local, [each])
    known = possible([load for load in attached if peer in addresses(load)], each)
    found = []
    # Each who has the address, one by one: the strictest answer, of the earliest rule.
    for one in known or [None]:
        there = groups_at(policy, peer, [one] if one else [])
        source, target = (here, there) if end is Direction.EGRESS else (there, here)
        meant = as_declared(policy, one if end is Direction.EGRESS else each)
        what = (proto, dport, local.version, end, app)
        found.append(explain(meant, source, target, *what))
    order = [rule.id for rule in policy.rules]

    def place(rule):
        return order.index(rule.id) if rule else len(order)

    def action(rule):
        return (app == "unknown" and rule.app_unknown) or rule.action

    denied = [one for one in found if one.rule and action(one.rule) is not Action.ALLOW]
    silent = [one for one in found if one.rule is None]
    return min(
        denied or silent or found, key=lambda one: (place(one.rule), place(one.staged))
    )


def numbers(found):
    """The ids of its rules; 0: none."""
    return tuple(rule.id if rule else 0 for rule in (found.rule, found.staged))
