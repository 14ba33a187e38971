"""Text of manifests → the NetworkPolicy objects in it.

In: a text and its name. Out: mappings, each with its path (`deny.yaml[0].items[2]`). I/O: none.
An object of another kind is an error: who hands it in expects something of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pyctl.policy.fields import Notes, shown
from pyctl.policy.text import load_all

_API = "networking.k8s.io/v1"
_KIND = "NetworkPolicy"
_LISTS = {"List": "v1", "NetworkPolicyList": _API}
"""Kind → its apiVersion."""


def objects(
    notes: Notes, name: str, text: str
) -> list[tuple[str, Mapping[object, object]]]:
    """UsageError where the text is no YAML."""
    return [
        found
        for index, document in enumerate(load_all(text, name))
        if document is not None
        for found in _objects(notes, f"{name}[{index}]", document, {})
    ]


def _objects(
    notes: Notes, path: str, value: object, implied: Mapping[object, object]
) -> Iterator[tuple[str, Mapping[object, object]]]:
    """`implied`: what the list around it says of every item's type."""
    if not isinstance(value, dict):
        notes.error(path, f"must be an object, not {shown(value)}")
        return
    typed = {**implied, **value}
    kind, version = typed.get("kind"), typed.get("apiVersion")
    wanted = _LISTS.get(kind) if isinstance(kind, str) else None
    if kind == _KIND:
        wanted = _API
    if wanted is None:
        notes.error(f"{path}.kind", f"must be {_KIND} or a list, not {shown(kind)}")
    elif version != wanted:
        notes.error(f"{path}.apiVersion", f"must be {wanted}, not {shown(version)}")
    elif kind == _KIND:
        yield path, typed
    else:
        items = value.get("items")
        if not isinstance(items, list):
            notes.error(f"{path}.items", f"must be a list, not {shown(items)}")
            return
        inner: dict[object, object] = {}
        if kind != "List":
            inner = {"kind": _KIND, "apiVersion": _API}
        for index, item in enumerate(items):
            yield from _objects(notes, f"{path}.items[{index}]", item, inner)
