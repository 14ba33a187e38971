"""Namespace and Service objects: what NetworkPolicies speak of without saying it.

In: a mapping and its path. Out: values, or None and noted errors. I/O: none.
Only what bears on NetworkPolicies is looked at; all else in them is Kubernetes' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

from pyctl.policy.document import selectors
from pyctl.policy.document.fields import Notes, shown
from pyctl.policy.document.networks import Network
from pyctl.policy.document.resolve import DEFAULT_NAMESPACE
from pyctl.policy.kubernetes.policies import Service, ServicePort
from pyctl.policy.kubernetes.read import PROTOCOLS, given, items, number, object_name


def namespace(
    notes: Notes, path: str, value: Mapping[object, object]
) -> tuple[str, dict[str, str]]:
    """Its name and its labels."""
    about = given(notes, f"{path}.metadata", value.get("metadata"))
    name = object_name(notes, f"{path}.metadata.name", about.get("name"))
    return name, _labels(notes, f"{path}.metadata.labels", about.get("labels"))


def service(notes: Notes, path: str, value: Mapping[object, object]) -> Service | None:
    """None for one without an address or without pods of its own: headless, external, by hand."""
    before = notes.failed
    about = given(notes, f"{path}.metadata", value.get("metadata"))
    name = object_name(notes, f"{path}.metadata.name", about.get("name"))
    where = about.get("namespace", DEFAULT_NAMESPACE)
    home = object_name(notes, f"{path}.metadata.namespace", where)
    spec = given(notes, f"{path}.spec", value.get("spec"))
    pods = _labels(notes, f"{path}.spec.selector", spec.get("selector"))
    addresses = _addresses(notes, f"{path}.spec", spec)
    ports = [
        _port(notes, at, item)
        for at, item in items(notes, f"{path}.spec.ports", spec.get("ports", []))
    ]
    if notes.failed > before or not pods or not addresses:
        return None
    known = tuple(port for port in ports if port)
    return Service(home, name, tuple(sorted(pods.items())), addresses, known)


def _labels(notes: Notes, path: str, value: object) -> dict[str, str]:
    return {
        key: selectors.text(notes, f"{path}.{key}", content) or ""
        for key, content in given(notes, path, value).items()
    }


def _addresses(
    notes: Notes, path: str, spec: Mapping[str, object]
) -> tuple[Network, ...]:
    told = [("clusterIP", spec.get("clusterIP"))]
    for key in ("clusterIPs", "externalIPs"):
        listed = items(notes, f"{path}.{key}", spec.get(key, []))
        told += [(at.removeprefix(f"{path}."), item) for at, item in listed]
    found: dict[Network, None] = {}
    for key, text in told:
        if text in (None, "", "None"):
            continue
        try:
            found[ip_network(str(text))] = None
        except ValueError:
            notes.error(f"{path}.{key}", f"{shown(text)} is no address")
    return tuple(found)


def _port(notes: Notes, path: str, value: object) -> ServicePort | None:
    body = given(notes, path, value)
    proto = PROTOCOLS.get(str(body.get("protocol", "TCP")))
    port = body.get("port")
    target = body.get("targetPort", port)
    number(notes, f"{path}.port", port)
    if not isinstance(target, str):
        number(notes, f"{path}.targetPort", target)
    if proto is None or not isinstance(port, int) or not isinstance(target, int | str):
        return None
    return ServicePort(proto, port, target)
