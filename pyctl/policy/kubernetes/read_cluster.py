"""Namespace and Service objects: what NetworkPolicies speak of without saying it.

In: a mapping and its path. Out: values, or None and noted errors. I/O: none.
Only what bears on NetworkPolicies is looked at; all else in them is Kubernetes' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from ipaddress import ip_network

from pyctl.policy.document.field_checks import ErrorCollector, shown
from pyctl.policy.document.networks import Network
from pyctl.policy.document.resolve import DEFAULT_NAMESPACE
from pyctl.policy.document.table import ANYTHING, WORDS, Field, Kind
from pyctl.policy.kubernetes.policies import Service, ServicePort
from pyctl.policy.kubernetes.read import NAME, NUMBER, PROTOCOLS, list_of, table


def namespace(
    notes: ErrorCollector, path: str, value: Mapping[object, object]
) -> tuple[str, dict[str, str]]:
    """Return the namespace's name and labels."""
    about = _NAMESPACE.read(notes, path, value)["metadata"]
    return about["name"] or "", about["labels"]


def service(
    notes: ErrorCollector, path: str, value: Mapping[object, object]
) -> Service | None:
    """Return the Service; None without an address or a pod selector (headless, external, manual)."""
    before = notes.failed
    about, spec = _SERVICE.read(notes, path, value).values()
    told = [spec["clusterIP"], *spec["clusterIPs"], *spec["externalIPs"]]
    addresses = dict.fromkeys(address for address in told if address)
    pods = tuple(sorted(spec["selector"].items()))
    if notes.failed > before or not pods or not addresses:
        return None
    return Service(
        about["namespace"], about["name"], pods, tuple(addresses), spec["ports"]
    )


def _labels(notes: ErrorCollector, path: str, value: object) -> dict[str, str]:
    if isinstance(value, dict):
        value = {key: content for key, content in value.items() if content is not None}
    return WORDS.read(notes, path, value)


def _address(notes: ErrorCollector, path: str, value: object) -> Network | None:
    if value not in ("", "None"):
        try:
            return ip_network(str(value))
        except ValueError:
            notes.error(path, f"{shown(value)} is no address")
    return None


def _port(notes: ErrorCollector, path: str, value: object) -> ServicePort | None:
    found = _PORT.read(notes, path, value)
    proto, port = PROTOCOLS.get(str(found["protocol"])), found["port"]
    target = port if found["targetPort"] is None else found["targetPort"]
    if proto is None or port is None:
        return None
    return ServicePort(proto, port, target)


def _target(notes: ErrorCollector, path: str, value: object) -> int | str | None:
    return value if isinstance(value, str) else NUMBER.read(notes, path, value)


_part = partial(table, others=True)
_PORT = _part(
    Field("protocol", ANYTHING, default="TCP"),
    Field("port", NUMBER, required=True),
    Field("targetPort", Kind(_target)),
)
_ADDRESSES: Kind[tuple[Network, ...]] = list_of(Kind(_address))
_ABOUT = _part(
    Field("name", NAME, required=True),
    Field("namespace", NAME, default=DEFAULT_NAMESPACE),
)
_SPEC = _part(
    Field("selector", Kind(_labels), default={}),
    Field("clusterIP", Kind(_address)),
    Field("clusterIPs", _ADDRESSES, default=[]),
    Field("externalIPs", _ADDRESSES, default=[]),
    Field("ports", list_of(Kind(_port)), default=[]),
)
_SERVICE = _part(
    Field("metadata", _ABOUT.kind, default={}), Field("spec", _SPEC.kind, default={})
)
_NAMED = _part(
    Field("name", NAME, required=True), Field("labels", Kind(_labels), default={})
)
_NAMESPACE = _part(Field("metadata", _NAMED.kind, default={}))
