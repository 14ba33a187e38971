"""NetworkPolicies → a policy document with their meaning.

In: texts of manifests, the workloads, the node's addresses. Out: Translated. I/O: none.

NetworkPolicies allow, their order says nothing, and each speaks of one end: what a pod may receive
(ingress) or open (egress). A pod that any of them selects for a direction is isolated in it: what
none of them allows there is denied. One that none selects is free. So, in this order:

    allow   each peer of each rule ⇄ the policy's pods, by the rule's ports, at that end
    deny    anybody ⇄ the pods of each policy, at that end
    allow   the rest

and the pods of each policy are in protect. ipBlock is taken by the packet's own address, pods' too.
What comes from the pod's own node is allowed, as the reference has it for ingress; that needs the
node's addresses, and holds too for what a proxy or masquerading there sends on under them. Two ends at one pod never meet on its interface. Of protocols that are neither TCP nor
UDP the reference says nothing: a rule without ports allows them, isolation denies them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import yaml

from pyctl.model.policy import Direction
from pyctl.model.workload import Mode
from pyctl.policy.document import ANY, API_VERSION, Selector
from pyctl.policy.fields import Notes
from pyctl.policy.kubernetes import peers, ports, read
from pyctl.policy.kubernetes.groups import Groups
from pyctl.policy.kubernetes.manifests import objects
from pyctl.policy.kubernetes.policies import (
    Block,
    NamedPort,
    NetworkPolicy,
    PortRange,
    Rule,
)
from pyctl.policy.resolve import Address, Named

Document = dict[str, Any]


@dataclass(frozen=True)
class Translated:
    """The policy, and what its author should know."""

    document: Document
    text: str
    """The document in YAML, a line for each group and rule."""
    warnings: tuple[str, ...]


def read_all(notes: Notes, texts: Mapping[str, str]) -> list[NetworkPolicy]:
    """Every NetworkPolicy in texts by their names; errors are noted."""
    found: dict[tuple[str, str], NetworkPolicy] = {}
    for file, text in texts.items():
        for path, body in objects(notes, file, text):
            policy = read.policy(notes, path, body)
            if policy is None:
                continue
            key = (policy.namespace, policy.name)
            if key in found:
                notes.error(f"{path}.metadata.name", f"{'/'.join(key)} is given twice")
            found[key] = policy
    if not found and not notes.errors:
        notes.error(", ".join(texts), "there is no NetworkPolicy in it")
    return list(found.values())


def names_ports(policies: Collection[NetworkPolicy]) -> bool:
    """Whether the workloads must be known, for the ports that they declare."""
    return any(
        isinstance(port, NamedPort)
        for policy in policies
        for rule in (*(policy.ingress or ()), *(policy.egress or ()))
        for port in rule.ports or ()
    )


def translate(
    notes: Notes,
    policies: Collection[NetworkPolicy],
    *,
    workloads: Collection[Named] = (),
    nodes: Collection[Address] = (),
    mode: Mode = Mode.PROTECT,
) -> Translated:
    """UsageError with all that `notes` hold by then."""
    made = _Translation(notes, workloads)
    if nodes:
        node = made.groups.networks("node", [ip_network(ip) for ip in nodes])
        made.allow(
            node, ANY, [ANY], Direction.INGRESS, "a node reaches the pods that it runs"
        )
    for policy in policies:
        for direction in (Direction.INGRESS, Direction.EGRESS):
            made.policy(policy, direction)
    made.isolate()
    made.rule(ANY, ANY, [ANY], None, "allow", "what is not isolated")
    notes.refuse("the NetworkPolicies have")
    document = {
        "apiVersion": API_VERSION,
        "groups": made.groups.bodies,
        "modes": dict.fromkeys((name for name, _ in made.isolated), str(mode)),
        "rules": made.rules,
    }
    return Translated(document, _text(document), tuple(notes.warnings))


class _Translation:
    """Groups and rules as they grow."""

    def __init__(self, notes: Notes, workloads: Collection[Named]) -> None:
        self.groups = Groups()
        self.rules: list[Document] = []
        self.isolated: dict[tuple[str, Direction], list[str]] = {}
        """Group and direction → the policies that isolate it."""
        self._notes = notes
        self._workloads = workloads

    def policy(self, policy: NetworkPolicy, direction: Direction) -> None:
        """What one policy allows in one direction."""
        rules = policy.ingress if direction is Direction.INGRESS else policy.egress
        if rules is None:
            return
        name = f"{policy.namespace}.{policy.name}"
        pods = peers.of_policy(policy.namespace, policy.pods)
        own = self.groups.selector(f"{name}.pods", pods)
        said = f"{policy.namespace}/{policy.name}"
        self.isolated.setdefault((own, direction), []).append(said)
        for index, rule in enumerate(rules):
            where = f"{name}.{direction}{index}"
            comment = f"{said} {direction}[{index}]"
            plain = _plain(rule)
            others = dict(self._peers(policy, rule, where))
            for other in others if plain else ():
                source, target = _ends(direction, other, own)
                self.allow(source, target, plain, direction, comment)
            for number, port in enumerate(rule.ports or ()):
                if not isinstance(port, NamedPort):
                    continue
                if direction is Direction.INGRESS:
                    opened: Mapping[str, Selector | None] = {own: pods}
                else:
                    opened = others
                for target, by_port in self._named(port, opened, f"{where}.{number}"):
                    sources = others if direction is Direction.INGRESS else [own]
                    for source in sources:
                        self.allow(source, target, [by_port], direction, comment)

    def isolate(self) -> None:
        """What none of its policies allows a pod is denied."""
        for (own, direction), by in self.isolated.items():
            source, target = _ends(direction, ANY, own)
            comment = f"isolated by {', '.join(by)}"
            self.rule(source, target, [ANY], direction, "deny", comment)

    def allow(
        self,
        source: str,
        target: str,
        by: list[str],
        direction: Direction,
        comment: str,
    ) -> None:
        """One more rule."""
        self.rule(source, target, by, direction, "allow", comment)

    def rule(
        self,
        source: str,
        target: str,
        by: list[str],
        direction: Direction | None,
        action: str,
        comment: str,
    ) -> None:
        """Likewise, of any kind."""
        rule: Document = {"id": len(self.rules) + 1, "from": source, "to": target}
        if direction:
            rule["direction"] = str(direction)
        if by != [ANY]:
            rule["ports"] = by
        self.rules.append(rule | {"action": action, "comment": comment})

    def _peers(
        self, policy: NetworkPolicy, rule: Rule, where: str
    ) -> Iterator[tuple[str, Selector | None]]:
        """Groups of the other end; None: of those that are no pods."""
        if rule.peers is None:
            yield ANY, peers.EVERYBODY
        for index, peer in enumerate(rule.peers or ()):
            name = f"{where}.peer{index}"
            if isinstance(peer, Block):
                yield self.groups.block(name, peer), None
            else:
                selector = peers.of_peer(policy.namespace, peer)
                yield self.groups.selector(name, selector), selector

    def _named(
        self, port: NamedPort, opened: Mapping[str, Selector | None], where: str
    ) -> Iterator[tuple[str, str]]:
        """Those of `opened` that declare it → the port that they mean."""
        found = False
        for number, among in enumerate(opened.values()):
            if among is None:
                self._notes.error(
                    port.path,
                    f"{port.name!r} is a name, and the addresses of an ipBlock declare "
                    "none; write the number",
                )
                return
            declared = ports.declared(port, among, self._workloads)
            for value, by_port in declared.items():
                found = True
                label = ports.PORT_LABEL + port.name
                name = f"{where}.{number}.{value.replace('/', '-')}"
                narrowed = peers.with_label(among, label, value)
                yield self.groups.selector(name, narrowed), by_port
        if not found:
            self._notes.error(
                port.path,
                f"no attached workload that is meant declares {port.name!r}: say it by a "
                f"label ({ports.PORT_LABEL}{port.name}=8080), or write the number",
            )


def _plain(rule: Rule) -> list[str]:
    """Its ports that are numbers; [any] where it has none at all."""
    if rule.ports is None:
        return [ANY]
    return [ports.text(port) for port in rule.ports if isinstance(port, PortRange)]


def _ends(direction: Direction, other: str, own: str) -> tuple[str, str]:
    return (other, own) if direction is Direction.INGRESS else (own, other)


def _text(document: Document) -> str:
    def line(value: object) -> str:
        flow = yaml.safe_dump(
            value,
            default_flow_style=True,
            sort_keys=False,
            width=float("inf"),
            allow_unicode=True,
        )
        return flow.removesuffix("...\n").strip()

    lines = [
        "# From Kubernetes NetworkPolicies; order is meaning: allowed, isolated, the rest.",
        f"apiVersion: {document['apiVersion']}",
        "groups:",
        *(f"  {line(name)}: {line(body)}" for name, body in document["groups"].items()),
        "modes:",
        *(f"  {line(name)}: {mode}" for name, mode in document["modes"].items()),
        "rules:",
        *(f"  - {line(rule)}" for rule in document["rules"]),
    ]
    return "\n".join(lines) + "\n"
