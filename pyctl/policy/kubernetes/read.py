"""A NetworkPolicy object → NetworkPolicy, by the rules of the API reference.

In: a mapping and its path. Out: NetworkPolicy, or None and noted errors. I/O: none.
A field that is null is absent. An unknown field is an error: it could restrict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network

from pyctl.model.protocols import WITH_PORTS
from pyctl.policy.document import fields, selectors
from pyctl.policy.document.fields import MAX_PORT_NAME, PORT_NAME, Notes, shown
from pyctl.policy.document.networks import Network, inside, unmapped
from pyctl.policy.document.resolve import DEFAULT_NAMESPACE
from pyctl.policy.document.types import ANY, Expression
from pyctl.policy.kubernetes.policies import (
    Block,
    LabelSelector,
    NamedPort,
    NetworkPolicy,
    Peer,
    Pods,
    PortRange,
    Rule,
)

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_PORT_NAME = re.compile(PORT_NAME)
PROTOCOLS = {name.upper(): name for name in WITH_PORTS}
_TYPES = ("Ingress", "Egress")


def policy(
    notes: Notes, path: str, value: Mapping[object, object]
) -> NetworkPolicy | None:
    """What the object says."""
    before = notes.failed
    body = given(
        notes, path, value, ["apiVersion", "kind", "metadata", "spec", "status"]
    )
    where = f"{path}.metadata"
    about = given(notes, where, body.get("metadata", {}))
    name = _named(notes, f"{where}.name", about.get("name"), _NAME)
    namespace = _named(
        notes,
        f"{where}.namespace",
        about.get("namespace", DEFAULT_NAMESPACE),
        _NAMESPACE,
    )
    where = f"{path}.spec"
    if "spec" not in body:
        notes.error(where, "is missing")
    spec = given(
        notes,
        where,
        body.get("spec", {}),
        ["podSelector", "policyTypes", "ingress", "egress"],
    )
    pods = label_selector(notes, f"{where}.podSelector", spec.get("podSelector", {}))
    rules = {
        "Ingress": _rules(notes, f"{where}.ingress", spec.get("ingress", []), "from"),
        "Egress": _rules(notes, f"{where}.egress", spec.get("egress", []), "to"),
    }
    types = _types(notes, f"{where}.policyTypes", spec.get("policyTypes", []))
    if not types:
        types = {"Ingress", "Egress"} if rules["Egress"] else {"Ingress"}
    for kind in _TYPES:
        if rules[kind] and kind not in types:
            notes.warn(
                f"{where}.{kind.lower()}", f"policyTypes has no {kind}: no effect"
            )
    if notes.failed > before:
        return None
    ingress, egress = (rules[kind] if kind in types else None for kind in _TYPES)
    return NetworkPolicy(namespace, name, pods, ingress, egress)


def label_selector(notes: Notes, path: str, value: object) -> LabelSelector:
    """By matchLabels and matchExpressions; both must hold."""
    body = given(notes, path, value, ["matchLabels", "matchExpressions"])
    where = f"{path}.matchLabels"
    found = fields.mapping(notes, where, body.get("matchLabels", {}))
    labels = [
        (key, selectors.text(notes, f"{where}.{key}", content) or "")
        for key, content in found.items()
    ]
    expressions: list[Expression] = []
    for at, item in items(
        notes, f"{path}.matchExpressions", body.get("matchExpressions", [])
    ):
        asked = selectors.expression(
            notes, at, given(notes, at, item) if isinstance(item, dict) else item
        )
        if asked:
            expressions.append(asked)
    words = [word for _, word in labels]
    words += [word for asked in expressions for word in asked.values]
    for word in words:
        # To our selectors it would be a pattern.
        if not _LABEL_VALUE.fullmatch(word):
            notes.error(path, f"{shown(word)} is no value of a label of Kubernetes")
    return LabelSelector(tuple(labels), tuple(expressions))


def _types(notes: Notes, path: str, value: object) -> set[str]:
    found = set()
    for at, item in items(notes, path, value):
        if item in _TYPES:
            found.add(str(item))
        else:
            notes.error(at, f"must be Ingress or Egress, not {shown(item)}")
    return found


def _rules(notes: Notes, path: str, value: object, peers: str) -> tuple[Rule, ...]:
    return tuple(
        _rule(notes, at, item, peers) for at, item in items(notes, path, value)
    )


def _rule(notes: Notes, path: str, value: object, peers: str) -> Rule:
    """Peers and ports restrict where there are any; an empty list is as good as none."""
    body = given(notes, path, value, [peers, "ports"])
    found = [
        _peer(notes, at, item)
        for at, item in items(notes, f"{path}.{peers}", body.get(peers, []))
    ]
    ports = [
        _port(notes, at, item)
        for at, item in items(notes, f"{path}.ports", body.get("ports", []))
    ]
    return Rule(
        tuple(peer for peer in found if peer) if found else None,
        tuple(port for port in ports if port) if ports else None,
    )


def _peer(notes: Notes, path: str, value: object) -> Peer | None:
    known = ["podSelector", "namespaceSelector", "ipBlock"]
    body = given(notes, path, value, known)
    if not body:
        if isinstance(value, dict):
            notes.error(path, f"must have one of {', '.join(known)}")
        return None
    if "ipBlock" in body:
        if len(body) > 1:
            notes.error(path, "ipBlock stands alone")
        return _block(notes, f"{path}.ipBlock", body["ipBlock"])
    namespaces = None
    if "namespaceSelector" in body:
        namespaces = label_selector(
            notes, f"{path}.namespaceSelector", body["namespaceSelector"]
        )
    pods = label_selector(notes, f"{path}.podSelector", body.get("podSelector", {}))
    return Pods(pods, namespaces, path)


def _block(notes: Notes, path: str, value: object) -> Block | None:
    body = given(notes, path, value, ["cidr", "except"])
    whole = _network(notes, f"{path}.cidr", body.get("cidr"))
    excepts = []
    for at, item in items(notes, f"{path}.except", body.get("except", [])):
        hole = _network(notes, at, item)
        if hole and whole and (hole == whole or not inside(hole, whole)):
            notes.error(at, f"{hole} is no part of {whole}")
        if hole:
            excepts.append(hole)
    return Block(whole, tuple(excepts)) if whole else None


def _network(notes: Notes, path: str, value: object) -> Network | None:
    """Bits behind the prefix do not matter, as in Kubernetes, and IPv4 as IPv6 has it
    (`::ffff:10.0.0.0/104`) is IPv4; a prefix there must be.
    """
    if isinstance(value, str) and "/" in value and "%" not in value:
        try:
            return unmapped(ip_network(value, strict=False))
        except ValueError:
            pass
    notes.error(path, f"{shown(value)} is no CIDR like 10.1.0.0/16")
    return None


def _port(notes: Notes, path: str, value: object) -> PortRange | NamedPort | None:
    before = notes.failed
    body = given(notes, path, value, ["protocol", "port", "endPort"])
    proto = _protocol(notes, f"{path}.protocol", body.get("protocol", "TCP"))
    port, end = body.get("port"), body.get("endPort")
    if isinstance(port, str):
        _check_name(notes, f"{path}.port", port)
    elif port is not None:
        number(notes, f"{path}.port", port)
    if end is not None:
        number(notes, f"{path}.endPort", end)
        if not isinstance(port, int):
            notes.error(f"{path}.endPort", "needs a port that is a number")
        elif isinstance(end, int) and end < port:
            notes.error(f"{path}.endPort", f"{end} is smaller than port {port}")
    if notes.failed > before:
        return None
    if isinstance(port, str):
        return NamedPort(proto, port, f"{path}.port")
    if not isinstance(port, int):
        return PortRange(proto)
    return PortRange(proto, port, end if isinstance(end, int) else port)


def _check_name(notes: Notes, path: str, name: str) -> None:
    if not _PORT_NAME.fullmatch(name) or len(name) > MAX_PORT_NAME:
        hint = "; write a number without quotes" if name.isdecimal() else ""
        notes.error(path, f"{shown(name)} is no name of a port{hint}")
    elif name == ANY:
        notes.error(path, "'any' is every port here: rename the port")


def _protocol(notes: Notes, path: str, value: object) -> str:
    if not isinstance(value, str) or value not in PROTOCOLS:
        notes.error(path, f"must be TCP, UDP or SCTP, not {shown(value)}")
    return PROTOCOLS.get(str(value), "")


def number(notes: Notes, path: str, value: object) -> None:
    """Note an error where it is no port's number."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        notes.error(path, f"must be a number from 1 to 65535, not {shown(value)}")


def object_name(notes: Notes, path: str, value: object) -> str:
    """The name of an object, or of a namespace."""
    return _named(notes, path, value, _NAME)


def _named(notes: Notes, path: str, value: object, pattern: re.Pattern[str]) -> str:
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    notes.error(path, f"{shown(value)} is no name of Kubernetes")
    return ""


def given(
    notes: Notes, path: str, value: object, known: list[str] | None = None
) -> dict[str, object]:
    """A mapping without what is null."""
    body = fields.mapping(notes, path, {} if value is None else value, known)
    return {key: content for key, content in body.items() if content is not None}


def items(notes: Notes, path: str, value: object) -> list[tuple[str, object]]:
    """Of a list that may be empty, each with its path."""
    if not isinstance(value, list):
        notes.error(path, f"must be a list, not {shown(value)}")
        return []
    found = []
    for index, item in enumerate(value):
        at = f"{path}[{index}]"
        if item is None:
            notes.error(at, "is null; for an empty one write {}")
        else:
            found.append((at, item))
    return found
