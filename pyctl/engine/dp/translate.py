"""A dp policy in the engine's own form.

In: the policy of one endpoint, the internal subnets. Out: model.policy.PortPolicy. I/O: none.
Source: the lookup of NeuVector's dp. What the dp looks up in tables for each session is written out as rules
here, in the order in which the dp would find them:

1. link-local peers pass;
2. in a direction that this cluster does not evaluate, internal peers pass (every peer, inbound);
3. the rules, first match first. An address 0 as the peer's is "external": what is in no internal
   subnet (without subnets all is internal). Protocol 0 is TCP and UDP;
4. ICMP passes;
5. the default.

Where this engine knows less, the stricter outcome holds: it names no application and reads no
host name, so a CHECK_* rule decides as it does for an unknown application, by its sub-rule for
any application or by the default. A rule for a name has no address to match and is left out, which
`dispatch` says in the log: one that denies is missed then, where the default passes. VIOLATE passes;
it is recorded where it is the default of a tapped endpoint. The workload's own address in a rule is
not compared: a port is one workload's, and its datapath drops every other source. IPv6, which no
rule of this protocol can name, is left to the default.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import (
    IPv4Address,
    IPv4Network,
    collapse_addresses,
    summarize_address_range,
)

from pyctl.engine._binding import constant
from pyctl.engine.dp.messages import ApplyDir, PolicyAction, Rule
from pyctl.errors import UsageError
from pyctl.model.policy import Action, Direction, PortPolicy, PortRule
from pyctl.model.protocols import NUMBERS
from pyctl.model.workload import Mode

MAX_RULES = constant("SG_RULES_MAX")
ANY_APP = 0xFFFFFFFF
ANY_PORT = 65535
_BY_DEFAULT = (NUMBERS["tcp"], NUMBERS["udp"])
LINK_LOCAL = IPv4Network("169.254.0.0/16")
_NOWHERE = IPv4Address(0)
_HIGHEST = IPv4Address(0xFFFFFFFF)
_CHECKS = {PolicyAction.CHECK_VH, PolicyAction.CHECK_NBE, PolicyAction.CHECK_APP}


@dataclass(frozen=True)
class DpPolicy:
    """A whole policy as it came."""

    defact: PolicyAction
    dir: ApplyDir
    rules: tuple[Rule, ...]

    @cached_property
    def actions(self) -> dict[int, PolicyAction]:
        """Return the actions by rule id; of several rules with one id, the first one's."""
        return {rule.rule_id: rule.action for rule in reversed(self.rules)}


@dataclass(frozen=True)
class InternalNets:
    """The internal subnets, joined where they touch, and what lies between them."""

    inside: tuple[IPv4Network, ...] = ()
    outside: tuple[IPv4Network, ...] = ()
    """Empty where `inside` is: then everything is internal."""

    @classmethod
    def of(cls, subnets: Sequence[IPv4Network]) -> InternalNets:
        """Return the nets for any list of subnets."""
        inside = tuple(collapse_addresses(subnets))
        return cls(inside, tuple(_between(inside)) if inside else ())

    def is_external(self, address: IPv4Address) -> bool:
        """Return whether no internal subnet has the address."""
        # The nets are sorted: only the last one that begins before the address can have it.
        behind = bisect(self.outside, address, key=lambda net: net.network_address)
        return behind > 0 and address in self.outside[behind - 1]


def _between(inside: Sequence[IPv4Network]) -> Iterator[IPv4Network]:
    """Yield the complement of sorted, disjoint subnets; loopback is internal too."""
    loopback = IPv4Network("127.0.0.0/8")
    start = 0
    for subnet in collapse_addresses([*inside, loopback]):
        first, last = int(subnet.network_address), int(subnet.broadcast_address)
        if start < first:
            yield from summarize_address_range(
                IPv4Address(start), IPv4Address(first - 1)
            )
        start = last + 1
    if start <= int(_HIGHEST):
        yield from summarize_address_range(IPv4Address(start), _HIGHEST)


def verdict(action: PolicyAction) -> Action:
    """Return what the dp does with a packet under this action: all but DENY passes."""
    return Action.DENY if action is PolicyAction.DENY else Action.ALLOW


def is_range(rule: Rule) -> bool:
    """Return whether the dp would keep the rule in its range lists ("type 2"), not its exact table."""
    return rule.sip != rule.sipr or rule.dip != rule.dipr or rule.port != rule.portr


def port_policy(
    port_id: int, mac: str, policy: DpPolicy | None, nets: InternalNets, *, tap: bool
) -> PortPolicy:
    """Return the endpoint's policy in the engine's form.

    Without a policy all flows pass (TMP_OPEN). Tapped, everything passes, and a default of VIOLATE
    records what it would deny. UsageError where the rules, written out, are more than the engine
    takes.
    """
    mode = Mode.DISCOVER if tap else Mode.PROTECT
    if policy is None:
        return PortPolicy(port_id, mode, mac, (), Action.ALLOW)
    rules: list[PortRule] = []
    for rule in _written_out(policy, nets):
        rules.append(rule)
        if len(rules) > MAX_RULES:
            raise UsageError(
                f"the policy of {mac} is more than {MAX_RULES} rules of one network each",
                state="the endpoint keeps the policy it had",
            )
    default = verdict(policy.defact)
    if tap and policy.defact is PolicyAction.VIOLATE:
        mode, default = Mode.MONITOR, Action.DENY
    return PortPolicy(port_id, mode, mac, tuple(rules), default)


def _pass(direction: Direction | None, peer: IPv4Network | None) -> PortRule:
    return PortRule(0, direction, peer, 0, 0, ANY_PORT, Action.ALLOW)


def _written_out(policy: DpPolicy, nets: InternalNets) -> Iterator[PortRule]:
    yield _pass(None, LINK_LOCAL)
    if ApplyDir.INGRESS not in policy.dir:
        yield _pass(Direction.INGRESS, None)
    if ApplyDir.EGRESS not in policy.dir:
        for subnet in nets.inside or (None,):
            yield _pass(Direction.EGRESS, subnet)
    for rule in policy.rules:
        if not rule.fqdn:
            yield from _rule(rule, policy.defact, nets)
    yield PortRule(0, None, None, NUMBERS["icmp"], 0, ANY_PORT, Action.ALLOW)


def _rule(rule: Rule, defact: PolicyAction, nets: InternalNets) -> Iterator[PortRule]:
    direction = Direction.INGRESS if rule.ingress else Direction.EGRESS
    first, last = (rule.sip, rule.sipr) if rule.ingress else (rule.dip, rule.dipr)
    low, high = rule.port, rule.portr
    if high == 0:
        high = ANY_PORT
    for peer in _networks(first, last, nets):
        for proto in (rule.proto,) if rule.proto else _BY_DEFAULT:
            yield PortRule(
                rule.rule_id,
                direction,
                peer,
                proto,
                low,
                high,
                verdict(_action(rule, defact)),
            )


def _networks(
    first: IPv4Address, last: IPv4Address, nets: InternalNets
) -> Sequence[IPv4Network]:
    if first == last == _NOWHERE:
        return nets.outside
    return list(summarize_address_range(first, last))


def _action(rule: Rule, defact: PolicyAction) -> PolicyAction:
    if rule.action not in _CHECKS:
        return rule.action
    any_app = [app.action for app in rule.apps if app.app == ANY_APP]
    return any_app[0] if any_app and any_app[0] not in _CHECKS else defact
