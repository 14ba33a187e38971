"""A NetworkPolicy object → NetworkPolicy, by the rules of the API reference.

In: a mapping and its path. Out: NetworkPolicy, or None and noted errors. I/O: none.
A field that is null is absent. An unknown field is an error: it could restrict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from ipaddress import ip_network
from typing import cast

from pyctl.model.protocols import WITH_PORTS
from pyctl.policy.document import selectors
from pyctl.policy.document.field_checks import (
    MAX_PORT_NAME,
    PORT_NAME,
    ErrorCollector,
    shown,
)
from pyctl.policy.document.networks import Network, inside, unmapped
from pyctl.policy.document.resolve import DEFAULT_NAMESPACE
from pyctl.policy.document.table import (
    ANYTHING,
    WORDS,
    Field,
    Kind,
    Table,
    checked,
    items_of,
    number,
)
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

table = partial(Table, nulls=True)
list_of = partial(items_of, nulls=True)
PROTOCOLS = {name.upper(): name for name in WITH_PORTS}
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_PORT_NAME = re.compile(PORT_NAME)
_TYPES = ("Ingress", "Egress")


def _named(pattern: str) -> Kind[str]:
    known = re.compile(pattern)

    def read(notes: ErrorCollector, path: str, value: object) -> str:
        if isinstance(value, str) and known.fullmatch(value):
            return value
        notes.error(path, f"{shown(value)} is no name of Kubernetes")
        return ""

    return Kind(read, missing="None is no name of Kubernetes")


NAME = _named(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""The name of an object or a namespace."""
NUMBER = number(1, 65535)


def policy(
    notes: ErrorCollector, path: str, value: Mapping[object, object]
) -> NetworkPolicy | None:
    """Return the NetworkPolicy that the object describes; None where it has errors."""
    before = notes.failed
    found = _POLICY.read(notes, path, value)
    if notes.failed > before:
        return None
    about, spec = found["metadata"], found["spec"]
    types = spec["policyTypes"] or (_TYPES if spec["egress"] else ("Ingress",))
    for kind in _TYPES:
        if spec[kind.lower()] and kind not in types:
            notes.warn(
                f"{path}.spec.{kind.lower()}", f"policyTypes has no {kind}: no effect"
            )
    ingress, egress = (spec[kind.lower()] if kind in types else None for kind in _TYPES)
    return NetworkPolicy(
        about["namespace"], about["name"], spec["podSelector"], ingress, egress
    )


def label_selector(notes: ErrorCollector, path: str, value: object) -> LabelSelector:
    """Return the selector of matchLabels and matchExpressions; both must hold."""
    found = _LABELS.read(notes, path, {} if value is None else value)
    labels, expressions = tuple(found["matchLabels"].items()), found["matchExpressions"]
    texts = [text for _, text in labels]
    texts += [text for asked in expressions for text in asked.values]
    for text in texts:
        # Our selectors would take it as a pattern.
        if not _LABEL_VALUE.fullmatch(text):
            notes.error(path, f"{shown(text)} is no value of a label of Kubernetes")
    return LabelSelector(labels, expressions)


def _expression(notes: ErrorCollector, path: str, value: object) -> Expression | None:
    if isinstance(value, dict):
        value = {key: content for key, content in value.items() if content is not None}
    return selectors.expression(notes, path, value)


def _rules(peers: str) -> Kind[tuple[Rule, ...]]:
    """Return the kind that reads rules. An empty list of peers or ports restricts nothing."""
    rule = table(
        Field(peers, list_of(Kind(_peer))),
        Field("ports", list_of(Kind(_port))),
    )

    def read(notes: ErrorCollector, path: str, value: object) -> Rule | None:
        found = rule.read(notes, path, value)
        return Rule(found[peers] or None, found["ports"] or None)

    return list_of(Kind(read))


def _peer(notes: ErrorCollector, path: str, value: object) -> Peer | None:
    before = notes.failed
    found = _PEER.read(notes, path, value)
    pods, namespaces, block = found.values()
    if notes.failed == before and pods is namespaces is block is None:
        notes.error(path, f"must have one of {', '.join(found)}")
    if block is None:
        return Pods(pods or LabelSelector(), namespaces, path)
    if pods or namespaces:
        notes.error(path, "ipBlock stands alone")
    return cast("Block", block)


def _block(notes: ErrorCollector, path: str, value: object) -> Block | None:
    before = notes.failed
    found = _BLOCK.read(notes, path, value)
    if notes.failed > before:
        return None
    whole = found["cidr"]
    for index, hole in enumerate(found["except"]):
        if hole == whole or not inside(hole, whole):
            notes.error(f"{path}.except[{index}]", f"{hole} is no part of {whole}")
    return Block(whole, found["except"])


def _network(notes: ErrorCollector, path: str, value: object) -> Network | None:
    """Return a network; a prefix length is required. Bits after it are ignored, as in Kubernetes, and
    IPv4-mapped IPv6 (`::ffff:10.0.0.0/104`) becomes IPv4.
    """
    if isinstance(value, str) and "/" in value and "%" not in value:
        try:
            return unmapped(ip_network(value, strict=False))
        except ValueError:
            pass
    notes.error(path, f"{shown(value)} is no CIDR like 10.1.0.0/16")
    return None


def _port(
    notes: ErrorCollector, path: str, value: object
) -> PortRange | NamedPort | None:
    before = notes.failed
    proto, port, end = _PORT.read(notes, path, value).values()
    if notes.failed > before:
        return None
    if end is not None and not isinstance(port, int):
        notes.error(f"{path}.endPort", "needs a port that is a number")
    elif end is not None and end < port:
        notes.error(f"{path}.endPort", f"{end} is smaller than port {port}")
    if isinstance(port, str):
        return NamedPort(proto, port, f"{path}.port")
    return PortRange(proto, port, end or port) if port else PortRange(proto)


def _number_or_name(
    notes: ErrorCollector, path: str, value: object
) -> int | str | None:
    if not isinstance(value, str):
        return cast("int | None", NUMBER.read(notes, path, value))
    if not _PORT_NAME.fullmatch(value) or len(value) > MAX_PORT_NAME:
        hint = "; write a number without quotes" if value.isdecimal() else ""
        notes.error(path, f"{shown(value)} is no name of a port{hint}")
    elif value == ANY:
        notes.error(path, "'any' is every port here: rename the port")
    return value


_TYPE = checked(_TYPES.__contains__, "Ingress or Egress")
_PROTOCOL = checked(
    list(PROTOCOLS).__contains__, "TCP, UDP or SCTP", make=PROTOCOLS.__getitem__
)
_LABELS = table(
    Field("matchLabels", WORDS, default={}),
    Field("matchExpressions", list_of(Kind(_expression)), default=[]),
)
_CIDR: Kind[Network | None] = Kind(_network, missing="None is no CIDR like 10.1.0.0/16")
_EXCEPT: Kind[tuple[Network, ...]] = list_of(_CIDR)
_BLOCK = table(
    Field("cidr", _CIDR, required=True), Field("except", _EXCEPT, default=[])
)
_PEER = table(
    Field("podSelector", Kind(label_selector)),
    Field("namespaceSelector", Kind(label_selector)),
    Field("ipBlock", Kind(_block)),
)
_PORT = table(
    Field("protocol", _PROTOCOL, default="TCP"),
    Field("port", Kind(_number_or_name)),
    Field("endPort", NUMBER),
)
_ABOUT = table(
    Field("name", NAME, required=True),
    Field(
        "namespace",
        _named(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"),
        default=DEFAULT_NAMESPACE,
    ),
    others=True,
)
_SPEC = table(
    Field("podSelector", Kind(label_selector), default={}),
    Field("policyTypes", list_of(_TYPE), default=[]),
    Field("ingress", _rules("from"), default=[]),
    Field("egress", _rules("to"), default=[]),
)
_POLICY = table(
    Field("apiVersion", ANYTHING),
    Field("kind", ANYTHING),
    Field("metadata", _ABOUT.kind, default={}),
    Field("spec", _SPEC.kind, required=True),
    Field("status", ANYTHING),
)
