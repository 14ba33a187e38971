"""Text of manifests → the objects in it: NetworkPolicies, and the Namespaces and Services they speak of.

In: a text and its name. Out: mappings, each with its path (`deny.yaml[0].items[2]`). I/O: none.
An object of another kind is an error: who hands it in expects something of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pyctl.policy.document.field_checks import ErrorCollector, shown
from pyctl.policy.document.yaml_text import load_all

NETWORK_POLICY, NAMESPACE, SERVICE = "NetworkPolicy", "Namespace", "Service"
_KINDS = {NETWORK_POLICY: "networking.k8s.io/v1", NAMESPACE: "v1", SERVICE: "v1"}
"""Kind → its apiVersion."""
_LISTS = {"List": "v1", **{f"{kind}List": api for kind, api in _KINDS.items()}}
"""Kind of a list → its apiVersion."""


def objects(
    notes: ErrorCollector, name: str, text: str
) -> list[tuple[str, Mapping[object, object]]]:
    """Return the path and content of each object; raise UsageError for text that is not YAML."""
    return [
        found
        for index, document in enumerate(load_all(text, name))
        if document is not None
        for found in _objects(notes, f"{name}[{index}]", document, {})
    ]


def _objects(
    notes: ErrorCollector, path: str, value: object, implied: Mapping[object, object]
) -> Iterator[tuple[str, Mapping[object, object]]]:
    """Yield the objects in a value; `implied`: the type that the list around it gives to every item."""
    if not isinstance(value, dict):
        notes.error(path, f"must be an object, not {shown(value)}")
        return
    typed = {**implied, **value}
    kind, version = typed.get("kind"), typed.get("apiVersion")
    wanted = None
    if isinstance(kind, str):
        wanted = _KINDS.get(kind) or _LISTS.get(kind)
    if wanted is None:
        known = ", ".join(_KINDS)
        notes.error(f"{path}.kind", f"must be {known} or a list, not {shown(kind)}")
    elif version != wanted:
        notes.error(f"{path}.apiVersion", f"must be {wanted}, not {shown(version)}")
    elif kind in _KINDS:
        yield path, typed
    else:
        items = value.get("items")
        if not isinstance(items, list):
            notes.error(f"{path}.items", f"must be a list, not {shown(items)}")
            return
        inner: dict[object, object] = {}
        if kind != "List":
            inner = {"kind": str(kind).removesuffix("List"), "apiVersion": wanted}
        for index, item in enumerate(items):
            yield from _objects(notes, f"{path}.items[{index}]", item, inner)
