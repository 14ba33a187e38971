"""Namespace and Service objects: what NetworkPolicies speak of without saying it.

In: a mapping and its path. Out: values, or None and noted errors. I/O: none.
Only what bears on NetworkPolicies is looked at; all else in them is Kubernetes' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from pyctl.policy.document.fields import Notes, shown
from pyctl.policy.document.networks import Network
from pyctl.policy.document.resolve import DEFAULT_NAMESPACE
from pyctl.policy.document.table import ANYTHING, Field, Kind, Table, items_of, words
from pyctl.policy.kubernetes.policies import Service, ServicePort
from pyctl.policy.kubernetes.read import NAME, NUMBER, PROTOCOLS


def namespace(
    notes: Notes, path: str, value: Mapping[object, object]
) -> tuple[str, dict[str, str]]:
    """Its name and its labels."""
    about = _part(_NAMESPACE, notes, path, value, "metadata")
    return about["name"] or "", about["labels"]


def service(notes: Notes, path: str, value: Mapping[object, object]) -> Service | None:
    """None for one without an address or without pods of its own: headless, external, by hand."""
    before = notes.failed
    about = _part(_SERVICE, notes, path, value, "metadata")
    spec = _part(_SPEC, notes, path, value, "spec")
    told = [spec["clusterIP"], *spec["clusterIPs"], *spec["externalIPs"]]
    addresses = dict.fromkeys(address for address in told if address)
    pods = tuple(sorted(spec["selector"].items()))
    if notes.failed > before or not pods or not addresses:
        return None
    return Service(
        about["namespace"], about["name"], pods, tuple(addresses), spec["ports"]
    )


def _part(
    table: Table, notes: Notes, path: str, value: Mapping[object, object], key: str
) -> dict[str, Any]:
    content = value.get(key)
    return table.read(notes, f"{path}.{key}", {} if content is None else content)


def _labels(notes: Notes, path: str, value: object) -> dict[str, str]:
    if isinstance(value, dict):
        value = {key: content for key, content in value.items() if content is not None}
    return words(notes, path, value)


def _address(notes: Notes, path: str, value: object) -> Network | None:
    if value not in ("", "None"):
        try:
            return ip_network(str(value))
        except ValueError:
            notes.error(path, f"{shown(value)} is no address")
    return None


def _port(notes: Notes, path: str, value: object) -> ServicePort | None:
    found = _PORT.read(notes, path, value)
    proto, port = PROTOCOLS.get(str(found["protocol"])), found["port"]
    target = port if found["targetPort"] is None else found["targetPort"]
    if proto is None or port is None:
        return None
    return ServicePort(proto, port, target)


def _target(notes: Notes, path: str, value: object) -> int | str | None:
    return value if isinstance(value, str) else NUMBER.read(notes, path, value)


_NAMESPACE = Table(
    Field("name", NAME, required=True),
    Field("labels", Kind(_labels), default={}),
    nulls=True,
    others=True,
)
_SERVICE = Table(
    Field("name", NAME, required=True),
    Field("namespace", NAME, default=DEFAULT_NAMESPACE),
    nulls=True,
    others=True,
)
_PORT = Table(
    Field("protocol", ANYTHING, default="TCP"),
    Field("port", NUMBER, required=True),
    Field("targetPort", Kind(_target)),
    nulls=True,
    others=True,
)
_ADDRESSES: Kind[tuple[Network, ...]] = items_of(Kind(_address), nulls=True)
_SPEC = Table(
    Field("selector", Kind(_labels), default={}),
    Field("clusterIP", Kind(_address)),
    Field("clusterIPs", _ADDRESSES, default=[]),
    Field("externalIPs", _ADDRESSES, default=[]),
    Field("ports", items_of(Kind(_port), nulls=True), default=[]),
    nulls=True,
    others=True,
)
