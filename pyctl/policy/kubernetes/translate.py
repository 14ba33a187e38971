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
node's addresses, and holds too for what a proxy or masquerading there sends on under them. Two ends at one pod never meet on its interface. Of protocols that are none of TCP,
UDP and SCTP the reference says nothing: a rule without ports allows them, isolation denies them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import yaml

from pyctl.model.policy import Direction
from pyctl.model.workload import Mode
from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.document.resolve import Address, Named
from pyctl.policy.document.types import ANY, API_VERSION, Selector
from pyctl.policy.kubernetes import peers, ports, read, read_cluster, services
from pyctl.policy.kubernetes.groups import Groups
from pyctl.policy.kubernetes.manifests import NAMESPACE, SERVICE, objects
from pyctl.policy.kubernetes.policies import (
    Block,
    Cluster,
    LabelSelector,
    NamedPort,
    NetworkPolicy,
    Pods,
    PortRange,
    Rule,
    Service,
)

Document = dict[str, Any]


@dataclass(frozen=True)
class Translated:
    """The translated policy, and warnings for its author."""

    document: Document
    text: str
    """The document in YAML, a line for each group and rule."""
    warnings: tuple[str, ...]


def read_all(notes: ErrorCollector, texts: Mapping[str, str]) -> Cluster:
    """Return the objects in all texts, by the texts' names; errors are collected in `notes`."""
    found: dict[tuple[str, str], NetworkPolicy] = {}
    namespaces: dict[str, Mapping[str, str]] = {}
    behind: list[Service] = []
    for file, text in texts.items():
        for path, body in objects(notes, file, text):
            if body["kind"] == NAMESPACE:
                name, labels = read_cluster.namespace(notes, path, body)
                if namespaces.setdefault(name, labels) != labels:
                    notes.error(f"{path}.metadata.name", f"{name} is given twice")
            elif body["kind"] == SERVICE:
                service = read_cluster.service(notes, path, body)
                behind += [service] if service else []
            elif policy := read.policy(notes, path, body):
                key = (policy.namespace, policy.name)
                if key in found:
                    twice = f"{'/'.join(key)} is given twice"
                    notes.error(f"{path}.metadata.name", twice)
                found[key] = policy
    if not found and not notes.failed:
        notes.error(", ".join(texts), "there is no NetworkPolicy in it")
    return Cluster(tuple(found.values()), namespaces, tuple(behind))


def asks_for_ports(cluster: Cluster) -> bool:
    """Return whether numbers of named ports matter: those of pods reached through Services."""
    if not cluster.services:
        return False
    named = (
        isinstance(port, NamedPort)
        for policy in cluster.policies
        for rule in policy.egress or ()
        for port in rule.ports or ()
    )
    return any(named) or any(
        isinstance(port.target, str)
        for service in cluster.services
        for port in service.ports
    )


def asks_for_labels(cluster: Cluster) -> bool:
    """Return whether labels of namespaces matter, which workloads may supply."""
    return any(
        isinstance(peer, Pods) and peers.label_keys(peer.namespaces or LabelSelector())
        for policy in cluster.policies
        for rule in (*(policy.ingress or ()), *(policy.egress or ()))
        for peer in rule.peers or ()
    )


def translate(
    notes: ErrorCollector,
    cluster: Cluster,
    *,
    workloads: Collection[Named] = (),
    nodes: Collection[Address] = (),
    mode: Mode = Mode.PROTECT,
) -> Translated:
    """Return the cluster's policies as one policy; raise UsageError if `notes` has errors by then."""
    made = _Translation(notes, cluster, workloads)
    if nodes:
        node = made.groups.networks("node", [ip_network(ip) for ip in nodes])
        made.allow(
            node, ANY, [ANY], Direction.INGRESS, "a node reaches the pods that it runs"
        )
    for policy in cluster.policies:
        for direction in (Direction.INGRESS, Direction.EGRESS):
            made.policy(policy, direction)
    made.tell_services()
    made.isolate()
    made.rule(ANY, ANY, [ANY], None, "allow", "what is not isolated")
    notes.refuse("the NetworkPolicies have")
    document = {
        "apiVersion": API_VERSION,
        "groups": made.groups.bodies,
        "modes": dict.fromkeys((name for name, _ in made.isolated), str(mode)),
        "rules": made.rules,
    }
    return Translated(document, _text(document), notes.warnings)


class _Translation:
    """The groups and rules made so far."""

    def __init__(
        self, notes: ErrorCollector, cluster: Cluster, workloads: Collection[Named]
    ) -> None:
        self.groups = Groups()
        self.rules: list[Document] = []
        self.isolated: dict[tuple[str, Direction], list[str]] = {}
        """Group and direction → the policies that isolate it."""
        self._notes = notes
        self._cluster = cluster
        self._workloads = workloads
        self._by_service: list[str] = []
        """Egress rules to pods, which may be reached through a Service."""

    def policy(self, policy: NetworkPolicy, direction: Direction) -> None:
        """Add what one policy allows in one direction."""
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
            for other, pods_there in self._peers(policy, rule, where):
                source, target = _ends(direction, other, own)
                opened = pods if direction is Direction.INGRESS else pods_there
                by = self._ports(rule, to_pods=opened is not None)
                if by:
                    self.allow(source, target, by, direction, comment)
            if direction is Direction.EGRESS:
                self._services(policy, rule, own, comment)

    def _services(
        self, policy: NetworkPolicy, rule: Rule, own: str, comment: str
    ) -> None:
        """Add what the rule allows through Services."""
        if rule.peers is None and rule.ports is None:
            return
        if rule.peers is None or any(isinstance(peer, Pods) for peer in rule.peers):
            self._by_service.append(comment)
        for service, opened in services.through(
            self._cluster, policy, rule, self._workloads
        ):
            said = f"{service.namespace}.{service.name}"
            name = self.groups.networks(f"service.{said}", service.addresses)
            told = f"{comment} through the Service {service.namespace}/{service.name}"
            self.allow(own, name, opened, Direction.EGRESS, told)

    def tell_services(self) -> None:
        """Warn where rules reach pods through Services and no Service was given."""
        if self._by_service and not self._cluster.services:
            self._notes.warn(
                "Services",
                "none is in the input, so what is sent to a Service's address (ClusterIP) is denied, "
                "though these rules allow pods behind it: hand in the Services too "
                f"(kubectl get services -A -o yaml): {', '.join(self._by_service)}",
            )

    def isolate(self) -> None:
        """Deny, for each isolated pod, what none of its policies allows."""
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
        """Add a rule that allows."""
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
        """Add a rule with any action."""
        rule: Document = {"id": len(self.rules) + 1, "from": source, "to": target}
        if direction:
            rule["direction"] = str(direction)
        if by != [ANY]:
            rule["ports"] = by
        self.rules.append(rule | {"action": action, "comment": comment})

    def _peers(
        self, policy: NetworkPolicy, rule: Rule, where: str
    ) -> Iterator[tuple[str, Selector | None]]:
        """Yield the groups of the other end with their selectors; None for those that are not pods."""
        if rule.peers is None:
            yield ANY, peers.EVERYBODY
        for index, peer in enumerate(rule.peers or ()):
            name = f"{where}.peer{index}"
            if isinstance(peer, Block):
                yield self.groups.block(name, peer), None
            else:
                self._tell_unknown(peer)
                taken = peers.of_peer(policy.namespace, peer, self._cluster.namespaces)
                for selector in taken:
                    yield self.groups.selector(name, selector), selector

    def _tell_unknown(self, peer: Pods) -> None:
        """Warn of labels of namespaces that the peer asks for and nobody has given."""
        known = {key for labels in self._cluster.namespaces.values() for key in labels}
        known |= {
            key.removeprefix(peers.NAMESPACE_LABEL)
            for workload in self._workloads
            for key in workload.labels
            if key.startswith(peers.NAMESPACE_LABEL)
        }
        for key in peers.label_keys(peer.namespaces or LabelSelector()):
            if key not in known:
                self._notes.warn(
                    f"{peer.path}.namespaceSelector",
                    f"no namespace is known to have a label {key!r}, so it takes none by it: hand in "
                    "the Namespaces too (kubectl get namespaces -o yaml), or give the workloads "
                    f"{peers.NAMESPACE_LABEL}{key}=VALUE",
                )

    def _ports(self, rule: Rule, *, to_pods: bool) -> list[str]:
        """Return the ports as a rule writes them; [any] where the rule has no ports at all."""
        if rule.ports is None:
            return [ANY]
        for port in rule.ports if not to_pods else ():
            if isinstance(port, NamedPort):
                self._notes.warn(
                    port.path,
                    f"{port.name!r} is a name, and the addresses of an ipBlock declare "
                    "none: it stands for nothing there; write the number",
                )
        return [
            ports.text(port)
            for port in rule.ports
            if to_pods or isinstance(port, PortRange)
        ]


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
