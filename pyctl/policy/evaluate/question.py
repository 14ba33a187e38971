"""`may A talk to B?`: what each end makes of a new connection, and by which rule.

In: a Policy, the attached workloads, two ends and a port as people write them. Out: Answer. I/O: none.
NotFoundError for an end that is neither; UsageError for a port that is not one.

An end that is a workload is asked about by one of its addresses; one that is an address is the
workload's that has it, where one has, first of all one on a bridge of the other end's. What is not attached
judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from ipaddress import ip_address

from pyctl.errors import NotFoundError, UsageError
from pyctl.model.apps import UNKNOWN_NAME, spelled
from pyctl.model.policy import Action, Direction
from pyctl.model.protocols import VERSION_OF, WITH_APPS
from pyctl.model.truth import Judgement, RuleResult, connection, judged, staged
from pyctl.model.workload import Mode, Workload
from pyctl.policy.compile.effective import effective
from pyctl.policy.document import field_checks
from pyctl.policy.document.casts import asks_dhcp, cast_of
from pyctl.policy.document.conditions import http, tls
from pyctl.policy.document.conditions.names import name_of_host
from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.document.resolve import (
    Address,
    addresses,
    effective_mode,
    parsed,
    possible,
)
from pyctl.policy.document.types import Policy, PortSpec
from pyctl.policy.evaluate.applications import named_by, told_apart
from pyctl.policy.evaluate.explain import (
    Explanation,
    explain,
    groups_at,
    groups_of_each,
    strictest,
)
from pyctl.policy.evaluate.facts import NOTHING, Facts
from pyctl.policy.evaluate.looked_up import groups_of_names

OTHERS = "any other"
"""Stands for all applications that no rule names."""

_ECHO = {4: 8, 6: 128}
"""The ICMP type of an echo request, by IP version."""


@dataclass(frozen=True)
class End:
    """One end of the connection."""

    workload: Workload | None
    """None: not attached here."""
    address: Address


@dataclass(frozen=True)
class Asked:
    """One attached end's rules and judgement on the connection."""

    direction: Direction
    workload: Workload
    mode: Mode
    says: RuleResult
    explanation: Explanation
    judgement: Judgement
    reached: bool
    """False: the initiator's end lets nothing come here."""

    @property
    def rejects(self) -> bool:
        """Return whether the connection is dropped with an answer (action reject)."""
        rule = self.explanation.rule
        return (
            self.judgement.verdict == "deny"
            and rule is not None
            and rule.action is Action.REJECT
        )


@dataclass(frozen=True)
class ByApp:
    """What becomes of the connection if its application is one of these."""

    apps: tuple[str, ...]
    """Names, UNKNOWN_NAME, or OTHERS."""
    opens: bool | None
    """None: it depends on what else it shows."""
    rules: tuple[int | None, ...]
    """The rule that decides at each end that is reached; None: no rule."""
    reasons: tuple[str | None, ...]
    """What each of these ends records; None: it allows."""


@dataclass(frozen=True)
class Answer:
    """What becomes of the connection."""

    source: End
    target: End
    opens: bool | None
    """None: it depends on the application, or on what else the connection shows."""
    asked: tuple[Asked, ...]
    """The initiator's end first; none where neither is attached."""
    shared: tuple[tuple[Address, tuple[str, ...]], ...] = ()
    """Which of the two addresses several workloads have, with their names."""
    by_app: tuple[ByApp, ...] = ()
    """Where the application is not given and a rule asks for it: what each would give."""


def ask(
    policy: Policy,
    workloads: Collection[Workload],
    source: str,
    target: str,
    port: str,
    app: str | None = None,
    facts: Facts = NOTHING,
    names: Collection[str] = (),
) -> Answer:
    """Return what becomes of a connection. `source` and `target` are a workload's name or an address; `port`
    is tcp/80, udp/53, icmp/13; icmp is an echo request. `app` is the application in any letters' case, or
    UNKNOWN_NAME; None: not known. Facts of TLS are of no other application, nor are those of a request of HTTP. A path
    that servers may read differently is judged by each of its readings. `names` are DNS names under
    which the source looked the target up.
    """
    by_name = groups_of_names(policy, [_one_name(name) for name in names])
    each = [facts]
    if any(one is not None for one in (facts.method, facts.host, facts.path)):
        app, each = _of_http(app or http.APPS[0], facts)
    elif facts != NOTHING:
        app, facts = _of_tls(app or tls.APPS[0], facts)
        each = [facts]
    answers = [
        _by_facts(policy, workloads, source, target, port, app, one, by_name)
        for one in each
    ]
    return next((one for one in answers if one.opens is not True), answers[0])


def _by_facts(
    policy: Policy,
    workloads: Collection[Workload],
    source: str,
    target: str,
    port: str,
    app: str | None,
    facts: Facts,
    by_name: frozenset[str],
) -> Answer:
    app = None if app is None else _one_app(app, port)
    answer = _ask(policy, workloads, source, target, port, app, facts, by_name)
    if not any(one.reached and one.explanation.needs_app for one in answer.asked):
        return replace(answer, opens=_opens(answer))
    named, alike = named_by(policy.rules), dict[ByApp, list[str]]()
    for one in told_apart(policy.rules):
        found = _ask(policy, workloads, source, target, port, one, NOTHING, by_name)
        ends = [end for end in found.asked if end.reached]
        rules = (end.explanation.rule for end in ends)
        said = ByApp(
            apps=(),
            opens=_opens(found),
            rules=tuple(rule.id if rule else None for rule in rules),
            reasons=tuple(end.judgement.reason for end in ends),
        )
        is_named = one in named or one == UNKNOWN_NAME
        alike.setdefault(said, []).append(one if is_named else OTHERS)
    by_app = tuple(replace(said, apps=tuple(apps)) for said, apps in alike.items())
    opens = {one.opens for one in by_app}
    return replace(
        answer, opens=opens.pop() if len(opens) == 1 else None, by_app=by_app
    )


def _opens(answer: Answer) -> bool | None:
    """Return whether the connection opens; None: a rule that decides rests on what is not known."""
    waits = any(one.reached and one.explanation.is_open for one in answer.asked)
    return None if waits else bool(answer.opens)


def _ask(
    policy: Policy,
    workloads: Collection[Workload],
    source: str,
    target: str,
    port: str,
    app: str | None,
    facts: Facts,
    by_name: frozenset[str],
) -> Answer:
    """Return what becomes of a connection whose target is in the groups `by_name`, as its source knows it."""
    written, policy = policy, effective(policy, workloads)
    spec = _one_port(port)
    version = _version(spec, source, target, workloads)
    initiator = _end(source, version, workloads)
    answerer = _end(target, version, workloads, by=initiator)
    initiator = _end(source, version, workloads, by=answerer)
    _check_ends(initiator, answerer)
    number, dport = _number(spec, version)
    found = []
    for direction, end in zip(Direction, (initiator, answerer), strict=True):
        if end.workload is None:
            continue
        egress = direction is Direction.EGRESS
        lefts = _groups(policy, initiator, workloads, None if egress else end)
        rights = _groups(policy, answerer, workloads, end if egress else None)
        if egress:
            rights = tuple(right | by_name for right in rights)
        why = strictest(
            explain(policy, left, right, number, dport, version, direction, app, facts)
            for left in lefts
            for right in rights
        )
        why = _as_written(why, written)
        mode = effective_mode(policy, end.workload).mode
        said = why.says
        if egress and why.rule is None and asks_dhcp(answerer.address, number, dport):
            said = RuleResult.ALLOW
        judgement = staged(judged(mode, said), why.staged_says)
        found.append((direction, end.workload, mode, said, why, judgement))
    by_end = {direction: judgement for direction, *_, judgement in found}
    outcome = connection(by_end.get(Direction.EGRESS), by_end.get(Direction.INGRESS))
    return Answer(
        initiator,
        answerer,
        outcome.opens,
        tuple(
            Asked(
                *one, reached=one[0] is Direction.EGRESS or outcome.ingress is one[-1]
            )
            for one in found
        ),
        tuple(
            (end.address, tuple(one.name for one in holders))
            for end, by in ((initiator, answerer), (answerer, initiator))
            if len(holders := _holders(end, workloads, by)) > 1
        ),
    )


def _as_written(why: Explanation, policy: Policy) -> Explanation:
    """Return the explanation with the author's rules: expansion made each number of a named port a rule."""
    rules = {rule.id: rule for rule in policy.rules}
    reasons = {
        rule.id: reason
        for rule, reason in why.passed_over
        if rule is rules[rule.id] or rule is why.staged
    }
    if why.rule is not None:
        reasons.pop(why.rule.id, None)
    return replace(
        why,
        rule=why.rule and rules[why.rule.id],
        passed_over=tuple((rules[at], reason) for at, reason in reasons.items()),
        staged=why.staged and rules[why.staged.id],
    )


def _groups(
    policy: Policy, end: End, workloads: Collection[Workload], by: End | None
) -> tuple[frozenset[str], ...]:
    """Return the end's groups as the end `by` knows it: those of each workload that has the address there.
    None: of the end at itself.
    """
    if by is None and end.workload is not None:
        return (groups_at(policy, end.address, [end.workload]),)
    return groups_of_each(policy, end.address, _holders(end, workloads, by))


def _holders(
    end: End, workloads: Collection[Workload], by: End | None = None
) -> list[Workload]:
    """Return the workloads that have the end's address, as the end `by` knows it. The end's own workload is
    always among them, though the host may drop what it sends as another's.
    """
    holders = [one for one in workloads if _has(one, end.address)]
    found = possible(holders, by.workload if by else None)
    return found if end.workload is None or end.workload in found else holders


def _has(workload: Workload, address: Address) -> bool:
    return address in addresses(workload)


def _addresses(workload: Workload) -> list[Address]:
    """Return the workload's addresses, link-local ones last."""
    return sorted(parsed(workload.usual), key=lambda ip: ip.is_link_local)


def _parsed(text: str) -> Address | None:
    try:
        # A link-local address may have a zone (`%eth0`), as its host writes it.
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _named(text: str, workloads: Collection[Workload]) -> Workload:
    for workload in workloads:
        if workload.name == text:
            return workload
    raise NotFoundError(
        f"{text} is neither an attached workload nor an address",
        advice="`segctl list` shows the names",
    )


def _version(
    spec: PortSpec, source: str, target: str, workloads: Collection[Workload]
) -> int:
    """Return the IP version of a given address or ICMP; else the first that both ends have."""
    possible = {
        version
        for version in (4, 6)
        for number in spec.numbers
        if VERSION_OF.get(number, version) == version
    }
    for text in (source, target):
        address = _parsed(text)
        possible &= (
            {address.version}
            if address
            else {ip.version for ip in _addresses(_named(text, workloads))}
        )
    if not possible:
        raise UsageError(
            f"{source} and {target} have no address of one IP version for {spec.text}",
            advice="name addresses of both",
        )
    return min(possible)


def _end(
    text: str, version: int, workloads: Collection[Workload], by: End | None = None
) -> End:
    address = _parsed(text)
    if address is None:
        workload = _named(text, workloads)
        own = [ip for ip in _addresses(workload) if ip.version == version]
        return End(workload, own[0])
    end = End(None, address)
    return End(next(iter(_holders(end, workloads, by)), None), address)


def _check_ends(initiator: End, answerer: End) -> None:
    """Check that such a connection can cross a port."""
    source, target = initiator.address, answerer.address
    for address in (source, target):
        if address.is_loopback:
            raise UsageError(
                f"{address} is inside each workload, and what is sent to it crosses no port",
                advice="name another address",
            )
    if cast_of(source):
        raise UsageError(
            f"{source} stands for many hosts: nothing is sent from it",
            advice="name the address of one",
        )
    if target.is_unspecified:
        raise UsageError(
            f"{target} is no address of a host", advice="name another address"
        )
    if source == target or (
        initiator.workload and initiator.workload is answerer.workload
    ):
        name = initiator.workload.name if initiator.workload else source
        raise UsageError(
            f"{name} reaches itself without a port between: no policy judges that",
            advice="name two ends",
        )


def _one_port(text: str) -> PortSpec:
    notes = ErrorCollector()
    spec = field_checks.port_spec(notes, "the port", text)
    if spec is None:
        raise UsageError("; ".join(notes.errors))
    if spec.name:
        raise UsageError(
            f"{text} is a name, which means a number of each workload's own",
            advice="ask for the number, like tcp/80",
        )
    ping = spec.text == spec.proto and spec.numbers[0] in VERSION_OF
    if spec.low != spec.high and not ping:
        raise UsageError(
            f"{text} is more than one port", advice="ask for one, like tcp/80"
        )
    return spec


def _one_app(text: str, port: str) -> str:
    if _one_port(port).proto not in WITH_APPS:
        raise UsageError(f"{port} carries no application", advice="leave out --app")
    if text.lower() == UNKNOWN_NAME:
        return UNKNOWN_NAME
    notes = ErrorCollector()
    name = field_checks.app(notes, "the application", text)
    if name is None:
        raise UsageError("; ".join(notes.errors))
    return name


def _of_http(app: str, facts: Facts) -> tuple[str, list[Facts]]:
    """Check that the facts go with the application, and return its name, and them by each reading of the path."""
    if spelled(app) not in http.APPS:
        raise UsageError(
            f"{app} has no method, path or host",
            advice=f"ask for {', '.join(http.APPS)}",
        )
    if facts.host:
        # Its port is of no matter.
        host = re.sub(r":\d*$", "", facts.host).lower()
        facts = replace(
            facts, host=host if host.startswith("[") else name_of_host(host)
        )
        if facts.host is None:
            raise UsageError(f"{host} is no host")
    if not facts.path:
        return app, [facts]
    try:
        paths = http.readings(facts.path)
    except ValueError as error:
        raise UsageError(f"{facts.path} is no path: {error}") from None
    return app, [replace(facts, path=path) for path in paths]


def _of_tls(app: str, facts: Facts) -> tuple[str, Facts]:
    """Check that the facts go with the application, and return its name, and them as the engine has them."""
    if spelled(app) not in tls.APPS:
        raise UsageError(
            f"{app} shows no name, protocols or version of TLS",
            advice=f"ask for {', '.join(tls.APPS)}",
        )
    if facts.version not in {None, *tls.VERSIONS}:
        raise UsageError(
            f"{facts.version} is no version of TLS",
            advice=f"there are {', '.join(tls.VERSIONS)}",
        )
    if not facts.sni:
        return app, facts
    name = name_of_host(facts.sni)
    if name is None:
        raise UsageError(f"{facts.sni} is no name that a client sends")
    return app, replace(facts, sni=name)


def _one_name(text: str) -> str:
    notes = ErrorCollector()
    name = field_checks.fqdn(notes, "the name", text)
    if name is None:
        raise UsageError("; ".join(notes.errors))
    if name.startswith("*"):
        raise UsageError(
            f"{text} is more than one name", advice="ask for one, like db.example.org"
        )
    return name


def _number(spec: PortSpec, version: int) -> tuple[int, int]:
    """Return IPPROTO_*, and the port or ICMP type; an echo request where no type is given."""
    number = spec.numbers[-1 if version == 6 else 0]
    if spec.low == spec.high:
        return number, spec.low
    return number, _ECHO[version]
