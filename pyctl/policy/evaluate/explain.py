"""Which rule decides, and why each one before it does not.

In: a Policy, the groups of both ends, a packet's protocol and port. Out: Explanation. I/O: none.
It reads the rules one by one as they are written: what the engine looks up in its tables must be
what this finds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pyctl.model.policy import Action, Direction
from pyctl.model.protocols import VERSION_OF
from pyctl.model.truth import RuleResult
from pyctl.model.workload import Workload
from pyctl.policy.document.conditions.http import http_text
from pyctl.policy.document.conditions.tls import tls_text
from pyctl.policy.document.resolve import Address, groups_of
from pyctl.policy.document.types import ANY, Policy, PortSpec, Rule
from pyctl.policy.evaluate.applications import (
    action_for,
    is_open,
    why_not,
    with_action_for,
)
from pyctl.policy.evaluate.facts import NOTHING, Facts
from pyctl.policy.evaluate.looked_up import why_not_by_name


@dataclass(frozen=True)
class Explanation:
    """The rule that decides a flow, and why those before it do not."""

    rule: Rule | None
    """None: the default decides."""
    passed_over: tuple[tuple[Rule, str], ...]
    """Each rule before it, and why it does not match or decide."""
    staged: Rule | None = None
    """The first staged rule that matches: it would decide. None too where its applications may not match."""
    app: str | None = None
    """The flow's application; None: not known."""
    facts: Facts = NOTHING
    """What else is known of it."""

    @property
    def says(self) -> RuleResult:
        """Return the result of the rule that decides; while it needs the application, as if it matched."""
        return says(with_action_for(self.rule, self.app))

    @property
    def staged_says(self) -> RuleResult | None:
        """Return the result of the staged rule; None: there is none."""
        return (
            None
            if self.staged is None
            else says(with_action_for(self.staged, self.app))
        )

    @property
    def needs_app(self) -> bool:
        """Return whether the rule is for applications, and the flow's is not known."""
        return self.app is None and self.is_open

    @property
    def is_open(self) -> bool:
        """Return whether the rule rests on what is not known of the flow."""
        return self.rule is not None and is_open(self.rule, self.app, self.facts)


def groups_at(
    policy: Policy, address: Address, workloads: Collection[Workload]
) -> frozenset[str]:
    """Return the groups at an end: those of the address's CIDRs, those of the workloads, and `any`."""
    return frozenset(
        {
            ANY,
            *(name for load in workloads for name in groups_of(policy, load)),
            *(
                group.name
                for group in policy.groups.values()
                if any(address in net for net in group.cidrs)
                and not any(address in net for net in group.excepts)
            ),
        }
    )


def groups_of_each(
    policy: Policy, address: Address, workloads: Collection[Workload]
) -> tuple[frozenset[str], ...]:
    """Return the groups of each workload that has the address; where none has, those of the address."""
    each = [[load] for load in workloads] or [[]]
    return tuple(groups_at(policy, address, one) for one in each)


def says(rule: Rule | None) -> RuleResult:
    """Return the result of the rule that decides; None: no rule does."""
    if rule is None:
        return RuleResult.NOTHING
    return RuleResult.ALLOW if rule.action is Action.ALLOW else RuleResult.DENY


def explain(
    policy: Policy,
    source: Collection[str],
    target: Collection[str],
    proto: int,
    port: int,
    version: int,
    direction: Direction,
    app: str | None = None,
    facts: Facts = NOTHING,
) -> Explanation:
    """Return which rule decides a flow. `proto` is IPPROTO_*, `port` the destination's or ICMP's type,
    `version` 4 or 6; `direction` is the end that judges: egress at the source. `app` is its application by name, or
    UNKNOWN_NAME. None: not known yet, and rules for applications count as if they matched, as in the engine; so do those
    that ask for what `facts` does not know.
    """
    passed_over: list[tuple[Rule, str]] = []
    staged: Rule | None = None
    for rule in policy.rules:
        why = _why_not(rule, source, target, proto, port, version, direction)
        why = why or why_not(rule, proto, app, facts)
        why = why or why_not_by_name(policy, rule, facts)
        if not why:
            if not rule.stage:
                break
            why = _staged(rule, app, facts)
            if staged is not None:
                why = f"it is staged, behind rule {staged.id}"
            staged = staged or rule
        passed_over.append((rule, why))
    else:
        rule = None
    if staged is not None and is_open(staged, app, facts):
        staged = None
    return Explanation(rule, tuple(passed_over), staged, app, facts)


def _staged(rule: Rule, app: str | None, facts: Facts) -> str:
    would = f"it is staged: it would {action_for(rule, app)}"
    if not is_open(rule, app, facts):
        return would
    return f"{would} {', '.join(rule.apps)}{tls_text(rule.tls)}{http_text(rule.http)}"


def strictest(found: Iterable[Explanation]) -> Explanation:
    """Return the strictest explanation: deny before no rule before allow, then the first rule, then the first
    staged one. The engine (sg_node.c) does the same.
    """
    return min(found, key=_leniency)


def _leniency(one: Explanation) -> tuple[int, int, int]:
    order = (RuleResult.DENY, RuleResult.NOTHING, RuleResult.ALLOW)
    before = [rule for rule, _ in one.passed_over]
    staged = len(before) if one.staged is None else before.index(one.staged)
    return order.index(one.says), len(before), staged


def _why_not(
    rule: Rule,
    source: Collection[str],
    target: Collection[str],
    proto: int,
    port: int,
    version: int,
    direction: Direction,
) -> str:
    if not rule.enabled:
        return "it is disabled"
    if rule.direction not in {None, direction}:
        return f"it holds at {rule.direction} only"
    if rule.source not in source:
        return f"the source is not in {rule.source}"
    if rule.target not in target:
        return f"the destination is not in {rule.target}"
    if not any(_takes(spec, proto, port, version) for spec in rule.ports):
        return f"its ports are {', '.join(spec.text for spec in rule.ports)}"
    return ""


def _takes(spec: PortSpec, proto: int, port: int, version: int) -> bool:
    if spec.name:
        return False
    if spec.numbers == (0,):
        return True
    if proto not in spec.numbers or VERSION_OF.get(proto, version) != version:
        # No stack of one IP version answers the other's ICMP: only `any` takes it.
        return False
    return spec.low <= port <= spec.high
